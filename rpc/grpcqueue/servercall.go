package grpcqueue

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// A serverCall is one call that a Server answers. For handlers that stream it is
// the stream: one goroutine may receive while another sends.
type serverCall struct {
	// Set at construction.
	*transport
	ctx    context.Context
	server *Server
	req    *rpc.Request
	stream *rpc.Stream // nil: the caller takes no parts

	desc  *grpc.StreamDesc // of a method that streams
	taken bool             // the receiver's: the message in the request was
	reply []byte           // the sender's: a message that goes with the final reply
	has   bool             // the sender's: there is one
}

func newServerCall(ctx context.Context, s *Server, req *rpc.Request, method string) *serverCall {
	k := &serverCall{transport: &transport{method: method}, server: s, req: req, stream: req.Stream()}
	if k.stream != nil {
		k.send = func(headers map[string]string) error { return handlerError(k.stream.Send(rpc.Part{Headers: headers})) }
	}
	k.ctx = grpc.NewContextWithServerTransportStream(ctx, k.transport)
	return k
}

// unary answers a call with one request and one reply.
func (k *serverCall) unary(impl any, m *grpc.MethodDesc) ([]byte, error) {
	body, err := k.next()
	if err == io.EOF { //nolint:errorlint // next sets it, as it is
		err = status.Errorf(codes.Internal, "cardinality violation: %s was called without a message", k.method)
	}
	if err != nil {
		return nil, err
	}
	dec := func(v any) error { return decode(k.server.codec, body, v, codes.InvalidArgument, "request") }
	v, err := m.Handler(impl, k.ctx, dec, chainUnary(k.server.unary))
	k.req.SetReplyHeaders(k.replyHeaders(true))
	if err != nil {
		return nil, err
	}
	return encode(k.server.codec, v)
}

// streams answers a call whose request or reply is a stream.
func (k *serverCall) streams(impl any, m *grpc.StreamDesc) ([]byte, error) {
	k.desc = m
	info := &grpc.StreamServerInfo{FullMethod: k.method, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams}
	err := withInterceptors(k.server.stream, info, m.Handler)(impl, k)
	k.req.SetReplyHeaders(k.replyHeaders(err != nil || k.has))
	return k.reply, err
}

// next waits for the next message of the request; io.EOF when there are no more.
func (k *serverCall) next() ([]byte, error) {
	if k.req.Headers[headerBody] != bodyNone {
		if k.taken {
			return nil, io.EOF
		}
		k.taken = true
		return k.req.Body, nil
	}
	if k.stream == nil {
		return nil, status.Errorf(codes.InvalidArgument, "the request has no message, and is no stream call (header %q is %q)", headerBody, bodyNone)
	}
	for {
		part, err := k.stream.Receive()
		if err != nil {
			return nil, handlerError(err)
		}
		if part.Headers[headerBody] != bodyNone {
			return part.Body, nil
		}
	}
}

// Context implements [grpc.ServerStream].
func (k *serverCall) Context() context.Context { return k.ctx }

// SetTrailer implements [grpc.ServerStream].
func (k *serverCall) SetTrailer(md metadata.MD) { _ = k.transport.SetTrailer(md) } // it has no error

// RecvMsg implements [grpc.ServerStream].
func (k *serverCall) RecvMsg(m any) error {
	body, err := k.next()
	if err != nil {
		return err
	}
	return decode(k.server.codec, body, m, codes.InvalidArgument, "request")
}

// SendMsg implements [grpc.ServerStream]. The one reply of a method that doesn't
// stream its replies goes with the final reply, and so does that to a caller who
// takes no parts.
func (k *serverCall) SendMsg(m any) error {
	body, err := encode(k.server.codec, m)
	if err != nil {
		return err
	}
	if k.stream != nil && k.desc.ServerStreams {
		return handlerError(k.stream.Send(rpc.Part{Body: body, Headers: k.takeHeader()}))
	}
	if k.has {
		return status.Errorf(codes.FailedPrecondition, "%s has more than one reply message: call it as a stream", k.method)
	}
	k.reply, k.has = body, true
	return nil
}
