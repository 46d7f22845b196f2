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
)

// requestKey is under what a handler's context has its *Request.
type requestKey struct{}

// traced are the headers of a call that is made in ctx. In a handler's context it
// belongs to the trace of the handler's request, unless its own headers say
// otherwise. headers is not changed.
func traced(ctx context.Context, headers map[string]string) map[string]string {
	req, _ := ctx.Value(requestKey{}).(*Request)
	if req == nil {
		return headers
	}
	parent := req.Headers[headerTraceparent]
	if _, own := headers[headerTraceparent]; own || parent == "" {
		return headers
	}
	all := make(map[string]string, len(headers)+2)
	maps.Copy(all, headers)
	all[headerTraceparent] = parent
	if state := req.Headers[headerTracestate]; state != "" {
		all[headerTracestate] = state
	}
	return all
}
