package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/d3b0a776/switch/client"
)

// longestTimeout is the longest time that a request can carry: the limit of
// timeout_ms in the protocol, 30 days. A deadline beyond it is still kept here,
// by the caller's context.
const longestTimeout = 30 * 24 * time.Hour

// A Caller sends requests and waits for their replies. All its calls share one
// temporary reply queue, which is made with the first call. It is safe for
// concurrent use; one for each client is enough.
type Caller struct {
	pending table

	// Set at construction.
	client *client.Client

	mu     sync.Mutex
	inbox  *client.Inbox // nil before the first call
	closed bool
	shut   sync.Once // what Close does, and waits for
}

// NewCaller makes a caller on top of c. It does no network I/O, and leaves c
// open when it is closed.
func NewCaller(c *client.Client) *Caller {
	return &Caller{client: c}
}

// Call sends body to queue and waits for the reply, which it returns. The error
// is an *[Error] and says who spoke; see [Caller.Do].
func (c *Caller) Call(ctx context.Context, queue string, body []byte, opts ...CallOption) ([]byte, error) {
	reply, err := c.roundTrip(ctx, queue, message(Request{Body: body}, opts))
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

// Do sends a request and waits for its reply. Of req it reads Queue, Body and
// Headers; the other fields are for handlers. It keeps neither body nor headers
// once it has returned.
//
// The time left until ctx's deadline travels with the request, which is never
// delivered after it. Without a deadline the request waits until it is served,
// for ever if need be. When ctx ends, Do returns at once, withdraws the request
// if it still waits, and otherwise leaves the handler to finish for nobody.
//
// The error is an *[Error]. When its origin is [OriginTransport], or ctx ended,
// the handler may or may not have run; calling again makes a new request.
func (c *Caller) Do(ctx context.Context, req Request, opts ...CallOption) (*Response, error) {
	reply, err := c.roundTrip(ctx, req.Queue, message(req, opts))
	if err != nil {
		return nil, err
	}
	return &Response{Body: reply.Body, Headers: reply.Headers}, nil
}

// Close withdraws the calls that wait, which then fail with client.ErrClosed,
// and gives up the reply queue. It is idempotent, and waits until that is done.
func (c *Caller) Close() error {
	var err error
	c.shut.Do(func() { err = c.close() })
	return err
}

func (c *Caller) close() error {
	c.mu.Lock()
	c.closed = true
	inbox := c.inbox
	c.mu.Unlock()
	if inbox == nil {
		return nil
	}
	c.abandon(func(w *waiter) {
		inbox.Cancel(context.Background(), w.id) //nolint:errcheck // best effort: without its reply queue the request has no caller anyway
	})
	err := inbox.Close()
	c.abandon(func(*waiter) {}) // what came in between
	return err
}

// abandon fails all calls that wait.
func (c *Caller) abandon(last func(*waiter)) {
	for _, w := range c.pending.takeAll() {
		last(w)
		w.done <- outcome{err: client.ErrClosed}
	}
}

// roundTrip sends m and waits for its reply or for the end of ctx.
func (c *Caller) roundTrip(ctx context.Context, queue string, m client.Message) (*client.Delivery, error) {
	if ctx.Err() != nil {
		return nil, endedBefore(ctx, queue)
	}
	var left time.Duration // zero: no deadline
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), 1) // it may be over already, a moment before ctx is
		m.Timeout = travelling(left)
	}
	inbox, err := c.open(ctx)
	if err != nil {
		return nil, fromClient(queue, err)
	}
	w := c.pending.add()
	m.CorrelationID = w.id
	if err := inbox.Request(ctx, queue, m); err != nil {
		return nil, c.unsent(ctx, w, queue, left, err)
	}

	select {
	case o := <-w.done:
		c.pending.recycle(w)
		return o.answer(ctx, queue)
	case <-ctx.Done():
	}
	if !c.pending.take(w) { // the reply was quicker
		o := <-w.done
		c.pending.recycle(w)
		return o.answer(ctx, queue)
	}
	inbox.Cancel(context.WithoutCancel(ctx), w.id) //nolint:errcheck // best effort: a request that cannot be withdrawn runs for nobody
	c.pending.recycle(w)
	return nil, endedWaiting(ctx, queue, left)
}

// travelling is what a request carries of the time that is left: whole
// milliseconds, because the wire counts those, and always a little more, because
// zero would mean for ever, and so that in a dead heat the caller's own timer
// speaks first.
func travelling(left time.Duration) time.Duration {
	return min(left.Truncate(time.Millisecond)+time.Millisecond, longestTimeout)
}

// unsent clears up after a request that did not leave this process.
func (c *Caller) unsent(ctx context.Context, w *waiter, queue string, left time.Duration, err error) error {
	if !c.pending.take(w) {
		<-w.done // what it says is less exact than err
	}
	c.pending.recycle(w)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return endedConnecting(ctx, queue, left)
	}
	return fromClient(queue, err)
}

// open answers the inbox, and makes it when there is none yet.
func (c *Caller) open(ctx context.Context) (*client.Inbox, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, client.ErrClosed
	}
	if c.inbox == nil {
		inbox, err := c.client.OpenInbox(ctx, client.InboxHandler{Deliver: c.deliver, Refused: c.refused})
		if err != nil {
			return nil, err
		}
		c.inbox = inbox
	}
	return c.inbox, nil
}

// The callbacks of the inbox run on the client's receive loop: they look up one
// call and wake its goroutine, no more.

// deliver takes a reply. One that nobody waits for any more is dropped.
func (c *Caller) deliver(d *client.Delivery) {
	if w := c.pending.find(d.CorrelationID); w != nil {
		w.done <- outcome{reply: d}
	}
}

// refused takes the client's word that no reply will come: the switch refused
// the request, or has lost it, or the session and with it the reply queue is lost.
func (c *Caller) refused(correlationID string, err error) {
	if w := c.pending.find(correlationID); w != nil {
		w.done <- outcome{err: err}
	}
}
