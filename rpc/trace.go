package rpc

import (
	"context"
	"maps"

	"github.com/d3b0a776/switch/client"
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

// belong makes a call in a handler's context one for the handler's request: it ends
// with that, and belongs to its trace, unless it says otherwise.
func belong(ctx context.Context, m *client.Message) {
	req, _ := FromContext(ctx)
	switch {
	case m.Parent == noParent:
		m.Parent = ""
	case req != nil && m.Parent == "":
		m.Parent = req.MessageID
	}
	if req != nil {
		m.Headers = traced(req, m.Headers)
	}
}

// traced are the headers of a call that is made for req, whose trace it belongs to,
// unless its own headers say otherwise. headers is not changed.
func traced(req *Request, headers map[string]string) map[string]string {
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
