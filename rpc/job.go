package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

const (
	// settleBound is how long a worker waits for the switch to take a message back.
	// If it takes longer, the end of the lease or of the session does the same.
	settleBound = 5 * time.Second

	// A caller whose time is over cancels its request a moment before that expires, by
	// the way to here: with so little left, the deadline is the better reason, and ends
	// the handler.
	deadHeat = 10 * time.Millisecond

	// The first retry of a message without reply-to comes after firstRetry, and
	// each further one after twice the time, up to lastRetry: five attempts
	// within a millisecond would only prove that the cause had no time to pass.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// A job is one delivery on its way through a handler.
type job struct {
	// Set at construction.
	service  *service
	delivery *client.Delivery
	request  Request

	context lazyContext
	settled atomic.Bool // its lease was, or is about to be, given up: by the worker or by the drain
	lost    atomic.Bool // its lease is gone
	unasked atomic.Bool // its caller is gone

	// Owned by the crew's lock.
	seen bool // the extender has met it before
	next *job // the one that has waited longest after it; nil: none, or a worker has begun it
}

func newJob(s *service, d *client.Delivery) *job {
	j := &job{
		service:  s,
		delivery: d,
		request:  request(d),
		context:  lazyContext{parent: s.base, deadline: d.Expires()},
	}
	j.context.request = &j.request
	if d.Stream() {
		j.request.stream = newStreamJob(j)
	}
	return j
}

// run has the handler do the job, and settles it also when the handler panics
// or ends its goroutine.
func (j *job) run() {
	if j.lost.Load() {
		return
	}
	if j.unasked.Load() {
		j.drop()
		return
	}
	var (
		body     []byte
		err      error
		returned bool
	)
	defer func() {
		if !returned {
			err = j.service.panicked(j, recover())
		}
		j.settle(body, err)
		if j.request.stream != nil {
			j.request.stream.end()
		}
		j.context.end(nil)
	}()
	if j.isPing() {
		body, err = j.service.pong()
	} else {
		body, err = j.service.handler(&j.context, &j.request)
	}
	returned = true
}

// settle gives up the lease: with the reply, or in the way that err calls for.
func (j *job) settle(body []byte, err error) {
	if !j.settled.CompareAndSwap(false, true) || j.lost.Load() {
		return
	}
	switch {
	case err != nil && j.service.base.Err() != nil:
		// The drain has cut it short: another server may do better.
		err = j.release()
	case j.request.ReplyWanted:
		err = j.reply(body, err)
	case err == nil:
		err = j.delivery.Ack()
	default:
		err = j.retry(err)
	}
	if err != nil {
		j.service.report(fmt.Errorf("serve queue %q: settling message %s: %w", j.request.Queue, j.request.MessageID, err))
	}
}

// reply answers the request. A reply that can't travel becomes a failure that
// can, lest the caller wait for nothing.
func (j *job) reply(body []byte, err error) error {
	if err != nil {
		return j.fail(err)
	}
	err = j.delivery.Reply(body, j.request.replyHeaders)
	switch { // not the switch's InvalidArgument: the request is fine
	case err == nil:
		return nil
	case errors.Is(err, client.ErrPayloadTooLarge): // as gRPC does
		return errors.Join(err, j.fail(status.Errorf(codes.ResourceExhausted, "the handler's reply cannot travel: %v", err)))
	case errors.Is(err, client.ErrInvalid):
		return errors.Join(err, j.fail(status.Errorf(codes.Internal, "the handler's reply cannot travel: %v", err)))
	}
	return err
}

// fail answers the request with a failure. Headers that can't travel are left out.
func (j *job) fail(why error) error {
	f := failureOf(why)
	f.Headers = j.request.replyHeaders
	err := j.delivery.ReplyFailure(f)
	if f.Headers != nil && errors.Is(err, client.ErrInvalid) {
		f.Headers = nil
		err = errors.Join(err, j.delivery.ReplyFailure(f))
	}
	return err
}

// retry sends a message without reply-to back, to be tried again later.
func (j *job) retry(cause error) error {
	delay := lastRetry
	if n := j.request.Attempt - 1; n < 10 { // beyond, the shift would pass any bound
		delay = min(firstRetry<<max(n, 0), lastRetry)
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleBound)
	defer cancel()
	return j.delivery.Retry(ctx, delay, clip(cause.Error(), maxCause))
}

// release gives the request back as if it had never been delivered.
func (j *job) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), settleBound)
	defer cancel()
	return j.delivery.Release(ctx)
}

// giveBack releases a job that no worker will settle.
func (j *job) giveBack() {
	if !j.settled.CompareAndSwap(false, true) || j.lost.Load() {
		return
	}
	if err := j.release(); err != nil {
		j.service.report(fmt.Errorf("serve queue %q: giving message %s back: %w", j.request.Queue, j.request.MessageID, err))
	}
}

// cancel ends the handler's context because nobody waits for its reply any more.
// What it returns is sent all the same, and the switch drops it with the request.
func (j *job) cancel() {
	j.unasked.Store(true)
	if deadline, ok := j.context.Deadline(); ok && time.Until(deadline) <= deadHeat {
		return
	}
	j.context.end(client.ErrCallerGone)
}

// drop acks a request that was cancelled before its handler began.
func (j *job) drop() {
	if !j.settled.CompareAndSwap(false, true) {
		return
	}
	if err := j.delivery.Ack(); err != nil {
		j.service.report(fmt.Errorf("serve queue %q: dropping the cancelled message %s: %w", j.request.Queue, j.request.MessageID, err))
	}
}

// lose ends the handler's context because its lease is gone.
func (j *job) lose(cause error) {
	j.lost.Store(true)
	j.context.end(cause)
}

// A PanicError reports a panic of a handler to [OnError]. The caller gets no more
// than the code Internal.
type PanicError struct {
	// Queue is the queue of the request.
	Queue string
	// MessageID is the request's.
	MessageID string
	// Value is what the handler panicked with; nil if it ended its goroutine by
	// runtime.Goexit.
	Value any
	// Stack is the goroutine's stack, as runtime/debug.Stack formats it.
	Stack []byte
}

// Error names the queue, the message and the panic's value, and leaves out the
// stack.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("serve queue %q: the handler ended its goroutine on message %s", e.Queue, e.MessageID)
	}
	return fmt.Sprintf("serve queue %q: the handler panicked on message %s: %v", e.Queue, e.MessageID, e.Value)
}

// Unwrap answers the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicked reports a panic and answers what to tell the caller.
func (s *service) panicked(j *job, value any) error {
	s.report(&PanicError{Queue: j.request.Queue, MessageID: j.request.MessageID, Value: value, Stack: debug.Stack()})
	return errPanicked
}
