package rpc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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
	// Set at construction.
	client             *client.Client
	interceptors       []CallInterceptor
	streamInterceptors []StreamInterceptor
	outermost          CallFunc   // do behind the interceptors; nil when there are none
	outermostStream    StreamFunc // beginStream behind the interceptors; never nil

	last    atomic.Uint64 // correlation id; none is used again: a late reply must not reach another call
	waiters sync.Pool     // of *waiter
	alarms  alarms

	inbox atomic.Pointer[client.Inbox] // nil before the first call

	mu      sync.Mutex
	closed  bool
	streams map[*streamCall]struct{} // that are not over
	shut    sync.Once                // what Close does, and waits for
}

// NewCaller makes a caller on top of c. It does no network I/O, and leaves c
// open when it is closed.
func NewCaller(c *client.Client, opts ...CallerOption) *Caller {
	caller := &Caller{client: c}
	for _, o := range opts {
		o.applyToCaller(caller)
	}
	if len(caller.interceptors) > 0 {
		caller.outermost = intercepted[CallFunc](caller.do, caller.interceptors)
	}
	caller.outermostStream = intercepted[StreamFunc](caller.beginStream, caller.streamInterceptors)
	return caller
}

// Call sends body to queue and waits for the reply, which it returns. The error
// is an *[Error] and says who spoke; see [Caller.Do].
func (c *Caller) Call(ctx context.Context, queue string, body []byte, opts ...CallOption) ([]byte, error) {
	if c.outermost != nil {
		res, err := c.outermost(ctx, Request{Queue: queue, Body: body}, slices.Clone(opts)...) // a clone, so that the list of a plain call stays on its stack
		if err != nil {
			return nil, err
		}
		return res.Body, nil
	}
	m := client.Message{Body: body}
	apply(&m, opts)
	reply, err := c.roundTrip(ctx, queue, &m)
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
// for ever if need be. When ctx ends, Do returns at once: a request that still
// waits is withdrawn, and the context of a handler that runs ends, with those of
// the calls that it makes in turn.
//
// The error is an *[Error], unless an interceptor made it. When its origin is
// [OriginTransport], or ctx ended, the handler may or may not have run; calling
// again makes a new request, unless it has a key; see [WithKey].
func (c *Caller) Do(ctx context.Context, req Request, opts ...CallOption) (*Response, error) {
	if c.outermost != nil {
		return c.outermost(ctx, req, slices.Clone(opts)...) // as in Call
	}
	return c.do(ctx, req, opts...)
}

// do is Do behind the interceptors.
func (c *Caller) do(ctx context.Context, req Request, opts ...CallOption) (*Response, error) {
	m := message(&req, opts)
	reply, err := c.roundTrip(ctx, req.Queue, &m)
	if err != nil {
		return nil, err
	}
	return &Response{Body: reply.Body, Headers: reply.Headers}, nil
}

// Close withdraws the calls that wait, and streams that are not over, which then fail with client.ErrClosed,
// and gives up the reply queue. It is idempotent, and waits until that is done.
func (c *Caller) Close() error {
	var err error
	c.shut.Do(func() { err = c.close() })
	return err
}

func (c *Caller) close() error {
	c.mu.Lock()
	c.closed = true
	inbox := c.inbox.Load()
	streams := slices.Collect(maps.Keys(c.streams))
	c.mu.Unlock()
	for _, s := range streams {
		s.finish(nil, fromClient(s.stream.queue, client.ErrClosed), true)
	}
	if inbox == nil {
		return nil
	}
	return inbox.Close()
}

// roundTrip sends m and waits for its reply or for the end of ctx.
func (c *Caller) roundTrip(ctx context.Context, queue string, m *client.Message) (client.Reply, error) {
	if m.Key != "" {
		return c.persist(ctx, queue, *m)
	}
	return c.once(ctx, queue, m, "")
}

// once is a round trip that ends when its session is lost. With the id of a call
// to join, nothing is sent. It changes m.
func (c *Caller) once(ctx context.Context, queue string, m *client.Message, join string) (client.Reply, error) {
	if ctx.Err() != nil {
		return client.Reply{}, endedBefore(ctx, queue)
	}
	belong(ctx, m)
	after := m.Timeout // zero: no Timeout
	left := timeLeft(ctx, after)
	if left > 0 {
		m.Timeout = travelling(left)
	}
	inbox, err := c.open()
	if err != nil {
		return client.Reply{}, fromClient(queue, err)
	}
	m.CorrelationID = c.nextID()
	w := c.waiter()
	sending := ctx
	var timed *lazyContext
	if after > 0 {
		timed = &lazyContext{parent: ctx, deadline: time.Now().Add(after)}
		sending = timed
	}
	if err = begin(sending, inbox, queue, m, join, w); err != nil {
		err = notBegun(sending, queue, left, err)
	}
	if timed != nil {
		timed.end(nil)
	}
	if err != nil {
		c.waiters.Put(w)
		return client.Reply{}, err
	}
	if timed != nil {
		c.alarms.set(w, inbox, m.CorrelationID, timed.deadline, after)
	}
	answered := w.await(ctx, inbox, m.CorrelationID)
	if timed != nil {
		c.alarms.unset(w)
	}
	if !answered {
		c.waiters.Put(w)
		return client.Reply{}, endedWaiting(ctx, queue, left)
	}
	reply, err := w.answer(ctx, queue, after)
	c.waiters.Put(w)
	return reply, err
}

// timeLeft is how long a call may take, of its Timeout and ctx's deadline the
// earlier one. Zero: as long as it likes.
func timeLeft(ctx context.Context, after time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return after
	}
	left := max(time.Until(deadline), 1) // it may be over already, a moment before ctx is
	if after > 0 {
		left = min(left, after)
	}
	return left
}

// begin sends m, or joins a call, and has w told of the reply.
func begin(ctx context.Context, inbox *client.Inbox, queue string, m *client.Message, join string, w *waiter) error {
	if join != "" {
		return inbox.Join(ctx, join, m.CorrelationID, w)
	}
	return inbox.Request(ctx, queue, *m, w)
}

// notBegun is for a call that begin has refused, in its context.
func notBegun(ctx context.Context, queue string, left time.Duration, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return endedConnecting(ctx, queue, left)
	}
	return fromClient(queue, err)
}

// nextID is a correlation id that no other call of this caller has.
func (c *Caller) nextID() string {
	return strconv.FormatUint(c.last.Add(1), 32) // a power of two: digits without division
}

// travelling is what a request carries of the time that is left: whole
// milliseconds, because the wire counts those, and always a little more, because
// zero would mean for ever, and so that in a dead heat the caller's own timer
// speaks first.
func travelling(left time.Duration) time.Duration {
	return min(left.Truncate(time.Millisecond)+time.Millisecond, longestTimeout)
}

// open answers the inbox, and makes it when there is none yet.
func (c *Caller) open() (*client.Inbox, error) {
	if inbox := c.inbox.Load(); inbox != nil {
		return inbox, nil // if it is closed, it will say so
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, client.ErrClosed
	}
	if inbox := c.inbox.Load(); inbox != nil { // somebody was quicker
		return inbox, nil
	}
	inbox, err := c.client.OpenInbox()
	if err == nil {
		c.inbox.Store(inbox)
	}
	return inbox, err
}
