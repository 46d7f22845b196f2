package rpc

import (
	"context"
	"sync"
	"time"
)

// A lazyContext is the context of one running handler, or of a call with a
// Timeout. Setting up a context with a deadline costs more than many a handler
// does, and handlers of that kind never look at theirs. So the real one is made
// at the first look.
type lazyContext struct {
	// Set at construction.
	parent   context.Context
	deadline time.Time // zero: none
	request  *Request  // that the handler answers; nil for a call's

	mu    sync.Mutex
	inner context.Context // the real one; nil before the first look
	stop  func(cause error)
	over  bool // it has ended, whether anybody looked or not
	cause error
}

// Deadline implements [context.Context]. The caller's deadline is the only one: Serve's
// own context ends handlers by way of the drain.
func (c *lazyContext) Deadline() (time.Time, bool) {
	return c.deadline, !c.deadline.IsZero()
}

// Done implements [context.Context].
func (c *lazyContext) Done() <-chan struct{} { return c.look().Done() }

// Err implements [context.Context]. As long as nothing has ended, it is no look.
func (c *lazyContext) Err() error {
	c.mu.Lock()
	runs := c.inner == nil && !c.over && c.parent.Err() == nil && (c.deadline.IsZero() || time.Now().Before(c.deadline))
	c.mu.Unlock()
	if runs {
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

// look answers the real context.
func (c *lazyContext) look() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		return c.inner
	}
	ctx, cancel := context.WithCancelCause(c.parent)
	c.inner, c.stop = ctx, cancel
	if !c.deadline.IsZero() {
		timed, stopTimer := context.WithDeadline(ctx, c.deadline)
		c.inner, c.stop = timed, func(cause error) {
			cancel(cause)
			stopTimer()
		}
	}
	if c.over {
		c.stop(c.cause)
	}
	return c.inner
}

// end ends the context, for good and with the first cause; nil means
// context.Canceled.
func (c *lazyContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.cause = true, cause
	if c.inner != nil {
		c.stop(cause)
	}
}
