package grpcqueue

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// A Conn calls gRPC methods through queues: what a generated client takes instead
// of a *grpc.ClientConn. It is safe for concurrent use, and has nothing to close
// but its Caller.
type Conn struct {
	caller  *rpc.Caller
	queue   string // empty: that of the service
	options []rpc.CallOption
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// A ConnOption changes a [Conn].
type ConnOption interface{ applyToConn(*Conn) }

// Queue makes a Conn send all calls to one queue. Without it each goes to the
// queue with the name of its service, such as "pkg.Greeter".
func Queue(name string) ConnOption { return queueOption(name) }

type queueOption string

func (q queueOption) applyToConn(c *Conn) { c.queue = string(q) }

// CallWith adds options to every call of a Conn, such as rpc.WithMaxAttempts or
// rpc.CreateQueue.
func CallWith(opts ...rpc.CallOption) ConnOption { return callWith(opts) }

type callWith []rpc.CallOption

func (o callWith) applyToConn(c *Conn) { c.options = append(c.options, o...) }

// NewConn makes a Conn on top of a caller, which it leaves open. It does no I/O.
func NewConn(caller *rpc.Caller, opts ...ConnOption) *Conn {
	c := &Conn{caller: caller}
	for _, o := range opts {
		o.applyToConn(c)
	}
	return c
}

// Invoke calls a unary method: one request, one reply. The errors are gRPC
// statuses.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	info := newCallInfo(opts)
	header, trailer, err := c.invoke(ctx, method, args, reply, info)
	info.finish(header, trailer, err)
	return err
}

func (c *Conn) invoke(ctx context.Context, method string, args, reply any, info *callInfo) (header, trailer metadata.MD, err error) {
	req, err := c.request(ctx, method, info)
	if err != nil {
		return nil, nil, err
	}
	if req.Body, err = info.encode(args); err != nil {
		return nil, nil, err
	}
	res, err := c.caller.Do(ctx, req, c.callOptions(info)...)
	if err != nil {
		header, trailer, _ = replyMetadata(failureHeaders(err)) // what can't be read is less than the failure itself
		return header, trailer, statusError(err)
	}
	if header, trailer, err = replyMetadata(res.Headers); err != nil {
		return nil, nil, err
	}
	if res.Headers[headerBody] == bodyNone {
		return header, trailer, errNoReply(method)
	}
	return header, trailer, info.decode(res.Body, reply)
}

// request is the request of a call, without its body.
func (c *Conn) request(ctx context.Context, method string, info *callInfo) (rpc.Request, error) {
	service, _, err := splitMethod(method)
	if err != nil {
		return rpc.Request{}, err
	}
	queue := c.queue
	if queue == "" {
		queue = service
	}
	return info.request(ctx, queue, method)
}

// callOptions are the Conn's, and what the call's own say.
func (c *Conn) callOptions(info *callInfo) []rpc.CallOption {
	if !info.failFast {
		return c.options
	}
	return append(c.options[:len(c.options):len(c.options)], rpc.RequireServer())
}

// splitMethod gives the two names in "/pkg.Service/Method".
func splitMethod(full string) (service, method string, err error) {
	at := strings.LastIndexByte(full, '/')
	if at < 2 || full[0] != '/' || at == len(full)-1 {
		return "", "", status.Errorf(codes.Unimplemented, "malformed method name: %q; it should be like /pkg.Service/Method", full)
	}
	return full[1:at], full[at+1:], nil
}

// replyMetadata gives the header and trailer metadata in the headers of a reply.
func replyMetadata(headers map[string]string) (header, trailer metadata.MD, err error) {
	if header, err = metadataOf(headers, ""); err == nil {
		trailer, err = metadataOf(headers, ofTrailer)
	}
	if err != nil {
		return nil, nil, status.Errorf(codes.Internal, "the reply's metadata: %v", err)
	}
	return header, trailer, nil
}

// failureHeaders are the headers of the reply that an error came as.
func failureHeaders(err error) map[string]string {
	if e := (*rpc.Error)(nil); errors.As(err, &e) {
		return e.Headers()
	}
	return nil
}

// errNoReply is for a call that ended well, but without the reply that it must have.
func errNoReply(method string) error {
	return status.Errorf(codes.Internal, "cardinality violation: %s ended without a reply message", method)
}
