package rpc

import (
	"context"
	"sync/atomic"
	"time"
)

// A lazyContext is the context of one running handler, or of a call with a
// Timeout. Setting up a context with a deadline costs more than many a handler
// does, and handlers of that kind never look at theirs. So the real one is made
// at the first look, or when it ends with a cause.
type lazyContext struct {
	// Set at construction.
	parent   context.Context
	deadline time.Time // zero: none
	request  *Request  // that the handler answers; nil for a call's

	// The real one: nil before the first look, endedUnseen if it ended before that.
	real atomic.Pointer[realContext]
}

// A realContext is what a lazyContext is to whoever looks at it.
type realContext struct {
	context.Context
	stop func(cause error)
}

// endedUnseen is in place of a real context that nobody has asked for.
var endedUnseen = new(realContext)

// Deadline implements [context.Context]. The caller's deadline is the only one: Serve's
// own context ends handlers by way of the drain.
func (c *lazyContext) Deadline() (time.Time, bool) {
	return c.deadline, !c.deadline.IsZero()
}

// Done implements [context.Context].
func (c *lazyContext) Done() <-chan struct{} { return c.look().Done() }

// Err implements [context.Context]. As long as nothing has ended, it is no look.
func (c *lazyContext) Err() error {
	if c.real.Load() == nil && c.parent.Err() == nil && (c.deadline.IsZero() || time.Now().Before(c.deadline)) {
		return nil
	}
	return c.look().Err()
}

// Value implements [context.Context]. Package context finds the nearest context that can be
// cancelled by way of a value, so this is a look too, but for our own key.
func (c *lazyContext) Value(key any) any {
	if key == (requestKey{}) {
		if c.request != nil {
			return c.request
		}
		return c.parent.Value(key)
	}
	return c.look().Value(key)
}

// look answers the real context, and makes it when there is none yet.
func (c *lazyContext) look() *realContext {
	for {
		was := c.real.Load()
		if was != nil && was != endedUnseen {
			return was
		}
		r := c.materialize()
		if was == endedUnseen {
			r.stop(nil)
		}
		if c.real.CompareAndSwap(was, r) {
			return r
		}
		r.stop(nil) // somebody was quicker
	}
}

func (c *lazyContext) materialize() *realContext {
	ctx, cancel := context.WithCancelCause(c.parent)
	if c.deadline.IsZero() {
		return &realContext{ctx, cancel}
	}
	timed, stopTimer := context.WithDeadline(ctx, c.deadline)
	return &realContext{timed, func(cause error) {
		cancel(cause)
		stopTimer()
	}}
}

// end ends the context, for good and with the first cause; nil means
// context.Canceled.
func (c *lazyContext) end(cause error) {
	if cause == nil && c.real.CompareAndSwap(nil, endedUnseen) {
		return
	}
	if c.real.Load() != endedUnseen {
		c.look().stop(cause)
	}
}
