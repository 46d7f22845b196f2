package rpc

import (
	"context"
	"maps"
)

// The headers of W3C Trace Context: which trace a request belongs to, and what the
// vendors of tracing systems add to that.
const (
	headerTraceparent = "traceparent"
	headerTracestate  = "tracestate"

	// A traceparent of version 00 has so many bytes. A longer tracestate than this
	// need not be passed on (W3C Trace Context, 2.2 and 3.3.1.5).
	lenTraceparent = 55
	maxTracestate  = 512
	// maxTracedHeaders leaves room for the two among the protocol's 64.
	maxTracedHeaders = 62
)

// requestKey is under what a handler's context has its *Request.
type requestKey struct{}

// FromContext is the request that a handler with this context answers; false in
// the context of anybody else. It must not be changed.
func FromContext(ctx context.Context) (*Request, bool) {
	req, ok := ctx.Value(requestKey{}).(*Request)
	return req, ok
}

// traced are the headers of a call that is made in ctx. In a handler's context it
// belongs to the trace of the handler's request, unless its own headers say
// otherwise. headers is not changed.
func traced(ctx context.Context, headers map[string]string) map[string]string {
	req, _ := ctx.Value(requestKey{}).(*Request)
	if req == nil {
		return headers
	}
	parent := req.Headers[headerTraceparent]
	_, own := headers[headerTraceparent]
	_, ownState := headers[headerTracestate]
	if own || ownState || len(parent) != lenTraceparent || len(headers) > maxTracedHeaders {
		return headers
	}
	all := make(map[string]string, len(headers)+2)
	maps.Copy(all, headers)
	all[headerTraceparent] = parent
	if state := req.Headers[headerTracestate]; state != "" && len(state) <= maxTracestate {
		all[headerTracestate] = state
	}
	return all
}
