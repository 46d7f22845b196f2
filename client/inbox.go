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

// InboxHandler is what an inbox calls back, under the same rules as
// SubscriptionHandler.
type InboxHandler struct {
	// Deliver takes a reply, or a failure. It is acked by the inbox. After a crash
	// of the switch a request may be answered a second time: whoever keeps no table
	// of what it waits for counts on that. Required.
	Deliver func(*Delivery)
	// Refused says that the switch did not take a request, or has lost it.
	// Required.
	Refused func(correlationID string, err error)
	// Lost says that the session and the inbox are gone: every request that was
	// sent is lost. The next Request makes a fresh inbox. Refused follows for each
	// of those requests. May be nil.
	Lost func(err error)
	// Missing comes after a resume, when all replies that the switch had kept were
	// delivered again: those requests for which pending is false, and that have no
	// reply, are lost. Refused follows for each of them. May be nil.
	Missing func(pending func(correlationID string) bool)
}

// Inbox is a temporary reply queue and the requests that wait for its replies.
// It survives reconnects, and is made anew after the loss of a session.
type Inbox struct {
	// Set at construction.
	client  *Client
	handler InboxHandler

	// Guarded by Client.mu.
	queue   string            // empty: there is none
	sub     *Subscription     // of queue
	opening chan struct{}     // closed when the attempt to make one is over; nil while none is made
	openErr error             // of the last attempt
	waiting map[string]uint64 // requests without a reply: correlation id to tag
	doubted []string          // of those, what the switch may have lost
	closed  bool

	// Acks, guarded by Client.mu.
	through uint64 // the last lease received
	unacked int
	bytes   int
	timer   *time.Timer // runs while armed
	armed   bool
	seen    bool // there was something to ack when it was armed, or none since

	// The session loop's own: what came in this stream message.
	fresh      []string
	freshBytes int
	freshLease uint64
}

// OpenInbox makes an inbox. It does no I/O: the queue is made with the first
// Request.
func (c *Client) OpenInbox(_ context.Context, h InboxHandler) (*Inbox, error) {
	if h.Deliver == nil || h.Refused == nil {
		return nil, invalid("the handler of an inbox needs Deliver and Refused")
	}
	i := &Inbox{client: c, handler: h, waiting: map[string]uint64{}}
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
// CorrelationID that is unique in the inbox; ReplyTo is the inbox's.
func (i *Inbox) Request(ctx context.Context, queue string, m Message) error {
	c := i.client
	if m.CorrelationID == "" {
		return invalid("a request to queue %q needs a correlation id", queue)
	}
	k := c.sendCall() // for its memory
	defer func() {
		k.send = frames.Send{Headers: k.send.Headers[:0]}
		c.sends.Put(k)
	}()
	if err := c.fill(ctx, &k.send, queue, &m); err != nil {
		return err
	}
	if err := i.enter(ctx); err != nil {
		return err
	}
	k.send.ReplyTo = i.queue
	if m.Sequence == 0 {
		k.send.Sequence = c.out.nextSequence()
	}
	c.out.addSend(&k.send, true, slot{inbox: i, id: m.CorrelationID, sequence: c.ownSequence(&k.send)})
	i.waiting[m.CorrelationID] = c.out.tag
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
	k := newCall(frames.VerbCreate, &pb.CreateRequest{})
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
		handler: SubscriptionHandler{Deliver: i.handler.Deliver}}
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

// Cancel withdraws a request that nobody waits for any more. It does not wait,
// and a reply that is on its way may still come.
func (i *Inbox) Cancel(ctx context.Context, correlationID string) error {
	c := i.client
	c.mu.Lock()
	if c.shut != nil {
		defer c.mu.Unlock()
		return c.shut
	}
	_, waiting := i.waiting[correlationID]
	delete(i.waiting, correlationID)
	var err error
	if waiting && i.queue != "" {
		err = c.out.addVerb(frames.VerbCancel, &pb.CancelRequest{ReplyTo: i.queue, CorrelationId: correlationID}, true, slot{})
	}
	c.exit()
	return err
}

// Close gives up the reply queue: the requests that wait are withdrawn or get no
// reply. It does not wait for the switch.
func (i *Inbox) Close() error {
	c := i.client
	c.mu.Lock()
	queue := i.queue
	i.closed, i.queue = true, ""
	clear(i.waiting)
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
	return nil
}

// destroy removes the queue, and with it the consumer.
func (i *Inbox) destroy(queue string) {
	i.client.tell(frames.VerbDestroy, &pb.DestroyRequest{Queue: queue})
}
