package rpc_test

import (
	"context"
	"maps"
	"testing"

	"github.com/d3b0a776/switch/rpc"
)

// A call that a handler makes belongs to the trace of its request.
func TestTraceFlowsThroughHandlers(t *testing.T) {
	const parent, other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	type key struct{}
	for _, test := range []struct {
		name      string
		root, own map[string]string // headers of the call, and those of the one that its handler makes
		in        func(context.Context) context.Context
		want      map[string]string
	}{
		{name: "none"},
		{name: "flows", root: map[string]string{"traceparent": parent, "other": "x"}, want: map[string]string{"traceparent": parent}},
		{name: "with its state", root: map[string]string{"traceparent": parent, "tracestate": "a=1"}, want: map[string]string{"traceparent": parent, "tracestate": "a=1"}},
		{name: "beside others", root: map[string]string{"traceparent": parent}, own: map[string]string{"other": "y"},
			want: map[string]string{"traceparent": parent, "other": "y"}},
		{name: "its own", root: map[string]string{"traceparent": parent, "tracestate": "a=1"}, own: map[string]string{"traceparent": other},
			want: map[string]string{"traceparent": other}},
		{name: "in a context of the handler's", root: map[string]string{"traceparent": parent}, want: map[string]string{"traceparent": parent},
			in: func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, 1) }},
		{name: "in a context that ends later", root: map[string]string{"traceparent": parent}, want: map[string]string{"traceparent": parent},
			in: context.WithoutCancel},
		{name: "in another context", root: map[string]string{"traceparent": parent},
			in: func(context.Context) context.Context { return context.Background() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				got := make(chan map[string]string, 1)
				w.serve("inner", func(_ context.Context, req *rpc.Request) ([]byte, error) {
					got <- req.Headers
					return nil, nil
				})
				own := maps.Clone(test.own)
				w.serve("outer", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
					if test.in != nil {
						ctx = test.in(ctx)
					}
					_, err := w.caller.Do(ctx, rpc.Request{Queue: "inner", Headers: own})
					return nil, err
				})
				if _, err := w.caller.Do(t.Context(), rpc.Request{Queue: "outer", Headers: test.root}); err != nil {
					t.Fatal(err)
				}
				if headers := <-got; !maps.Equal(headers, test.want) {
					t.Errorf("the inner request has the headers %v, want %v", headers, test.want)
				}
				if !maps.Equal(own, test.own) {
					t.Errorf("the handler's own map became %v", own)
				}
			})
		})
	}
}
