package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

type (
	name     struct{ First, Last string }
	greeting struct {
		Text string `json:"text"`
	}
)

func greet(_ context.Context, n name) (greeting, error) {
	if n.First == "" {
		return greeting{}, status.Error(codes.NotFound, "nobody")
	}
	return greeting{"hello " + n.First}, nil
}

// explain is a handler of protobuf messages.
func explain(_ context.Context, in *errdetails.ErrorInfo) (*errdetails.LocalizedMessage, error) {
	return &errdetails.LocalizedMessage{Locale: "en", Message: in.GetReason() + " of " + in.GetDomain()}, nil
}

// Values go there and back, in both encodings, whatever they are.
func TestInvoke(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("greet", rpc.Handle(greet))
		w.serve("greet pointers", rpc.Handle(func(ctx context.Context, n *name) (*greeting, error) {
			g, err := greet(ctx, *n)
			return &g, err
		}))
		w.serve("explain", rpc.Handle(explain))
		w.serve("sum", rpc.Handle(func(_ context.Context, ns []int) (sum int, err error) {
			for _, n := range ns {
				sum += n
			}
			return sum, nil
		}))
		w.serve("wait", rpc.Handle(func(_ context.Context, seconds int) (*durationpb.Duration, error) {
			return durationpb.New(time.Duration(seconds) * time.Second), nil
		}))
		w.serve("seconds", rpc.Handle(func(_ context.Context, d *durationpb.Duration) (float64, error) {
			return d.AsDuration().Seconds(), nil
		}))
		ctx := t.Context()

		got, err := rpc.Invoke[greeting](ctx, w.caller, "greet", name{First: "Ann"})
		equal(t, got, greeting{"hello Ann"}, err)
		byPointer, err := rpc.Invoke[*greeting](ctx, w.caller, "greet pointers", &name{First: "Ann"})
		equal(t, *byPointer, greeting{"hello Ann"}, err)
		sum, err := rpc.Invoke[int](ctx, w.caller, "sum", []int{1, 2, 3})
		equal(t, sum, 6, err)
		sum, err = rpc.Invoke[int, []int](ctx, w.caller, "sum", nil)
		equal(t, sum, 0, err)
		for _, opts := range [][]rpc.CallOption{nil, {rpc.Protobuf}, {rpc.JSON}, {rpc.Timeout(time.Second), rpc.JSON}} {
			said, err := rpc.Invoke[*errdetails.LocalizedMessage](ctx, w.caller, "explain", &errdetails.ErrorInfo{Reason: "LATE", Domain: "trains"}, opts...)
			equal(t, said.GetLocale()+" "+said.GetMessage(), "en LATE of trains", err)
			d, err := rpc.Invoke[float64](ctx, w.caller, "seconds", durationpb.New(1500*time.Millisecond), opts...)
			equal(t, d, 1.5, err)
			none, err := rpc.Invoke[*errdetails.LocalizedMessage, *errdetails.ErrorInfo](ctx, w.caller, "explain", nil, opts...)
			equal(t, none.GetMessage(), " of ", err)
		}
		d, err := rpc.Invoke[*durationpb.Duration](ctx, w.caller, "wait", 3)
		equal(t, d.AsDuration(), 3*time.Second, err)
		if _, err = rpc.Invoke[greeting](ctx, w.caller, "greet", name{}); status.Code(err) != codes.NotFound {
			t.Errorf("the handler's error became %v", err)
		}
	})
}

func equal[T comparable](t *testing.T, got, want T, err error) {
	t.Helper()
	if got != want || err != nil {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

// A handler reads what says what it is, in the words that are in use, and what can
// only be one thing; it refuses the rest and says why.
func TestHandleReads(t *testing.T) {
	binary, err := proto.Marshal(&errdetails.ErrorInfo{Reason: "LATE", Domain: "trains"})
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"reason":"LATE","domain":"trains","since":"noon"}` // who writes it knows a field more
	says := `{"locale":"en","message":"LATE of trains"}`
	inBinary, err := proto.Marshal(&errdetails.LocalizedMessage{Locale: "en", Message: "LATE of trains"})
	if err != nil {
		t.Fatal(err)
	}
	fake(t, func(t *testing.T, w *world) {
		w.serve("both", rpc.Handle(explain))
		w.serve("json only", rpc.Handle(explain, rpc.JSON))
		w.serve("binary only", rpc.Handle(explain, rpc.Protobuf))
		w.serve("json", rpc.Handle(greet))
		w.serve("string", rpc.Handle(func(_ context.Context, v *wrapperspb.StringValue) (*wrapperspb.StringValue, error) { return v, nil }))
		for _, c := range []struct {
			queue, contentType, body string
			want                     string // in an error: a part of it
			code                     codes.Code
		}{
			{queue: "both", body: string(binary), want: string(inBinary)},
			{queue: "both", body: text, want: says},
			{queue: "both", body: "", want: mustMarshal(t, &errdetails.LocalizedMessage{Locale: "en", Message: " of "})},
			{queue: "both", contentType: "application/json", body: "", want: `{"locale":"en","message":" of "}`},
			{queue: "both", contentType: "application/json; charset=utf-8", body: text, want: says},
			{queue: "both", contentType: "application/protobuf+json", body: text, want: says},
			{queue: "both", contentType: "Application/JSON", body: " " + text, want: says},
			{queue: "both", contentType: "application/x-protobuf", body: string(binary), want: string(inBinary)},
			{queue: "both", contentType: "application/protobuf", body: string(binary), want: string(inBinary)},
			{queue: "both", contentType: "application/protobuf", body: text, code: codes.InvalidArgument, want: "is not the protobuf that is wanted"},
			{queue: "both", contentType: "application/json", body: string(binary), code: codes.InvalidArgument, want: "is not the JSON that is wanted"},
			{queue: "both", contentType: "application/json", body: `{"reason":1}`, code: codes.InvalidArgument, want: "reason"},
			{queue: "both", contentType: "text/plain", body: text, code: codes.InvalidArgument,
				want: `the content-type is "text/plain": only application/protobuf or application/json is read here`},
			{queue: "both", contentType: ";;", body: text, code: codes.InvalidArgument, want: "content-type"},
			{queue: "json only", body: text, want: says},
			{queue: "json only", contentType: "application/protobuf", body: string(binary), code: codes.InvalidArgument, want: "only application/json is read here"},
			{queue: "binary only", body: string(binary), want: string(inBinary)},
			{queue: "binary only", body: text, code: codes.InvalidArgument, want: "protobuf"},
			{queue: "json", body: `{"First":"Ann","Age":7}`, want: `{"text":"hello Ann"}`},
			{queue: "json", body: `{"First":"Ann"}{}`, code: codes.InvalidArgument, want: "after top-level value"},
			{queue: "json", body: `{"First":7}`, code: codes.InvalidArgument, want: "First"},
			{queue: "json", body: ``, code: codes.NotFound, want: "nobody"},
			{queue: "json", contentType: "application/protobuf", body: string(binary), code: codes.InvalidArgument, want: "only application/json"},
			{queue: "string", contentType: "application/json", body: `"x"`, want: `"x"`},
		} {
			headers := map[string]string{}
			if c.contentType != "" {
				headers["content-type"] = c.contentType
			}
			res, err := w.caller.Do(t.Context(), rpc.Request{Queue: c.queue, Body: []byte(c.body), Headers: headers})
			switch {
			case status.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("%s, %q, %q: %v, want %v and %q", c.queue, c.contentType, c.body, err, c.code, c.want)
			case err == nil && string(res.Body) != c.want:
				t.Errorf("%s, %q, %q: %q, want %q", c.queue, c.contentType, c.body, res.Body, c.want)
			case err == nil && strings.HasPrefix(c.want, "{") && res.Headers["content-type"] != "application/json",
				err == nil && c.want == string(inBinary) && res.Headers["content-type"] != "application/protobuf":
				t.Errorf("%s, %q, %q: the reply says that it is %v", c.queue, c.contentType, c.body, res.Headers)
			}
		}
	})
}

func mustMarshal(t *testing.T, m proto.Message) string {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What can't be encoded or read says who could not.
func TestInvokeFails(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return []byte("no JSON"), nil })
		w.serve("nan", rpc.Handle(func(context.Context, int) (float64, error) { return math.NaN(), nil }))
		fails := func(what string, err error, origin rpc.Origin, code codes.Code) {
			t.Helper()
			if e := (*rpc.Error)(nil); !errors.As(err, &e) || e.Origin != origin || status.Code(err) != code {
				t.Errorf("%s: %v with %v, want %v and %v", what, err, status.Code(err), origin, code)
			}
		}
		_, err := rpc.Invoke[int](t.Context(), w.caller, "q", func() {})
		w.serve("text", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			req.SetReplyHeaders(map[string]string{"content-type": req.Headers["say"]})
			return nil, nil
		})
		fails("a function", err, rpc.OriginLocal, codes.InvalidArgument)
		_, err = rpc.Invoke[int](t.Context(), w.caller, "q", 1, rpc.Protobuf)
		fails("a number as protobuf", err, rpc.OriginLocal, codes.InvalidArgument)
		_, err = rpc.Invoke[int](t.Context(), w.caller, "q", 1)
		fails("a reply that is no JSON", err, rpc.OriginHandler, codes.Internal)
		_, err = rpc.Invoke[*structpb.Struct](t.Context(), w.caller, "q", &structpb.Struct{})
		fails("a reply that is no message", err, rpc.OriginHandler, codes.Internal)
		for said, fine := range map[string]bool{"text/plain": false, "application/protobuf": false, "application/json": true, "": true} {
			_, err := rpc.Invoke[int](t.Context(), w.caller, "text", 1, rpc.WithHeaders(map[string]string{"say": said}))
			if fine && err != nil {
				t.Errorf("a reply that says that it is %q: %v", said, err)
			}
			if !fine {
				fails("a reply that says that it is "+said, err, rpc.OriginHandler, codes.Internal)
			}
		}
		_, err = rpc.Invoke[float64](t.Context(), w.caller, "nan", 1)
		fails("a reply that is no JSON value", err, rpc.OriginHandler, codes.Internal)
		_, err = rpc.Invoke[float64](t.Context(), w.caller, "nowhere", 1)
		fails("no queue", err, rpc.OriginSwitch, codes.NotFound)
	})
}

// What a function says in the reply's headers stays there.
func TestHandleKeepsHeaders(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("own headers", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			own := map[string]string{"own": "x"}
			body, err := rpc.Handle(func(context.Context, int) (int, error) {
				req.SetReplyHeaders(own)
				return 1, nil
			})(ctx, req)
			if len(own) != 1 {
				t.Errorf("the handler's own map became %v", own)
			}
			return body, err
		})
		if res, err := w.caller.Do(t.Context(), rpc.Request{Queue: "own headers"}); err != nil || res.Headers["own"] != "x" || res.Headers["content-type"] != "application/json" {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// An encoding that a type does not have, and a type that can't be read, are noticed
// when the handler is made.
func TestHandlePanics(t *testing.T) {
	for says, makes := range map[string]func(){
		"rpc_test.name does not travel as protobuf": func() { rpc.Handle(greet, rpc.Protobuf) },
		"does not travel as Encoding(7)":            func() { rpc.Handle(explain, rpc.Encoding(7)) },
		"does not say which message it is": func() {
			rpc.Handle(func(context.Context, *dynamicpb.Message) (string, error) { return "", nil })
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, says) {
					t.Errorf("panic with %q, want %q", got, says)
				}
			}()
			makes()
		}()
	}
}

// Without a reply-to, what the function returns goes nowhere.
func TestHandleWithoutReply(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		got := make(chan name, 1)
		s := w.serve("q", rpc.Handle(func(ctx context.Context, n name) (func(), error) { // which could not be encoded
			req, _ := rpc.FromContext(ctx)
			got <- name{n.First, req.MessageID}
			return func() {}, nil
		}))
		receipt, err := w.client.Send(t.Context(), "q", client.Message{Body: []byte(`{"First":"Ann"}`)})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, <-got, name{"Ann", receipt.MessageID}, nil)
		w.await(func() bool { return w.describe("q").Counters.Acked == 1 })
		if s.mu.Lock(); len(s.problems) > 0 {
			t.Errorf("OnError got %v", s.problems)
		}
		s.mu.Unlock()
	})
}

// Functions of values, on both sides.
func ExampleHandle() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	type Numbers struct{ A, B int }
	type Sum struct{ Sum int }

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- rpc.Serve(ctx, c, "add", rpc.Handle(func(ctx context.Context, n Numbers) (Sum, error) {
			return Sum{n.A + n.B}, nil
		}))
	}()
	caller := rpc.NewCaller(c)
	defer caller.Close()

	sum, err := rpc.Invoke[Sum](ctx, caller, "add", Numbers{1, 2}, rpc.CreateQueue(client.QueueOptions{}))
	fmt.Println(sum, err)
	reply, err := caller.Call(ctx, "add", []byte(`{"A": 3, "B": 4}`)) // as anybody may
	fmt.Println(string(reply), err)
	_, err = caller.Call(ctx, "add", []byte("three and four"))
	fmt.Println(status.Code(err))

	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// {3} <nil>
	// {"Sum":7} <nil>
	// InvalidArgument
}
