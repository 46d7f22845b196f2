package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Handle makes a Handler of a function of values. Protobuf messages (pointers to
// generated types) travel in their binary form or as JSON, everything else as
// JSON; encodings, if any are given, are the only ones that are read.
//
// A request says with its content-type header how it is encoded: application/json
// and what ends in +json, application/protobuf and the older names of that. One
// without it is JSON if the function takes no protobuf message; if it does, JSON
// when it begins with a brace, as no binary message of proto3 does, else binary: so
// a request that was typed by hand is understood. The reply is in the encoding of the
// request, or JSON if its type is no message, and its header says which.
//
// A body that can't be read, and one in another encoding, is InvalidArgument to the
// caller, and the function does not run. Unknown fields are skipped, an empty body
// is the zero value, and a pointer is never nil. A reply that can't be encoded is
// Internal. The request itself is had with [FromContext].
//
// Handle panics if encodings has one that Req does not have, and if Req is a message
// whose type does not say which, as *dynamicpb.Message.
func Handle[Req, Resp any](f func(context.Context, Req) (Resp, error), encodings ...Encoding) Handler {
	in, out := newCodec[Req](), newCodec[Resp]()
	in.mustMake("rpc.Handle")
	for _, e := range encodings {
		if in.fitting(e) != e || e != JSON && e != Protobuf {
			panic(fmt.Sprintf("rpc.Handle: %T does not travel as %v", *new(Req), e))
		}
	}
	if len(encodings) == 0 {
		if encodings = []Encoding{JSON}; in.message != nil {
			encodings = []Encoding{Protobuf, JSON}
		}
	}
	return func(ctx context.Context, req *Request) ([]byte, error) {
		e, err := spoken(req, encodings)
		if err != nil {
			return nil, err
		}
		v, err := in.unmarshal(e, req.Body)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "the body of %d bytes is not the %v that is wanted: %v", len(req.Body), e, err)
		}
		reply, err := f(ctx, v)
		if err != nil || !req.ReplyWanted {
			return nil, err
		}
		e = out.fitting(e)
		body, err := out.marshal(e, reply)
		if err != nil {
			return nil, status.Errorf(codes.Internal, "the reply can't be encoded: %v", err)
		}
		req.replyIs(e)
		return body, nil
	}
}

// replyIs says in the reply's headers how it is encoded, beside what the function
// says there.
func (r *Request) replyIs(e Encoding) {
	if len(r.replyHeaders) == 0 {
		r.replyHeaders = e.headers()
		return
	}
	r.replyHeaders = maps.Clone(r.replyHeaders)
	maps.Copy(r.replyHeaders, e.headers())
}

// spoken is the encoding of a request, which must be one of encodings. The first is
// for a request that does not say, unless it can only be the other.
func spoken(req *Request, encodings []Encoding) (Encoding, error) {
	said, is := req.Headers[headerContentType]
	if !is || said == "" {
		if len(req.Body) > 0 && req.Body[0] == '{' && slices.Contains(encodings, JSON) {
			return JSON, nil // as binary it would begin a group, which only proto2 has
		}
		return encodings[0], nil
	}
	if e := encodingOf(said); slices.Contains(encodings, e) {
		return e, nil
	}
	var names []string
	for _, e := range encodings {
		names = append(names, e.ContentType())
	}
	return 0, status.Errorf(codes.InvalidArgument, "the content-type is %.100q: only %s is read here", said, strings.Join(names, " or "))
}
