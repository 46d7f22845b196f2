// Package client is the Go client of the message switch: it connects, sends into
// queues, consumes them, and keeps a session alive across lost connections.
//
//	c, err := client.New(client.Config{})
//	defer c.Close()
//	_, err = c.Send(ctx, "orders", client.Message{Body: body})
//	for d, err := range c.Consume(ctx, "orders", client.ConsumeOptions{}) { … d.Ack() … }
//
// Package rpc has calls and servers on top of it. No exported signature has a
// generated type in it.
//
// # Who may call what from where
//
// All methods are safe for concurrent use. What takes a context waits for the
// switch's word, and while the client reconnects for that, until the context
// ends. What takes none (Ack, Reply, ReplyFailure) never waits. Callbacks
// (SubscriptionHandler, Pending, those of SendAsync) come one at a time from the session loop:
// they may do what never waits, and no more.
//
// # The session
//
// A client has one session with the switch and, while it is connected, one
// Attach stream that carries all its verbs. The first verb connects; New does no
// I/O. The session is a lease, not a socket: when the connection is lost it lives
// on for its grace (10 s unless configured), and the client comes back to it.
//
// Every frame has a tag, which rises through the session, and is kept encoded
// until the switch says that it was applied. Every answer of the switch counts
// one, and is kept there until the client says that it was seen. After a
// reconnect each side sends again what the other has not, and the switch skips
// the tags it knows: so each frame is applied once and each answer arrives, as
// long as the session lives. Subscriptions name the last lease that they
// received, and the switch delivers again, under the same leases, what came after
// it; what had arrived all the same is dropped here.
//
// When the session is gone, because its grace has passed or a switch without a
// data directory was restarted, a new one begins:
//
//   - Send, Create, Destroy and Subscribe that wait for their answer are done
//     again. A Send keeps its idempotency key, made of the client's own random
//     producer id and a rising sequence, so it is enqueued once if anything of
//     the old time survived.
//   - Subscriptions are made again. They end if the switch refuses that.
//   - What is done with deliveries of the old session fails with ErrSessionLost:
//     the switch delivers them again.
//   - Inboxes are lost, and their requests with them; see Pending.Lost. The next
//     Request makes a fresh one.
//
// Verbs fail at once with ErrUnreachable when there is no session to wait for
// and no switch to begin one with, and when the grace has passed without a
// connection. Subscriptions stay, and are made again when the switch is back.
//
// # Streams
//
// A request with Message.Stream may be answered in parts, and may have parts. Each
// side takes them into an inbox of their own (OpenStreamInbox), acks each when it is
// done with it, and sends with a PartSender, which stays within the window of the
// other. A stream lives and dies with the sessions of both; package rpc makes calls
// of it.
//
// # What is bounded
//
// At most 2,048 frames or 16 MiB are kept unapplied, and sequences run at most
// 4,000 ahead of the oldest that has no answer (the switch remembers 4,096);
// beyond that verbs wait to enter. Acks and replies always enter: the credit of
// the subscriptions bounds them.
//
// # How it sends
//
// Verbs append their frame under one lock. The first one then lets other
// goroutines run, and sends what they have appended meanwhile along with its own as
// one stream message; the others don't wait for it. The session loop does the
// same, once for each message it received. SendAsync leaves it to the flusher: of
// its frames in one stream message the last is answered, for all of them. Nobody but one
// flusher goroutine may block in gRPC: the others look first how much gRPC holds
// unsent. So a switch that stops reading stops nobody who has a deadline, and
// never the session loop.
//
// # Errors
//
// An error of the switch is an *Error with a Reason, or a *Failure where it
// comes in place of a reply. For both errors.Is finds the sentinel of that reason
// (ErrQueueNotFound …) and status.Code the gRPC code. Without a Reason the switch
// did not speak: ErrUnreachable, ErrSessionLost, ErrClosed, or the context's own
// error.
//
// # Reading the source
//
// client.go, message.go, subscription.go, delivery.go and inbox.go are the
// surface. call.go is a verb that waits; outbox.go is all that is to be said,
// chunk.go how it is kept, stream.go how it is sent. session.go, sessionend.go
// and resume.go are the life of a session, receive.go is what comes in, and
// inboxack.go and inboxloss.go what an inbox makes of it.
package client
