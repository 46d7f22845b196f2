package otelrpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/otelrpc"
	"github.com/d3b0a776/switch/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a switch whose callers and servers make spans.
type world struct {
	*testing.T
	sw     *servertest.Switch
	spans  *tracetest.InMemoryExporter
	tracer trace.Tracer
	config otelrpc.Config
	client *client.Client
	caller *rpc.Caller
}

// traced plays a test in fake time.
func traced(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, sw: servertest.New(t), spans: tracetest.NewInMemoryExporter()}
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(w.spans))
		w.config = otelrpc.Config{TracerProvider: provider}
		w.tracer = provider.Tracer("test")
		w.client = w.dial()
		w.caller = rpc.NewCaller(w.client, rpc.InterceptCalls(otelrpc.Calls(w.config)), rpc.InterceptStreams(otelrpc.Streams(w.config)))
		t.Cleanup(func() { _ = w.caller.Close() })
		test(w)
	})
}

func (w *world) dial() *client.Client {
	c, err := client.New(client.Config{Conn: w.sw.Conn()})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// serve serves a queue until the test ends. ctx gives the handlers their values.
func (w *world) serve(ctx context.Context, queue string, h rpc.Handler, opts ...rpc.ServeOption) {
	w.Helper()
	if _, err := w.client.Create(w.Context(), queue, client.QueueOptions{}); err != nil {
		w.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	served, c := make(chan error), w.dial()
	go func() { served <- rpc.Serve(ctx, c, queue, h, opts...) }() // the server; the cleanup waits for it
	w.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			w.Errorf("serving queue %s: %v", queue, err)
		}
	})
}

// spanned is the option with which a server makes spans.
func (w *world) spanned() rpc.ServeOption { return rpc.InterceptServing(otelrpc.Serving(w.config)) }

// span is the one with a name, once all that is under way has ended.
func (w *world) span(name string) tracetest.SpanStub {
	w.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	all := w.spans.GetSpans()
	if i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Name == name }); i >= 0 {
		return all[i]
	}
	w.Fatalf("there is no span %q in %v", name, names(all))
	panic("unreachable")
}

func names(spans tracetest.SpanStubs) (all []string) {
	for _, s := range spans {
		all = append(all, s.Name)
	}
	return all
}

// value is an attribute as text; empty without it.
func value(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

// wants compares attributes.
func (w *world) wants(s tracetest.SpanStub, want map[string]string) {
	w.Helper()
	for k, v := range want {
		if got := value(s, k); got != v {
			w.Errorf("%s: %s is %q, want %q", s.Name, k, got, v)
		}
	}
}

// One trace goes from the program over caller, queue and handler to the handler's
// own call, and each span hangs where it should.
func TestOneTrace(t *testing.T) {
	traced(t, func(w *world) {
		startup, began := w.tracer.Start(w.Context(), "startup") // is no part of any request
		defer began.End()
		w.serve(startup, "inner", func(context.Context, *rpc.Request) ([]byte, error) { return []byte("y"), nil }, w.spanned())
		w.serve(startup, "outer", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(3 * time.Second)
			return w.caller.Call(ctx, "inner", []byte("abc"))
		}, w.spanned(), rpc.Concurrency(1))
		other := rpc.NewCaller(w.client)
		w.Cleanup(func() { _ = other.Close() })
		go func() { _, _ = other.Call(w.Context(), "outer", nil) }() // keeps the handler busy, without a trace; ends with the test's switch
		time.Sleep(time.Second)
		ctx, root := w.tracer.Start(w.Context(), "program")
		reply, err := w.caller.Call(ctx, "outer", []byte("hello"))
		if string(reply) != "y" || err != nil {
			t.Fatalf("got %q, %v", reply, err)
		}
		root.End()
		time.Sleep(time.Minute)
		var mine tracetest.SpanStubs
		for _, s := range w.spans.GetSpans() {
			if s.SpanContext.TraceID() == root.SpanContext().TraceID() {
				mine = append(mine, s)
			}
		}
		by := map[string]tracetest.SpanStub{}
		for _, s := range mine {
			by[s.Name] = s
		}
		parents := map[string]string{"call outer": "program", "wait outer": "call outer", "serve outer": "call outer", "call inner": "serve outer",
			"wait inner": "call inner", "serve inner": "call inner"}
		for child, parent := range parents {
			if c, p := by[child], by[parent]; !c.SpanContext.IsValid() || c.Parent.SpanID() != p.SpanContext.SpanID() {
				t.Errorf("%s does not hang on %s", child, parent)
			}
		}
		if len(mine) != len(parents)+1 {
			t.Errorf("the trace is %v", names(mine))
		}
		call, wait, serve := by["call outer"], by["wait outer"], by["serve outer"]
		if call.SpanKind != trace.SpanKindClient || wait.SpanKind != trace.SpanKindInternal || serve.SpanKind != trace.SpanKindServer {
			t.Errorf("the kinds are %v, %v, %v", call.SpanKind, wait.SpanKind, serve.SpanKind)
		}
		waited, served := wait.EndTime.Sub(wait.StartTime), serve.EndTime.Sub(serve.StartTime)
		if waited != 2*time.Second || served != 3*time.Second || !wait.EndTime.Equal(serve.StartTime) {
			t.Errorf("it waited %v and was served for %v, want 2s and 3s", waited, served)
		}
		w.wants(call, map[string]string{"messaging.system": "messageswitch", "messaging.destination.name": "outer", "messaging.message.body.size": "5",
			"messaging.operation.type": "send", "rpc.response.status_code": "OK", "error.type": ""})
		w.wants(serve, map[string]string{"messaging.destination.name": "outer", "messaging.message.body.size": "5", "messageswitch.attempt": "1",
			"messaging.operation.type": "process", "rpc.response.status_code": "OK"})
		if id := value(serve, "messaging.message.id"); id == "" || value(wait, "messaging.message.id") != id {
			t.Errorf("the message is %q", id)
		}
		for _, s := range w.spans.GetSpans() {
			if s.Parent.SpanID() == began.SpanContext().SpanID() {
				t.Errorf("%s hangs on what Serve was called in", s.Name)
			}
		}
	})
}

// A failure is told by both spans; it is the status of the server's where it is
// the server's fault.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		err           error
		code          string
		serverIsToo   bool
		callerIsToo   bool
		panics        bool
		origin, event string
	}{
		{err: status.Error(codes.NotFound, "no account"), code: "NOT_FOUND", callerIsToo: true, origin: "handler", event: "no account"},
		{err: status.Error(codes.Internal, "broken"), code: "INTERNAL", serverIsToo: true, callerIsToo: true, origin: "handler", event: "broken"},
		{err: errors.New("whatever"), code: "UNKNOWN", serverIsToo: true, callerIsToo: true, origin: "handler", event: "whatever"},
		{panics: true, code: "INTERNAL", serverIsToo: true, callerIsToo: true, origin: "handler"},
	} {
		t.Run(fmt.Sprint(c.code, c.panics), func(t *testing.T) {
			traced(t, func(w *world) {
				w.serve(w.Context(), "q", func(context.Context, *rpc.Request) ([]byte, error) {
					if c.panics {
						panic("oh")
					}
					return nil, c.err
				}, w.spanned())
				_, _ = w.caller.Call(w.Context(), "q", nil)
				call, serve := w.span("call q"), w.span("serve q")
				w.wants(call, map[string]string{"rpc.response.status_code": c.code, "error.type": c.code, "messageswitch.error.origin": c.origin})
				if c.panics {
					w.wants(serve, map[string]string{"error.type": "panic"})
				} else {
					w.wants(serve, map[string]string{"rpc.response.status_code": c.code, "error.type": c.code})
					if len(serve.Events) != 1 || !strings.Contains(fmt.Sprint(serve.Events[0].Attributes), c.event) {
						t.Errorf("the events are %v", serve.Events)
					}
				}
				if is := serve.Status.Code == otelcodes.Error; is != c.serverIsToo {
					t.Errorf("the server's status is %v", serve.Status)
				}
				if is := call.Status.Code == otelcodes.Error; is != c.callerIsToo {
					t.Errorf("the caller's status is %v", call.Status)
				}
			})
		})
	}
}

// A call that is cancelled ends its span at once, and the handler's when that
// returns; one that is refused has no other.
func TestCancelledAndRefused(t *testing.T) {
	traced(t, func(w *world) {
		w.serve(w.Context(), "q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return nil, ctx.Err()
		}, w.spanned())
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(2*time.Second, cancel)
		if _, err := w.caller.Call(ctx, "q", nil); status.Code(err) != codes.Canceled {
			t.Errorf("the call ended with %v", err)
		}
		call, serve := w.span("call q"), w.span("serve q")
		if d := call.EndTime.Sub(call.StartTime); d != 2*time.Second {
			t.Errorf("the call took %v", d)
		}
		if d := serve.EndTime.Sub(serve.StartTime); d != 3*time.Second {
			t.Errorf("the handler took %v", d)
		}
		w.wants(call, map[string]string{"rpc.response.status_code": "CANCELLED", "messageswitch.error.origin": "local"})
		w.wants(serve, map[string]string{"rpc.response.status_code": "CANCELLED"})

		if _, err := w.caller.Call(w.Context(), "nowhere", nil); !errors.Is(err, client.ErrQueueNotFound) {
			t.Errorf("the call ended with %v", err)
		}
		refused := w.span("call nowhere")
		w.wants(refused, map[string]string{"rpc.response.status_code": "NOT_FOUND", "messageswitch.error.origin": "switch"})
		if refused.Status.Code != otelcodes.Error {
			t.Errorf("its status is %v", refused.Status)
		}
	})
}

// The span of a stream lasts until the call is over, and tells how that was.
func TestStreams(t *testing.T) {
	traced(t, func(w *world) {
		w.serve(w.Context(), "q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(2 * time.Second)
			if string(req.Body) == "bad" {
				return nil, status.Error(codes.NotFound, "nothing")
			}
			return nil, req.Stream().Send(rpc.Part{Body: []byte("x")})
		}, w.spanned())
		for body, code := range map[string]string{"good": "OK", "bad": "NOT_FOUND"} {
			w.spans.Reset()
			s, err := w.caller.Stream(w.Context(), rpc.Request{Queue: "q", Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			stream, serve := w.span("stream q"), w.span("serve q")
			if d := stream.EndTime.Sub(stream.StartTime); d != 2*time.Second || serve.Parent.SpanID() != stream.SpanContext.SpanID() || stream.SpanKind != trace.SpanKindClient {
				t.Errorf("the stream took %v, its kind is %v, and the handler hangs on %v", d, stream.SpanKind, serve.Parent)
			}
			w.wants(stream, map[string]string{"rpc.response.status_code": code, "messaging.operation.name": "stream", "messaging.destination.name": "q"})
			_ = s.Close()
		}
		w.spans.Reset()
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := w.caller.Stream(ctx, rpc.Request{Queue: "q"}); status.Code(err) != codes.Canceled {
			t.Errorf("got %v", err)
		}
		w.wants(w.span("stream q"), map[string]string{"rpc.response.status_code": "CANCELLED", "messageswitch.error.origin": "local"})
	})
}

// Each attempt has spans of its own, and a message without a reply-to is consumed.
func TestAttempts(t *testing.T) {
	traced(t, func(w *world) {
		w.serve(w.Context(), "q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			if req.Attempt == 1 {
				return nil, errors.New("again")
			}
			return nil, nil
		}, w.spanned())
		if _, err := w.client.Send(w.Context(), "q", client.Message{}); err != nil {
			t.Fatal(err)
		}
		w.span("serve q")
		var kinds []trace.SpanKind
		var attempts []string
		for _, s := range w.spans.GetSpans() {
			kinds, attempts = append(kinds, s.SpanKind), append(attempts, s.Name+" "+value(s, "messageswitch.attempt"))
		}
		if want := []string{"wait q 1", "serve q 1", "wait q 2", "serve q 2"}; !slices.Equal(attempts, want) || kinds[1] != trace.SpanKindConsumer {
			t.Errorf("the spans are %v, of the kinds %v", attempts, kinds)
		}
	})
}

// Where one side makes no spans the trace goes on through it.
func TestOneSideOnly(t *testing.T) {
	traced(t, func(w *world) {
		w.serve(w.Context(), "inner", func(context.Context, *rpc.Request) ([]byte, error) { return nil, nil }, w.spanned())
		var headers map[string]string
		w.serve(w.Context(), "outer", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			headers = req.Headers
			return w.caller.Call(ctx, "inner", nil)
		})
		given := map[string]string{"own": "x"}
		if _, err := w.caller.Do(w.Context(), rpc.Request{Queue: "outer", Headers: given}); err != nil {
			t.Fatal(err)
		}
		outer, inner := w.span("call outer"), w.span("call inner")
		if inner.Parent.SpanID() != outer.SpanContext.SpanID() || !inner.Parent.IsRemote() {
			t.Errorf("call inner hangs on %v, want %v", inner.Parent, outer.SpanContext)
		}
		if len(given) != 1 || headers["own"] != "x" || !strings.Contains(headers["traceparent"], outer.SpanContext.SpanID().String()) {
			t.Errorf("the program's headers became %v, and %v travelled", given, headers)
		}
		many := map[string]string{}
		for i := range 64 {
			many[fmt.Sprint(i)] = ""
		}
		if _, err := w.caller.Do(w.Context(), rpc.Request{Queue: "inner", Headers: many}); err != nil {
			t.Errorf("a call with as many headers as there may be: %v", err)
		}
	})
}
