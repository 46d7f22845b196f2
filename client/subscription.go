package client

import (
	"context"
	"errors"
	"time"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// defaultCredit is how many deliveries a subscription holds unless told
// otherwise: enough to hide the way to the switch from most consumers, few
// enough to leave work for others.
const defaultCredit = 64

// ConsumeOptions say how to consume a queue. The zero value is right for most.
type ConsumeOptions struct {
	// Credit is how many deliveries are held at a time, those being worked on
	// among them. Zero means 64; at most 65,536.
	Credit int
	// CreditBytes is how many body bytes are held; one delivery always fits. Zero
	// means 64 MiB.
	CreditBytes uint64
	// Lease is how long each delivery's lease lasts. Zero means the queue's;
	// 100 ms to 12 h.
	Lease time.Duration
	// Create makes the queue with these options if it is missing. Nil: it must
	// exist.
	Create *QueueOptions
	// Service says what service this consumer is an instance of, here and after
	// each reconnect. Nil: it does not say.
	Service *ServiceInfo
}

// SubscriptionHandler is what a subscription calls back. The calls come one at a
// time, from the client's receive loop: they must not block, nor wait for an
// answer of the switch. Methods of Delivery that take no context are fine.
type SubscriptionHandler struct {
	// Deliver takes a delivery. Required. It may be called before Subscribe
	// returns.
	Deliver func(*Delivery)
	// Cancelled is told that nobody waits for the reply to a delivery any more: its
	// caller has cancelled it, or has lost its session. It is called after Deliver,
	// also after Stop, and may be called again, also for a lease that is settled. The
	// lease stays until it is settled. May be nil.
	Cancelled func(lease uint64)
	// Ended is called once, when no further delivery will come without being
	// asked for: the queue was destroyed, the switch refuses to go on, or the
	// client was closed. Not after Stop. May be nil.
	Ended func(error)
}

// Subscription delivers the messages of one queue. It survives reconnects, and
// is made again in a new session.
type Subscription struct {
	// Set at construction.
	client  *Client
	queue   string
	options ConsumeOptions
	inbox   *Inbox          // whose replies it takes; nil for all others
	service *pb.ServiceInfo // what it says that it is; nil: nothing

	// The session loop's own.
	handler  SubscriptionHandler
	last     uint64 // the last lease received from the consumer
	ended    bool   // the handler was told
	remaking bool   // the Subscribe that makes its consumer anew has no answer yet

	// Guarded by Client.mu. The session loop alone sets consumer.
	consumer uint64 // its number in this session; zero until the switch has made it
	stopped  bool
}

// Subscribe consumes a queue by callback. Deliveries come until Stop, or until
// the handler's Ended is called.
func (c *Client) Subscribe(ctx context.Context, queue string, o ConsumeOptions, h SubscriptionHandler) (*Subscription, error) {
	switch {
	case queue == "":
		return nil, invalid("the queue has no name; name the one to consume")
	case h.Deliver == nil:
		return nil, invalid("the handler has no Deliver")
	case o.Credit < 0:
		return nil, invalid("credit is %d: it can't be negative", o.Credit)
	}
	service, err := o.Service.wire()
	if err != nil {
		return nil, err
	}
	s := &Subscription{client: c, queue: queue, options: o, handler: h, service: service}
	k := newCall(frames.VerbSubscribe, s.request())
	k.redo = true
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	k.then = func(a answer) { c.loop.begun(s, a) }
	if err := c.out.add(k); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.exit()
	if a := c.await(ctx, k); a.err != nil {
		return nil, a.err
	}
	return s, nil
}

// begun takes the answer to the first Subscribe.
func (l *loop) begun(s *Subscription, a answer) {
	if a.err != nil {
		return
	}
	c := l.c
	c.mu.Lock()
	s.stopped = a.left
	c.subs = append(c.subs, s)
	c.mu.Unlock()
	l.subscribed(s, a)
}

// request is the verb that makes the consumer.
func (s *Subscription) request() *pb.SubscribeRequest {
	credit := s.options.Credit
	if credit == 0 {
		credit = defaultCredit
	}
	return &pb.SubscribeRequest{
		Queue:       s.queue,
		Credit:      uint32(credit),
		CreditBytes: s.options.CreditBytes,
		LeaseMs:     toMillis(s.options.Lease),
		Create:      s.options.Create.wire(),
		Service:     s.service,
	}
}

func (s *Subscription) isStopped() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.stopped
}

// end tells the handler that no further delivery will come.
func (s *Subscription) end(why error) {
	if s.ended || s.isStopped() {
		return
	}
	s.ended = true
	if s.inbox != nil {
		s.inbox.lost(why)
		return
	}
	if s.handler.Ended != nil {
		s.handler.Ended(why)
	}
}

// Stop ends the subscription. Deliveries that it made stay leased: they can be
// acked, replied to and the like. When Stop returns without an error, Deliver is
// not called any more.
func (s *Subscription) Stop(ctx context.Context) error {
	k := s.unsubscribe()
	if k == nil {
		return nil
	}
	a := s.client.await(ctx, k)
	if a.lost || errors.Is(a.err, ErrConsumerNotFound) {
		return nil // it is gone all the more
	}
	return a.err
}

// unsubscribe asks the switch to end the consumer; nil if there is none to end.
func (s *Subscription) unsubscribe() *call {
	c := s.client
	c.mu.Lock()
	s.stopped = true
	id := s.consumer
	if id == 0 || c.shut != nil {
		c.forgetLocked(s)
		c.mu.Unlock()
		return nil
	}
	k := newCall(frames.VerbUnsubscribe, &pb.UnsubscribeRequest{Consumer: id})
	k.then = func(answer) {
		c.loop.stop(s)
		c.loop.drop(s)
	}
	_ = c.out.add(k) // numbers are always UTF-8
	c.exit()
	return k
}
