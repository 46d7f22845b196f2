package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
)

// Invoke sends a value to queue and waits for one in reply, as [Caller.Do] does
// with bodies. A protobuf message travels in its binary form, or with [JSON] among
// the options as that; everything else travels as JSON. The content-type header
// says so. The reply is read as its header says; without one, in the encoding of the
// request, or as JSON if Resp is no protobuf message.
//
// Resp comes first among the types, so that the other need not be named:
//
//	sum, err := rpc.Invoke[Sum](ctx, caller, "add", Numbers{1, 2})
//
// The error is that of Do; for a request that can't be encoded, an *[Error] of
// OriginLocal with the code InvalidArgument; for a reply that can't be read, one of
// OriginHandler with the code Internal. Invoke panics if Resp is a message whose type
// does not say which, as *dynamicpb.Message.
func Invoke[Resp, Req any](ctx context.Context, c *Caller, queue string, req Req, opts ...CallOption) (Resp, error) {
	var none Resp
	in, out := newCodec[Req](), newCodec[Resp]()
	out.mustMake("rpc.Invoke")
	e := in.natural()
	for _, o := range opts {
		if asked, is := o.(Encoding); is {
			e = asked
		}
	}
	body, err := in.marshal(e, req)
	if err != nil {
		return none, &Error{Origin: OriginLocal, Queue: queue, code: codes.InvalidArgument, cause: fmt.Errorf("the request can't be encoded as %v: %w", e, err)}
	}
	all := make([]CallOption, 0, len(opts)+1)
	res, err := c.Do(ctx, Request{Queue: queue, Body: body}, append(append(all, e), opts...)...)
	if err != nil {
		return none, err
	}
	e = out.fitting(e)
	if said := res.Headers[headerContentType]; said != "" {
		if e = encodingOf(said); out.fitting(e) != e || e == 0 {
			return none, unreadable(queue, fmt.Errorf("the reply's content-type is %.100q, which %T does not have", said, none))
		}
	}
	reply, err := out.unmarshal(e, res.Body)
	if err != nil {
		return none, unreadable(queue, fmt.Errorf("the reply of %d bytes is not the %v that is wanted: %w", len(res.Body), e, err))
	}
	return reply, nil
}

// unreadable is for a reply that is not what its caller can read.
func unreadable(queue string, cause error) *Error {
	return &Error{Origin: OriginHandler, Queue: queue, code: codes.Internal, cause: cause}
}
