package grpcqueue

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// NewStream begins a call whose request or reply is a stream. Errors of the
// switch come with RecvMsg, as those of the handler do.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	info := newCallInfo(opts)
	req, err := c.request(ctx, method, info)
	if err != nil {
		info.finish(nil, nil, err)
		return nil, err
	}
	s := &clientStream{ctx: ctx, conn: c, desc: desc, method: method, info: info, begun: make(chan struct{})}
	if desc.ClientStreams {
		req.Headers[headerBody] = bodyNone
		s.begin(req)
	} else {
		s.request = &req // goes with its one message
	}
	return s, nil
}

// A clientStream is one call that streams. As in gRPC, one goroutine may send
// while another receives.
type clientStream struct {
	// Set at construction.
	ctx    context.Context
	conn   *Conn
	desc   *grpc.StreamDesc
	method string
	info   *callInfo

	request *rpc.Request          // the sender's; of a call with one message that is not sent yet
	unsent  atomic.Pointer[error] // the status of a message that can't travel

	begun  chan struct{} // closed when what follows is set
	stream *rpc.Stream
	err    error // why there is none

	mu       sync.Mutex // guards what is below
	seen     bool       // header is known
	header   metadata.MD
	trailer  metadata.MD
	held     []byte // a message that came along with the header
	holds    bool
	received int   // messages given out
	over     error // how it ended; nil: not yet
}

// begin sends the request.
func (s *clientStream) begin(req rpc.Request) {
	s.stream, s.err = s.conn.caller.Stream(s.ctx, req, s.conn.callOptions(s.info)...)
	close(s.begun)
}

// SendMsg sends a message. io.EOF says that the call is over; RecvMsg has the status.
// Any other error is about the message, and ends the call.
func (s *clientStream) SendMsg(m any) error {
	body, err := s.info.encode(m)
	if err != nil {
		return s.fail(err)
	}
	if !s.desc.ClientStreams {
		if s.request == nil {
			return s.fail(status.Errorf(codes.Internal, "cardinality violation: %s takes one message", s.method))
		}
		req := *s.request
		s.request, req.Body = nil, body
		s.begin(req)
		return nil
	}
	if s.err != nil {
		return io.EOF
	}
	switch err = s.stream.Send(rpc.Part{Body: body}); {
	case err == nil:
		return nil
	case err == io.EOF || s.ctx.Err() != nil: //nolint:errorlint // Send never wraps it
		return io.EOF
	}
	return s.fail(statusError(err)) // it is larger than the switch takes
}

// fail ends the call because of a message that can't be sent.
func (s *clientStream) fail(err error) error {
	s.unsent.CompareAndSwap(nil, &err)
	switch {
	case s.request != nil: // nothing was sent
		s.request, s.err = nil, err
		close(s.begun)
	case s.err == nil:
		_ = s.stream.Close() // so that RecvMsg, if it waits, tells it
	}
	if s.mu.TryLock() { // else RecvMsg is at it
		if s.over == nil {
			s.endLocked(nil, err)
		}
		s.mu.Unlock()
	}
	return err
}

// CloseSend says that no more messages will be sent. What is wrong shows in RecvMsg.
func (s *clientStream) CloseSend() error {
	if s.desc.ClientStreams && s.err == nil {
		_ = s.stream.CloseSend() // if the call is over, RecvMsg tells why
	}
	return nil
}

// Context is the call's.
func (s *clientStream) Context() context.Context { return s.ctx }

// Header waits for the header metadata.
func (s *clientStream) Header() (metadata.MD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.seen && s.over == nil {
		s.held, s.holds = s.nextLocked()
	}
	if s.seen || s.over == io.EOF { //nolint:errorlint // it is set here, as it is
		return s.header, nil
	}
	return nil, s.over
}

// Trailer is the trailer metadata, once RecvMsg has failed.
func (s *clientStream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// RecvMsg waits for a message. io.EOF is success; any other error is a status.
func (s *clientStream) RecvMsg(m any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, is := s.held, s.holds
	s.held, s.holds = nil, false
	for !is && s.over == nil {
		body, is = s.nextLocked()
	}
	if !is {
		if s.over == io.EOF && !s.desc.ServerStreams && s.received == 0 { //nolint:errorlint // it is set here, as it is
			return errNoReply(s.method)
		}
		return s.over
	}
	s.received++
	if !s.desc.ServerStreams {
		if err := s.awaitEndLocked(); err != nil {
			return err
		}
	}
	if err := s.info.decode(body, m); err != nil {
		s.endLocked(nil, err)
		return err
	}
	return nil
}

// awaitEndLocked waits for the status of a call that has one reply message.
func (s *clientStream) awaitEndLocked() error {
	for s.over == nil {
		if _, is := s.nextLocked(); is {
			s.endLocked(nil, status.Errorf(codes.Internal, "cardinality violation: %s has more than one reply message", s.method))
		}
	}
	if s.over == io.EOF { //nolint:errorlint // it is set here, as it is
		return nil
	}
	return s.over
}

// nextLocked waits for what comes next, and takes note of the metadata in it. is
// says whether it is a message.
func (s *clientStream) nextLocked() (body []byte, is bool) {
	select {
	case <-s.begun:
	case <-s.ctx.Done():
		s.endLocked(nil, ended(s.ctx))
		return nil, false
	}
	if s.err != nil {
		s.endLocked(nil, statusError(s.err))
		return nil, false
	}
	part, err := s.stream.Receive()
	switch {
	case err == nil:
		if s.noteLocked(part.Headers) {
			return part.Body, part.Headers[headerBody] != bodyNone
		}
		return nil, false
	case errors.Is(err, io.EOF):
		reply := s.stream.Reply()
		body, is = reply.Body, s.isMessageLocked(reply)
		s.endLocked(reply.Headers, io.EOF)
		return body, is
	default:
		if unsent := s.unsent.Load(); unsent != nil {
			s.endLocked(nil, *unsent)
		} else {
			s.endLocked(failureHeaders(err), statusError(err))
		}
		return nil, false
	}
}

// isMessageLocked says whether the body of the final reply is a message. Who
// streams his replies has nothing to put there.
func (s *clientStream) isMessageLocked(reply *rpc.Response) bool {
	return reply.Headers[headerBody] != bodyNone && (s.received == 0 || len(reply.Body) > 0)
}

// noteLocked takes the header metadata from the first headers that come.
func (s *clientStream) noteLocked(headers map[string]string) bool {
	if s.seen {
		return true
	}
	md, err := metadataOf(headers, "")
	if err != nil {
		s.endLocked(nil, status.Errorf(codes.Internal, "the reply's metadata: %v", err))
		return false
	}
	s.header, s.seen = md, true
	return true
}

// endLocked is the end of the call, with the headers of its final reply.
func (s *clientStream) endLocked(headers map[string]string, how error) {
	first := s.over == nil
	s.over = how
	if !first {
		return
	}
	if len(headers) > 0 && s.noteLocked(headers) {
		s.trailer, _ = metadataOf(headers, ofTrailer) // what can't be read is less than the status
	}
	select {
	case <-s.begun:
		if s.stream != nil {
			_ = s.stream.Close() // whatever it says, the call is over
		}
	default: // the context has ended, and what begins now ends with it
	}
	if how == io.EOF { //nolint:errorlint // it is set here, as it is
		how = nil
	}
	s.info.finish(s.header, s.trailer, how)
}
