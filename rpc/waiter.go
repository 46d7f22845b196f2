package rpc

import (
	"context"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A waiter is one call that waits for its reply. It is used again for other
// calls, so that a call needs no channel of its own.
type waiter struct {
	done chan outcome // capacity 1, so that the receive loop never waits; never closed

	// Guarded by Caller.alarms.
	line           *line // nil: it has no Timeout, or is not to be told any more
	before, behind *waiter
	inbox          *client.Inbox
	id             string // the correlation id
	due            time.Time
}

var _ client.Pending = (*waiter)(nil)

// An outcome is a reply or the reason why none will come.
type outcome struct {
	reply    *client.Delivery
	err      error
	timedOut bool
}

// waiter is a waiter that nobody uses. Its channel is empty, as it is again
// when the call has had its outcome, or was cancelled in time.
func (c *Caller) waiter() *waiter {
	if w, ok := c.waiters.Get().(*waiter); ok {
		return w
	}
	return &waiter{done: make(chan outcome, 1)}
}

// Answered takes the reply.
func (w *waiter) Answered(d *client.Delivery) { w.done <- outcome{reply: d} }

// Lost takes the client's word that no reply will come.
func (w *waiter) Lost(err error) { w.done <- outcome{err: err} }

// answer turns the outcome into what Call returns.
func (o outcome) answer(ctx context.Context, queue string) (*client.Delivery, error) {
	switch {
	case o.err != nil:
		return nil, fromClient(queue, o.err)
	case o.reply.Failure != nil:
		return nil, fromFailure(ctx, queue, o.reply.Failure)
	}
	return o.reply, nil
}
