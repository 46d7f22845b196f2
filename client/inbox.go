package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// inboxCredit and inboxCreditBytes are the most that the protocol allows: the
	// requests that wait bound the replies.
	inboxCredit      = 65_536
	inboxCreditBytes = 1 << 40
)

// Pending is told what becomes of a request: one of its methods is called, once,
// unless the request is cancelled before. The calls come under the same rules as
// those of SubscriptionHandler.
type Pending interface {
	// Answered takes the reply, or a failure.
	Answered(Reply)
	// Lost says that no reply will come: the switch did not take the request, or
	// has lost it, alone or with the session; or the inbox was closed.
	Lost(error)
}

// Inbox is a temporary reply queue and the requests that wait for its replies.
// It survives reconnects, and is made anew after the loss of a session.
type Inbox struct {
	// Set at construction.
	client *Client
	stream *StreamInboxOptions // nil: it takes whole replies

	// Guarded by Client.mu.
	queue   string             // empty: there is none
	sub     *Subscription      // of queue
	opening chan struct{}      // closed when the attempt to make one is over; nil while none is made
	openErr error              // of the last attempt
	waiting map[string]request // without a reply, by correlation id
	doubted []string           // of those, what the switch may have lost
	closed  bool

	// Acks, guarded by Client.mu.
	through uint64 // the last lease received
	unacked int
	bytes   int
	timer   *time.Timer // runs while armed
	armed   bool
	seen    bool // there was something to ack when it was armed, or none since

	fresh []arrival // the session loop's own: what came in this stream message
}

// A request waits for its reply.
type request struct {
	tag  uint64 // of its frame
	told Pending
}

// OpenInbox makes an inbox. It does no I/O: the queue is made with the first
// Request.
func (c *Client) OpenInbox() (*Inbox, error) {
	return c.openInbox(nil)
}

func (c *Client) openInbox(stream *StreamInboxOptions) (*Inbox, error) {
	i := &Inbox{client: c, stream: stream, waiting: map[string]request{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut != nil {
		return nil, c.shut
	}
	c.inboxes = append(c.inboxes, i)
	return i, nil
}

// Request sends a request whose reply comes to the inbox. It returns when the
// request is on its way; while the client reconnects it may wait. m needs a
// CorrelationID that no other request of the inbox has while it waits; ReplyTo is
// the inbox's. After an error, p is not called.
func (i *Inbox) Request(ctx context.Context, queue string, m Message, p Pending) error {
	c := i.client
	switch {
	case m.CorrelationID == "":
		return invalid("a request to queue %q needs a correlation id", queue)
	case m.Stream != (i.stream != nil):
		return invalid("request %q says Stream %t: that goes with OpenStreamInbox, and nothing else does", m.CorrelationID, m.Stream)
	case p == nil:
		return invalid("nobody waits for the reply to request %q; use Send", m.CorrelationID)
	}
	var send frames.Send
	if err := c.fill(ctx, &send, queue, &m); err != nil {
		return err
	}
	var room [fewHeaders]frames.Header
	var err error
	if send.Headers, err = fillHeaders(room[:0], m.Headers); err != nil {
		return err
	}
	if err := i.enter(ctx); err != nil {
		return err
	}
	if _, inUse := i.waiting[m.CorrelationID]; inUse {
		c.mu.Unlock()
		return invalid("a request with correlation id %q waits already; use another", m.CorrelationID)
	}
	send.ReplyTo = i.queue
	if m.Sequence == 0 {
		send.Sequence = c.out.nextSequence()
	}
	c.out.addSend(&send, true, slot{inbox: i, id: m.CorrelationID, sequence: ownSequence(&send)})
	i.waiting[m.CorrelationID] = request{c.out.tag, p}
	c.exit()
	return nil
}

// enter is Client.enter, and sees to it that there are a connection and a queue:
// a request that is lost with its session must have been sent.
func (i *Inbox) enter(ctx context.Context) error {
	c := i.client
	for {
		if err := c.enter(ctx); err != nil {
			return err
		}
		if i.closed {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.stream == nil {
			c.mu.Unlock()
			if err := c.Connect(ctx); err != nil {
				return err
			}
			continue
		}
		if i.queue != "" {
			return nil
		}
		if i.opening == nil {
			i.openLocked()
		}
		opening := i.opening
		c.exit()
		select {
		case <-opening:
		case <-ctx.Done():
			return ended(ctx, "not sent: the reply queue is not made yet")
		}
		c.mu.Lock()
		err := i.openErr
		c.mu.Unlock()
		if err != nil && !errors.Is(err, ErrSessionLost) {
			return err
		}
	}
}

// openLocked begins to make the queue and to subscribe to it. The session loop
// does the rest.
func (i *Inbox) openLocked() {
	i.opening, i.openErr = make(chan struct{}), nil
	k := newCall(frames.VerbCreate, &pb.CreateRequest{Options: i.stream.wire()})
	k.redo = true
	k.then = i.created
	_ = i.client.out.add(k) // it has no text
}

func (i *Inbox) created(a answer) {
	if a.err != nil {
		i.opened("", nil, a.err)
		return
	}
	c := i.client
	s := &Subscription{client: c, queue: a.reply.(*pb.CreateResponse).GetQueue(), inbox: i,
		options: ConsumeOptions{Credit: inboxCredit, CreditBytes: inboxCreditBytes},
		handler: SubscriptionHandler{Deliver: i.deliver}}
	k := newCall(frames.VerbSubscribe, s.request())
	k.then = func(a answer) {
		if a.err != nil {
			i.opened("", nil, a.err)
			return
		}
		c.loop.begun(s, a)
		i.opened(s.queue, s, nil)
	}
	c.post(k)
}

// deliver takes a part, or a reply that came before the answer to Subscribe, on the
// session loop.
func (i *Inbox) deliver(d *Delivery) {
	if d.Part() != 0 && i.stream != nil {
		i.stream.Part(d)
		return
	}
	i.note(i.client.loop, arrival{d.CorrelationID, d.lease, Reply{d.Body, d.Headers, d.Failure}})
}

// opened ends the attempt to make the queue.
func (i *Inbox) opened(queue string, s *Subscription, err error) {
	c := i.client
	c.mu.Lock()
	i.queue, i.sub, i.openErr = queue, s, err
	if s != nil {
		s.stopped = i.closed
	}
	i.through, i.unacked, i.bytes = 0, 0, 0
	close(i.opening)
	i.opening = nil
	closed := i.closed
	c.mu.Unlock()
	if closed && queue != "" {
		i.destroy(queue)
	}
}

// Cancel withdraws a request that nobody waits for any more: when it was queued
// still, it never runs. It reports whether the request was waiting; then its
// Pending hears nothing more, else it did or is about to. Cancel does not wait for
// the switch.
func (i *Inbox) Cancel(correlationID string) bool {
	c := i.client
	c.mu.Lock()
	_, waiting := i.waiting[correlationID]
	delete(i.waiting, correlationID)
	if waiting && i.queue != "" && c.shut == nil {
		_ = c.out.addVerb(frames.VerbCancel, &pb.CancelRequest{ReplyTo: i.queue, CorrelationId: correlationID}, true, slot{}) // its texts were sent before
	}
	c.exit()
	return waiting
}

// Close gives up the reply queue. The requests that wait are lost, with
// ErrClosed: those that are queued never run. It does not wait for the switch.
func (i *Inbox) Close() error {
	c := i.client
	c.mu.Lock()
	queue, waiting := i.queue, i.waiting
	i.closed, i.queue, i.waiting = true, "", nil
	c.inboxes = slices.DeleteFunc(c.inboxes, func(j *Inbox) bool { return i == j })
	if i.sub != nil {
		i.sub.stopped = true
	}
	if i.timer != nil {
		i.timer.Stop()
	}
	c.mu.Unlock()
	if queue != "" {
		i.destroy(queue)
	}
	for _, r := range waiting {
		r.told.Lost(ErrClosed)
	}
	return nil
}

// destroy removes the queue, and with it the consumer.
func (i *Inbox) destroy(queue string) {
	i.client.tell(frames.VerbDestroy, &pb.DestroyRequest{Queue: queue})
}
