package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

// streamCall is the caller's side of a stream.
type streamCall struct {
	// Set at construction.
	caller *Caller
	stream *Stream
	inbox  *client.Inbox
	id     string        // correlation id
	left   time.Duration // until its deadline, when it began; zero: it has none
	cancel context.CancelFunc

	taken chan struct{} // closed once the handler takes parts
	ended chan struct{} // closed with done

	mu      sync.Mutex
	out     *client.PartSender // nil before taken
	closing bool               // CloseSend was called
	done    bool
	local   error     // with done: it was given up here
	res     *Response // with done: the reply
	err     error     // with done: why there is none
}

var (
	_ side           = (*streamCall)(nil)
	_ client.Pending = (*streamCall)(nil)
)

// Stream sends a request that may have more parts, and whose reply may come in
// parts. It returns when the request is on its way. Of req it reads what [Caller.Do]
// does, and ctx and opts mean the same as there, but that they last until the reply:
// when ctx ends, the call is given up. A handler that does not care answers with the
// reply alone.
//
// Receive until it answers an error, or Close the stream.
func (c *Caller) Stream(ctx context.Context, req Request, opts ...CallOption) (*Stream, error) {
	return c.outermostStream(ctx, req, opts...)
}

// beginStream is Stream behind the interceptors.
func (c *Caller) beginStream(ctx context.Context, req Request, opts ...CallOption) (*Stream, error) {
	if ctx.Err() != nil {
		return nil, endedBefore(ctx, req.Queue)
	}
	m := message(&req, opts)
	m.Stream = true
	belong(ctx, &m)
	left := timeLeft(ctx, m.Timeout)
	call := &streamCall{caller: c, left: left, taken: make(chan struct{}), ended: make(chan struct{})}
	if left > 0 {
		m.Timeout = travelling(left)
		ctx, call.cancel = context.WithTimeout(ctx, left)
	} else {
		ctx, call.cancel = context.WithCancel(ctx)
	}
	s := &Stream{queue: req.Queue, ctx: ctx, side: call, in: inflow{more: make(chan struct{}, 1)}}
	call.stream = s
	if err := call.begin(ctx, m, opts); err != nil {
		call.cancel()
		return nil, err
	}
	context.AfterFunc(ctx, call.contextEnded) // ends with the stream, which cancels ctx
	return s, nil
}

// begin opens the inbox and sends the request.
func (s *streamCall) begin(ctx context.Context, m client.Message, opts []CallOption) error {
	c, queue := s.caller, s.stream.queue
	var o client.StreamInboxOptions
	for _, opt := range opts {
		if w, ok := opt.(window); ok {
			o = w.inbox()
		}
	}
	o.Part = s.part
	var err error
	if s.inbox, err = c.client.OpenStreamInbox(o); err != nil {
		return fromClient(queue, err)
	}
	if !c.keep(s) {
		_ = s.inbox.Close()
		return fromClient(queue, client.ErrClosed)
	}
	s.id = c.nextID()
	m.CorrelationID = s.id
	if err := s.inbox.Request(ctx, queue, m, s); err != nil {
		err = notBegun(ctx, queue, s.left, err)
		s.finish(nil, err, true)
		return err
	}
	return nil
}

// keep notes a stream that Caller.Close has to end. It is false if that was called.
func (c *Caller) keep(s *streamCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.streams == nil {
		c.streams = map[*streamCall]struct{}{}
	}
	c.streams[s] = struct{}{}
	return true
}

// part takes a part on the client's receive loop.
func (s *streamCall) part(d *client.Delivery) {
	if !s.stream.in.put(d.Part(), d) {
		s.finish(nil, &Error{Origin: OriginTransport, Queue: s.stream.queue, code: codes.Aborted,
			cause: fmt.Errorf("%w: part %d came, and one before it did not", client.ErrStreamBroken, d.Part())}, true)
		return
	}
	s.mu.Lock()
	first := s.out == nil // the loop that we are on is the only one to set it
	s.mu.Unlock()
	if d.ReplyTo != "" && first {
		s.accepted()
	}
}

// accepted is told that the handler takes parts.
func (s *streamCall) accepted() {
	out, err := s.inbox.Parts(s.id, s.senderEnded)
	if err != nil {
		return
	}
	s.mu.Lock()
	if s.done { // finish has not seen this sender
		s.mu.Unlock()
		out.Close()
		return
	}
	s.out = out
	closing := s.closing
	s.mu.Unlock()
	if closing {
		_ = out.End() // if it fails, the call is over
	}
	close(s.taken)
}

// senderEnded is told why no more parts can be sent. If the handler takes none, the
// reply is on its way; else a part is lost.
func (s *streamCall) senderEnded(err error) {
	if !errors.Is(err, client.ErrNoStream) {
		s.finish(nil, fromClient(s.stream.queue, err), true)
	}
}

// Answered takes the reply.
func (s *streamCall) Answered(r client.Reply) {
	if r.Failure != nil {
		s.finish(nil, fromFailure(s.stream.ctx, s.stream.queue, r.Failure), false)
		return
	}
	s.finish(&Response{Body: r.Body, Headers: r.Headers}, nil, false)
}

// Lost takes the client's word that no reply will come.
func (s *streamCall) Lost(err error) { s.finish(nil, fromClient(s.stream.queue, err), false) }

// contextEnded gives the call up.
func (s *streamCall) contextEnded() {
	s.finish(nil, endedWaiting(s.stream.ctx, s.stream.queue, s.left), true)
}

// finish ends the call, once. What was given up here is received at once, what the
// others say after the parts that have come.
func (s *streamCall) finish(res *Response, err error, local bool) {
	s.mu.Lock()
	if s.done {
		s.mu.Unlock()
		return
	}
	s.done, s.res, s.err = true, res, err
	if local {
		s.local = err
	}
	out := s.out
	s.mu.Unlock()
	switch {
	case local:
		s.stream.in.cutOff(err)
	case err != nil:
		s.stream.in.finish(err)
	default:
		s.stream.in.finish(io.EOF)
	}
	close(s.ended)
	if out != nil {
		out.Close()
	}
	_ = s.inbox.Close() // which cancels a request that is not answered
	s.caller.mu.Lock()
	delete(s.caller.streams, s)
	s.caller.mu.Unlock()
	s.cancel()
}

func (s *streamCall) sender() (*client.PartSender, error) {
	select {
	case <-s.ended:
		return nil, s.sendEnded()
	case <-s.taken:
		return s.out, nil
	}
}

// sendEnded is what Send answers after the end.
func (s *streamCall) sendEnded() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local != nil {
		return s.local
	}
	return io.EOF
}

func (s *streamCall) failed(err error) error {
	select {
	case <-s.ended:
		return s.sendEnded()
	default:
	}
	switch {
	case s.stream.ctx.Err() != nil:
		s.contextEnded()
		return s.sendEnded()
	case errors.Is(err, client.ErrNoStream) || errors.Is(err, client.ErrClosed):
		return io.EOF
	}
	return fromClient(s.stream.queue, err)
}

func (s *streamCall) take() (*client.Delivery, error) {
	if s.stream.ctx.Err() != nil {
		s.contextEnded() // it may not have been told yet; without effect after the end
	}
	d, err := s.stream.in.take(nil) // finish ends it
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ended: // the inbox is gone
	default:
		_ = d.Ack() // if the lease is gone, so is the stream
	}
	return d, nil
}

func (s *streamCall) closeSend() error {
	s.mu.Lock()
	out, again := s.out, s.closing
	s.closing = true
	s.mu.Unlock()
	if out != nil && !again {
		_ = out.End() // if it fails, the call is over
	}
	return nil
}

func (s *streamCall) close() error {
	s.finish(nil, &Error{Origin: OriginLocal, Queue: s.stream.queue, code: codes.Canceled, cause: fmt.Errorf("the stream was closed: %w", context.Canceled)}, true)
	return nil
}

func (s *streamCall) reply() *Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.res
}

func (s *streamCall) outcome() error {
	if s.stream.ctx.Err() != nil {
		s.contextEnded() // as in take
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
