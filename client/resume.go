package client

import (
	"errors"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// rebind makes the switch send a subscription's deliveries on this stream.
func (l *loop) rebind(s *Subscription) {
	switch {
	case s.isStopped():
		if s.inbox != nil {
			l.drop(s) // its queue was destroyed, and nobody will say so again
		}
	case s.consumer == 0:
		l.remake(s)
	default:
		l.resume(s)
	}
}

// remake subscribes again, unless that is on its way: a stream that is lost before
// the answer sends it again by itself, and twice would be two consumers.
func (l *loop) remake(s *Subscription) {
	if s.remaking {
		return
	}
	s.remaking = true
	k := newCall(frames.VerbSubscribe, s.request())
	k.then = func(a answer) {
		s.remaking = false
		switch {
		case a.lost: // the next login tries again
		case a.err == nil:
			l.subscribed(s, a)
			if s.inbox != nil {
				s.inbox.resumed()
			}
		case status.Code(a.err) == codes.Unavailable: // so does the next login
		default:
			l.drop(s)
			s.end(a.err)
		}
	}
	l.c.post(k)
}

// resume binds an existing consumer to this stream; what it missed comes first.
func (l *loop) resume(s *Subscription) {
	st := l.st
	k := newCall(frames.VerbSubscribe, &pb.SubscribeRequest{
		Consumer: s.consumer, AfterLease: max(s.last, 1),
		Service: s.service, // a switch that was restarted does not know it any more
	})
	k.then = func(a answer) {
		switch {
		case a.lost || l.st != st || l.consumers[s.consumer] != s: // it has been resumed again since, or ended
		case a.err == nil:
			if s.inbox != nil {
				s.inbox.resumed()
			}
		case errors.Is(a.err, ErrConsumerNotFound): // its queue was destroyed, or the switch started anew
			delete(l.consumers, s.consumer)
			l.setConsumer(s, 0)
			l.remake(s)
		default:
			l.drop(s)
			s.end(a.err)
		}
	}
	l.c.post(k)
}

// subscribed takes the answer to a Subscribe that made a consumer.
func (l *loop) subscribed(s *Subscription, a answer) {
	id := a.reply.(*pb.SubscribeResponse).GetConsumer()
	s.last = 0
	l.consumers[id] = s
	l.setConsumer(s, id)
	switch {
	case s.isStopped(): // meanwhile; nobody is to hear of what it got
		s.handler = SubscriptionHandler{Deliver: func(d *Delivery) { release([]*Delivery{d}) }}
		s.unsubscribe()
	case a.tag <= l.resent: // it was made on an earlier stream
		l.resume(s)
		return
	}
	orphans := l.orphans
	l.orphans = nil
	for _, o := range orphans {
		switch {
		case o.consumer != id:
			l.orphans = append(l.orphans, o)
		case o.delivery.lease > s.last:
			s.last = o.delivery.lease
			s.handler.Deliver(o.delivery)
		}
	}
}

func (l *loop) setConsumer(s *Subscription, id uint64) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	s.consumer = id
}

// maxHolders is how many stopped subscriptions are told of cancels, the newest: those
// before have settled what they held, or learn it from Extend.
const maxHolders = 64

// stop notes that a subscription gets nothing any more, and may hold leases.
func (l *loop) stop(s *Subscription) {
	if s.handler.Cancelled == nil || l.consumers[s.consumer] != s {
		return
	}
	l.holders[s.consumer] = s
	if len(l.holders) > maxHolders {
		delete(l.holders, slices.Min(slices.Collect(maps.Keys(l.holders))))
	}
}

// drop takes a subscription out that gets nothing any more.
func (l *loop) drop(s *Subscription) {
	if l.consumers[s.consumer] == s {
		delete(l.consumers, s.consumer)
	}
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(s)
}

// forgetLocked lets no new session make s again.
func (c *Client) forgetLocked(s *Subscription) {
	c.subs = slices.DeleteFunc(c.subs, func(t *Subscription) bool { return t == s })
}
