package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A waiter is one call that waits for its reply. It is used again for other
// calls, so that a call needs no channel of its own.
type waiter struct {
	outcome outcome       // set before done is signalled
	done    chan struct{} // capacity 1, so that the receive loop never waits; never closed

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
	reply client.Reply
	err   error // errAlarm: its Timeout has passed
}

// waiter is a waiter that nobody uses. Its channel is empty, as it is again
// when the call has had its outcome, or was cancelled in time.
func (c *Caller) waiter() *waiter {
	if w, ok := c.waiters.Get().(*waiter); ok {
		return w
	}
	return &waiter{done: make(chan struct{}, 1)}
}

// tell gives the call its outcome. It is called once for each call, and not at all
// for one that was cancelled in time.
func (w *waiter) tell(o outcome) {
	w.outcome = o
	w.done <- struct{}{}
}

// await waits for the outcome. It is false if ctx has ended before.
func (w *waiter) await(ctx context.Context, inbox *client.Inbox, id string) bool {
	end := ctx.Done()
	if end == nil {
		<-w.done // costs a third of what select does
		return true
	}
	select {
	case <-w.done:
	case <-end:
		if inbox.Cancel(id) {
			return false
		}
		<-w.done // the reply was quicker
	}
	return true
}

// Answered takes the reply.
func (w *waiter) Answered(r client.Reply) { w.tell(outcome{reply: r}) }

// Lost takes the client's word that no reply will come.
func (w *waiter) Lost(err error) { w.tell(outcome{err: err}) }

// answer turns the outcome into what Call returns, and forgets it. after is the
// call's Timeout.
func (w *waiter) answer(ctx context.Context, queue string, after time.Duration) (client.Reply, error) {
	o := w.outcome
	w.outcome = outcome{}
	switch {
	case o.err == nil && o.reply.Failure == nil:
		return o.reply, nil
	case o.err == nil:
		return client.Reply{}, fromFailure(ctx, queue, o.reply.Failure)
	case errors.Is(o.err, errAlarm):
		return client.Reply{}, errTimedOut(queue, after)
	}
	return client.Reply{}, fromClient(queue, o.err)
}
