package rpc

import (
	"errors"
	"io"
	"sync"

	"github.com/d3b0a776/switch/client"
)

// streamJob is the handler's side of a stream.
type streamJob struct {
	// Set at construction.
	job    *job
	stream *Stream

	mu    sync.Mutex
	out   *client.PartSender // nil: nothing was sent
	inbox *client.Inbox      // nil: nothing was received
	done  bool               // Close was called, or the handler has returned
}

var _ side = (*streamJob)(nil)

// Stream is the request's stream: parts of the reply are sent on it, and parts of the
// request received. It is nil when the caller takes one reply and no more. It ends
// with the handler, whose reply comes last.
func (r *Request) Stream() *Stream {
	if r.stream == nil {
		return nil
	}
	return r.stream.stream
}

// SetReplyHeaders gives the reply headers, also one that is a failure. They replace
// those that were given before.
func (r *Request) SetReplyHeaders(headers map[string]string) { r.replyHeaders = headers }

func newStreamJob(j *job) *streamJob {
	s := &streamJob{job: j}
	s.stream = &Stream{queue: j.request.Queue, ctx: &j.context, side: s, in: inflow{more: make(chan struct{}, 1)}}
	return s
}

// sender answers who sends parts of the reply, and makes it when there is none yet.
func (s *streamJob) sender() (*client.PartSender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil, fromClient(s.stream.queue, client.ErrClosed)
	}
	if s.out != nil {
		return s.out, nil
	}
	out, err := s.job.delivery.Parts(s.senderEnded)
	if err != nil {
		return nil, s.failed(err)
	}
	s.out = out
	return out, nil
}

// senderEnded is told why no more parts can be sent. When the caller is gone the
// handler's context ends by itself.
func (s *streamJob) senderEnded(err error) {
	switch {
	case leaseLost(err):
		s.job.lose(err)
	case !errors.Is(err, client.ErrNoStream):
		s.stream.in.cutOff(fromClient(s.stream.queue, err))
	}
}

// failed is what a method answers whose sender failed with err. Where that is the
// news that the lease is gone, the handler's context ends before it hears of it: a
// waiting Send may be told before senderEnded is.
func (s *streamJob) failed(err error) error {
	if leaseLost(err) {
		s.job.lose(err)
	}
	if s.stream.ctx.Err() != nil {
		return s.over()
	}
	return fromClient(s.stream.queue, err)
}

func leaseLost(err error) bool {
	return errors.Is(err, client.ErrLeaseGone) || errors.Is(err, client.ErrSessionLost)
}

func (s *streamJob) take() (*client.Delivery, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if s.stream.ctx.Err() != nil {
		return nil, s.over()
	}
	d, err := s.stream.in.take(s.stream.ctx.Done())
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, s.over()
	}
	_ = d.Ack() // if the lease is gone, so is the stream
	return d, nil
}

// ready makes the inbox for the caller's parts, and tells him.
func (s *streamJob) ready() error {
	s.mu.Lock()
	made, done := s.inbox != nil, s.done
	s.mu.Unlock()
	if made || done {
		return nil
	}
	out, err := s.sender()
	if err != nil {
		return err
	}
	o := window(s.job.service.config.window).inbox()
	o.Part = s.part
	inbox, err := s.job.service.client.OpenStreamInbox(o)
	if err == nil {
		err = inbox.Open(s.stream.ctx)
	}
	if err == nil {
		err = out.Accept(inbox)
	}
	s.mu.Lock()
	done = s.done
	if err == nil && !done {
		s.inbox = inbox
	}
	s.mu.Unlock()
	if inbox != nil && (err != nil || done) {
		_ = inbox.Close()
	}
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// part takes a part on the client's receive loop.
func (s *streamJob) part(d *client.Delivery) {
	if !s.stream.in.put(d.Part(), d) {
		s.job.context.end(client.ErrStreamBroken)
		return
	}
	if d.End() {
		s.stream.in.finish(io.EOF)
	}
}

func (s *streamJob) over() error {
	return ended(s.stream.ctx, s.stream.queue, "the stream is over")
}

func (s *streamJob) closeSend() error {
	out, err := s.sender()
	if err != nil {
		return err
	}
	if err := out.End(); err != nil {
		return s.failed(err)
	}
	return nil
}

func (s *streamJob) close() error {
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	s.stream.in.cutOff(fromClient(s.stream.queue, client.ErrClosed))
	return nil
}

func (s *streamJob) reply() *Response { return nil }

func (s *streamJob) outcome() error { return nil }

// end is called when the handler has returned.
func (s *streamJob) end() {
	_ = s.close()
	s.mu.Lock()
	out, inbox := s.out, s.inbox
	s.mu.Unlock()
	if out != nil {
		out.Close()
	}
	if inbox != nil {
		_ = inbox.Close()
	}
}
