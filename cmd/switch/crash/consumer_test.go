package crash_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A consumer takes deliveries, holds each for a moment, and then mostly acks it,
// sometimes waiting until that is on disk, and sometimes gives it back. It lives
// through all generations of its lane.
type consumer struct {
	name   string
	line   *line
	clock  *clock
	random *rand.Rand
	credit int
	// releases says that it gives some deliveries back. Then they come out of
	// order.
	releases bool

	counts counts
}

// The time of a delivery is from its lease to its receipt. With a credit of one,
// the lease comes after the consumer gave the delivery before back; on a new
// connection, which a crash has made necessary, it comes after that crash.

// A receipt is a delivery and when it came.
type receipt struct {
	*client.Delivery
	key      key
	received int64
}

// run consumes the queue until ctx ends. Nobody else uses c meanwhile.
func (c *consumer) run(ctx context.Context, t *testing.T, queue string, h *history) {
	inbox := make(chan receipt, 1<<16) // the receive loop must not wait; never closed
	var free atomic.Int64              // when the credit of the delivery before was given back
	began, before := c.clock.now(), int64(0)
	handler := client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			r := receipt{Delivery: d, received: c.clock.now()}
			call := free.Load()
			if cut := c.line.cut.Load(); before <= cut { // the first one on this connection
				call = max(began, c.clock.crashBefore(cut))
			}
			before = r.received
			var err error
			if r.key, err = keyOf(d.Body); err != nil {
				t.Errorf("%s: %v", c.name, err)
				return
			}
			h.add(event{kind: delivered, key: r.key, id: d.MessageID, lease: d.Lease(), party: c.name,
				call: call, ret: r.received, sure: true})
			inbox <- r
		},
		Ended: func(err error) {
			if ctx.Err() == nil {
				t.Errorf("%s: the subscription to %s has ended: %v", c.name, queue, err)
			}
		},
	}
	sub := c.subscribe(ctx, t, queue, handler)
	if sub == nil {
		return
	}
	for ctx.Err() == nil {
		select {
		case r := <-inbox:
			c.hold()
			c.finish(t, r, h, &free)
		case <-ctx.Done():
		}
	}
	stop, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = sub.Stop(stop) // the switch may be away
}

// subscribe tries until the switch is there.
func (c *consumer) subscribe(ctx context.Context, t *testing.T, queue string, h client.SubscriptionHandler) *client.Subscription {
	for over := time.Now().Add(patientFor); ctx.Err() == nil; {
		sub, err := c.line.Subscribe(ctx, queue, client.ConsumeOptions{Credit: c.credit}, h)
		if err == nil {
			return sub
		}
		if time.Now().After(over) {
			t.Errorf("%s can't subscribe to %s: %v", c.name, queue, err)
			break
		}
		time.Sleep(retryPause)
	}
	return nil
}

// hold is the consumer's work. Some takes long enough for a crash to come in
// between.
func (c *consumer) hold() {
	switch c.random.IntN(40) {
	case 0:
		time.Sleep(between(c.random, 10*time.Millisecond, 50*time.Millisecond))
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		time.Sleep(between(c.random, 0, 2*time.Millisecond))
	}
}

// finish acks, or gives back.
func (c *consumer) finish(t *testing.T, r receipt, h *history, free *atomic.Int64) {
	e := event{kind: acked, key: r.key, id: r.MessageID, lease: r.Lease(), party: c.name, call: c.clock.now()}
	ctx, cancel := context.WithTimeout(context.Background(), sendBound)
	defer cancel()
	free.Store(e.call)
	c.counts.delivered++
	switch n := c.random.IntN(20); {
	case n == 0 && c.releases:
		e.kind = released
		e.sure = r.Release(ctx) == nil
	case n < 7:
		e.sure = r.AckWait(ctx) == nil
		if e.sure {
			c.counts.waited++
		}
	default:
		if r.Ack() != nil {
			return // it never left
		}
	}
	c.counts.acked++
	if e.ret = c.clock.now(); ctx.Err() != nil {
		t.Errorf("%s has no answer about %s within %v", c.name, r.key, sendBound)
		e.ret = never
	}
	h.add(e)
}
