package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// inboxCredit and inboxCreditBytes are the most that the protocol allows: the
	// requests that wait bound the replies.
	inboxCredit      = 65_536
	inboxCreditBytes = 1 << 40
	// Replies are acked with the next stream message that goes out, or by one of
	// their own: after so many, so many body bytes, or so much time.
	inboxAckReplies = 1024
	inboxAckBytes   = 64 << 10
	inboxAckDelay   = 50 * time.Millisecond
)

// InboxHandler is what an inbox calls back, under the same rules as
// SubscriptionHandler.
type InboxHandler struct {
	// Deliver takes a reply, or a failure. It is acked by the inbox. Required.
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
	for n, j := range c.inboxes {
		if i == j {
			c.inboxes = append(c.inboxes[:n:n], c.inboxes[n+1:]...)
			break
		}
	}
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

// note takes a reply into account. The session loop settles it at the end of the
// stream message.
func (i *Inbox) note(l *loop, d *Delivery) {
	if i.freshLease == 0 {
		l.touched = append(l.touched, i)
	}
	i.fresh = append(i.fresh, d.CorrelationID)
	i.freshBytes += len(d.Body)
	i.freshLease = d.lease
}

// settleLocked makes known what came in one stream message.
func (i *Inbox) settleLocked() {
	for _, id := range i.fresh {
		delete(i.waiting, id)
	}
	i.through = i.freshLease
	i.unacked += len(i.fresh)
	i.bytes += i.freshBytes
	clear(i.fresh)
	i.fresh, i.freshBytes, i.freshLease = i.fresh[:0], 0, 0
	if i.unacked >= inboxAckReplies || i.bytes >= inboxAckBytes {
		i.client.out.due = true
	} else if !i.armed && !i.closed {
		i.armLocked()
	}
}

// armLocked sets the timer that acks what nothing else has acked. It runs
// through: a reply in its time costs nothing.
func (i *Inbox) armLocked() {
	i.armed, i.seen = true, true
	if i.timer == nil {
		i.timer = time.AfterFunc(inboxAckDelay, i.overdue)
	} else {
		i.timer.Reset(inboxAckDelay)
	}
}

// overdue is the timer's function. It does not block.
func (i *Inbox) overdue() {
	c := i.client
	c.mu.Lock()
	i.armed = false
	switch {
	case i.closed || i.unacked == 0 || c.shut != nil:
	case i.seen: // what was there then is still there
		c.out.due = true
	default:
		i.armLocked()
	}
	c.mu.Unlock()
	c.flush()
}

// putAckLocked adds the inbox's ack to the stream message that is about to go
// out.
func (i *Inbox) putAckLocked() {
	if i.unacked == 0 || i.queue == "" || i.sub.consumer == 0 {
		return
	}
	c := i.client
	k, tag := c.out.begin(sendOverhead)
	ack := frames.Ack{Through: i.through, Consumer: i.sub.consumer}
	k.buf = ack.Append(k.buf, tag, true)
	c.out.commit(k, slot{})
	i.unacked, i.bytes, i.seen = 0, 0, false
}

// refused takes the switch's refusal of a request.
func (i *Inbox) refused(id string, err error) {
	c := i.client
	c.mu.Lock()
	_, waiting := i.waiting[id]
	delete(i.waiting, id)
	c.mu.Unlock()
	if waiting {
		i.handler.Refused(id, err)
	}
}

// doubtLocked notes, after a resume, which requests had reached the switch and
// are not pending there any more. Their replies may be on the way.
func (i *Inbox) doubtLocked(applied uint64, pending []*pb.PendingRequest) {
	known := make(map[string]bool, len(pending))
	for _, p := range pending {
		if p.GetReplyTo() == i.queue {
			known[p.GetCorrelationId()] = true
		}
	}
	i.doubted = i.doubted[:0]
	for id, tag := range i.waiting {
		if tag <= applied && !known[id] {
			i.doubted = append(i.doubted, id)
		}
	}
}

// errForgotten is for a request that the switch does not know after a resume.
var errForgotten = &Error{Code: codes.Unavailable, Message: "the switch has lost the request, or its reply", cause: ErrSessionLost}

// resumed is called when all replies that the switch had kept have come.
func (i *Inbox) resumed() {
	c := i.client
	missing := map[string]bool{}
	c.mu.Lock()
	for _, id := range i.fresh {
		delete(i.waiting, id)
	}
	for _, id := range i.doubted {
		if _, waiting := i.waiting[id]; waiting {
			missing[id] = true
			delete(i.waiting, id)
		}
	}
	i.doubted = nil
	c.mu.Unlock()
	if i.handler.Missing != nil {
		i.handler.Missing(func(id string) bool { return !missing[id] })
	}
	for id := range missing {
		i.handler.Refused(id, errForgotten)
	}
}

// lost takes the loss of the queue, with the session or without.
func (i *Inbox) lost(why error) {
	c := i.client
	c.mu.Lock()
	waiting := i.waiting
	had := i.queue != ""
	i.waiting = map[string]uint64{}
	i.queue, i.sub, i.doubted, i.unacked, i.bytes = "", nil, nil, 0, 0
	closed := i.closed
	c.mu.Unlock()
	if closed || !had {
		return
	}
	if i.handler.Lost != nil {
		i.handler.Lost(why)
	}
	for id := range waiting {
		i.handler.Refused(id, why)
	}
}
