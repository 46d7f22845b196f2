package client

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// stopTimeout bounds what leaving a Consume loop waits for the switch.
const stopTimeout = 2 * time.Second

// Consume delivers a queue's messages to a range loop:
//
//	for d, err := range c.Consume(ctx, "orders", client.ConsumeOptions{}) {
//
// It ends without an error when ctx does, and with one when the queue is
// destroyed or can't be consumed. Leaving the loop gives back what it has not
// handed out; what it has stays leased until it is acked, or the like.
func (c *Client) Consume(ctx context.Context, queue string, o ConsumeOptions) iter.Seq2[*Delivery, error] {
	return func(yield func(*Delivery, error) bool) {
		b := &backlog{more: make(chan struct{}, 1)}
		s, err := c.Subscribe(ctx, queue, o, SubscriptionHandler{Deliver: b.put, Ended: b.end})
		if err != nil {
			if ctx.Err() == nil {
				yield(nil, err)
			}
			return
		}
		defer b.giveBack(ctx, s)
		for {
			d, err := b.take(ctx)
			switch {
			case err != nil:
				yield(nil, err)
				return
			case d == nil || !yield(d, nil):
				return
			}
		}
	}
}

// A backlog is what was delivered and not handed out, bounded by the credit.
type backlog struct {
	more chan struct{} // capacity 1: there is something new; never closed

	mu    sync.Mutex
	queue []*Delivery
	why   error // it ended
}

func (b *backlog) put(d *Delivery) {
	b.mu.Lock()
	b.queue = append(b.queue, d)
	b.mu.Unlock()
	b.signal()
}

func (b *backlog) end(why error) {
	b.mu.Lock()
	b.why = why
	b.mu.Unlock()
	b.signal()
}

func (b *backlog) signal() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take waits for the next delivery. Neither delivery nor error: ctx has ended.
func (b *backlog) take(ctx context.Context) (*Delivery, error) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if len(b.queue) > 0 {
			d := b.queue[0]
			b.queue[0] = nil
			b.queue = b.queue[1:]
			b.mu.Unlock()
			return d, nil
		}
		why := b.why
		b.mu.Unlock()
		if why != nil {
			return nil, why
		}
		select {
		case <-b.more:
		case <-ctx.Done():
		}
	}
	return nil, nil
}

// giveBack ends the subscription and releases what was not handed out.
func (b *backlog) giveBack(ctx context.Context, s *Subscription) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = s.Stop(ctx) // if the switch is away, the leases end by themselves
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 {
		n := min(len(b.queue), maxAcks)
		release(b.queue[:n])
		b.queue = b.queue[n:]
	}
}

// release gives deliveries back without waiting.
func release(ds []*Delivery) {
	c := ds[0].batch.client
	m := &pb.NackRequest{Kind: pb.NackKind_NACK_KIND_RELEASE}
	c.mu.Lock()
	for _, d := range ds {
		if d.batch.epoch == c.epoch {
			m.Leases = append(m.Leases, d.lease)
		}
	}
	c.mu.Unlock()
	if len(m.Leases) > 0 {
		c.tell(frames.VerbNack, m)
	}
}
