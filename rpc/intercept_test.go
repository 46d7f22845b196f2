package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

// noting notes when a call passes, there and back.
func noting(notes *[]string, name string) rpc.CallInterceptor {
	return func(next rpc.CallFunc) rpc.CallFunc {
		return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Response, error) {
			*notes = append(*notes, name+" "+req.Queue+" "+string(req.Body))
			res, err := next(ctx, req, opts...)
			*notes = append(*notes, name+" back")
			return res, err
		}
	}
}

// The first interceptor is the outermost, on both sides, and Call, Do and their
// options go through all of them.
func TestInterceptorsStandInOrder(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var calling, serving []string
		around := func(name string) rpc.ServeInterceptor {
			return func(next rpc.Handler) rpc.Handler {
				return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
					serving = append(serving, name+" "+req.Headers["h"])
					body, err := next(ctx, req)
					serving = append(serving, name+" back")
					return append(body, name...), err
				}
			}
		}
		w.serve("q", echo, rpc.InterceptServing(around("a"), around("b")), rpc.InterceptServing(around("c")))
		caller := rpc.NewCaller(w.client, rpc.InterceptCalls(noting(&calling, "1"), noting(&calling, "2")), rpc.InterceptCalls(noting(&calling, "3")))
		defer caller.Close()
		body, err := caller.Call(t.Context(), "q", []byte("x"), rpc.WithHeaders(map[string]string{"h": "v"}))
		if string(body) != "xcba" || err != nil {
			t.Errorf("Call gave %q, %v", body, err)
		}
		want := []string{"1 q x", "2 q x", "3 q x", "3 back", "2 back", "1 back"}
		if !slices.Equal(calling, want) {
			t.Errorf("calling: %q, want %q", calling, want)
		}
		if want := []string{"a v", "b v", "c v", "c back", "b back", "a back"}; !slices.Equal(serving, want) {
			t.Errorf("serving: %q, want %q", serving, want)
		}
		calling = nil
		if res, err := caller.Do(t.Context(), rpc.Request{Queue: "q", Body: []byte("y")}); err != nil || string(res.Body) != "ycba" || !slices.Equal(calling[:1], []string{"1 q y"}) {
			t.Errorf("Do gave %+v, %v and %q", res, err, calling)
		}
	})
}

// An interceptor may change what goes through it, answer in place of the next, and
// call that again.
func TestInterceptorsMayInterfere(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		errOwn := errors.New("not today")
		var tries int
		w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			if tries++; tries < 3 {
				return nil, status.Error(codes.Unavailable, "not yet")
			}
			return fmt.Appendf(nil, "%s %s", req.Headers["who"], req.Body), nil
		}, rpc.InterceptServing(func(next rpc.Handler) rpc.Handler {
			return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
				if req.Headers["who"] == "" {
					return nil, status.Error(codes.Unauthenticated, "who is there?")
				}
				return next(ctx, req)
			}
		}))
		retrying := func(next rpc.CallFunc) rpc.CallFunc {
			return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Response, error) {
				for {
					res, err := next(ctx, req, opts...)
					if status.Code(err) != codes.Unavailable {
						return res, err
					}
				}
			}
		}
		naming := func(next rpc.CallFunc) rpc.CallFunc {
			return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Response, error) {
				switch string(req.Body) {
				case "refused":
					return nil, errOwn
				case "cached":
					return &rpc.Response{Body: []byte("from memory")}, nil
				}
				return next(ctx, req, append(opts, rpc.WithHeaders(map[string]string{"who": "me"}))...)
			}
		}
		caller := rpc.NewCaller(w.client, rpc.InterceptCalls(retrying, naming))
		defer caller.Close()
		for body, want := range map[string]string{"x": "me x <nil>", "refused": " not today", "cached": "from memory <nil>"} {
			got, err := caller.Call(t.Context(), "q", []byte(body))
			if text := fmt.Sprintf("%s %v", got, err); text != want {
				t.Errorf("%s gave %q, want %q", body, text, want)
			}
		}
		if tries != 3 {
			t.Errorf("the handler ran %d times", tries)
		}
		if _, err := w.caller.Call(t.Context(), "q", []byte("x")); status.Code(err) != codes.Unauthenticated {
			t.Errorf("another caller got %v", err)
		}
	})
}

// Interceptors of streams see how they begin, and learn how they end: with a reply,
// with a failure, or given up, also by nobody's receiving.
func TestStreamInterceptors(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			switch string(req.Body) + req.Headers["h"] {
			case "goodv":
				return []byte("end"), req.Stream().Send(part("a part"))
			case "badv":
				return nil, status.Error(codes.NotFound, "nothing")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		var notes []string
		ends := make(chan error, 1)
		watching := func(name string) rpc.StreamInterceptor {
			return func(next rpc.StreamFunc) rpc.StreamFunc {
				return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Stream, error) {
					notes = append(notes, name+" "+string(req.Body))
					if string(req.Body) == "refused" {
						return nil, errors.New("not today")
					}
					s, err := next(ctx, req, append(opts, rpc.WithHeaders(map[string]string{"h": "v"}))...)
					if err == nil && name == "1" {
						if s.Context().Err() != nil || s.Err() != nil {
							t.Errorf("%s ended with %v as it began", req.Body, s.Err())
						}
						context.AfterFunc(s.Context(), func() { ends <- s.Err() })
					}
					return s, err
				}
			}
		}
		caller := rpc.NewCaller(w.client, rpc.InterceptStreams(watching("1"), watching("2")))
		defer caller.Close()
		for body, want := range map[string]codes.Code{"good": codes.OK, "bad": codes.NotFound, "closed": codes.Canceled, "late": codes.DeadlineExceeded} {
			notes = nil
			s, err := caller.Stream(t.Context(), rpc.Request{Queue: "q", Body: []byte(body)}, rpc.Timeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if body == "closed" {
				_ = s.Close()
			}
			if err := <-ends; status.Code(err) != want {
				t.Errorf("%s: it learnt of %v, want %v", body, err, want)
			}
			if want := []string{"1 " + body, "2 " + body}; !slices.Equal(notes, want) {
				t.Errorf("the interceptors saw %q, want %q", notes, want)
			}
			_ = s.Close()
		}
		if _, err := caller.Stream(t.Context(), rpc.Request{Queue: "q", Body: []byte("refused")}); err == nil || err.Error() != "not today" {
			t.Errorf("got %v", err)
		}
	})
}

// A panic of an interceptor is that of a handler, and one of the program's own
// side is the program's.
func TestInterceptorsPanic(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.serve("q", echo, rpc.InterceptServing(func(rpc.Handler) rpc.Handler {
			return func(context.Context, *rpc.Request) ([]byte, error) { panic("oh") }
		}))
		if _, err := w.caller.Call(t.Context(), "q", nil); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "oh") {
			t.Errorf("the caller got %v", err)
		}
		if s.mu.Lock(); len(s.problems) != 1 || !strings.Contains(s.problems[0].Error(), "oh") {
			t.Errorf("OnError got %v", s.problems)
		}
		s.mu.Unlock()
		caller := rpc.NewCaller(w.client, rpc.InterceptCalls(func(rpc.CallFunc) rpc.CallFunc {
			return func(context.Context, rpc.Request, ...rpc.CallOption) (*rpc.Response, error) { panic("ah") }
		}))
		defer caller.Close()
		defer func() {
			if got := recover(); got != "ah" {
				t.Errorf("the program got %v", got)
			}
		}()
		_, _ = caller.Call(t.Context(), "q", nil)
	})
}

// A handler's context leads to its request, and to no other.
func TestFromContext(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var got, given *rpc.Request
		var is bool
		w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			got, is = rpc.FromContext(context.WithoutCancel(ctx))
			given = req
			return nil, nil
		})
		if _, err := w.caller.Call(t.Context(), "q", []byte("x")); err != nil || !is || got != given {
			t.Errorf("%v: the handler of %p found %p", err, given, got)
		}
		if req, is := rpc.FromContext(t.Context()); is || req != nil {
			t.Errorf("the test found %v", req)
		}
	})
}

// Interceptors do for all calls, and for all requests, what would else be said in
// each of them.
func ExampleInterceptServing() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	logging := func(next rpc.Handler) rpc.Handler {
		return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			body, err := next(ctx, req)
			fmt.Printf("%s from %s: %v\n", req.Body, req.Headers["user"], status.Code(err))
			return body, err
		}
	}
	signing := func(next rpc.CallFunc) rpc.CallFunc {
		return func(ctx context.Context, req rpc.Request, opts ...rpc.CallOption) (*rpc.Response, error) {
			return next(ctx, req, append(opts, rpc.WithHeaders(map[string]string{"user": "alice"}))...)
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- rpc.Serve(ctx, c, "upper", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			return []byte(strings.ToUpper(string(req.Body))), nil
		}, rpc.InterceptServing(logging))
	}()
	caller := rpc.NewCaller(c, rpc.InterceptCalls(signing))
	defer caller.Close()
	reply, err := caller.Call(ctx, "upper", []byte("hello"), rpc.CreateQueue(client.QueueOptions{}))
	fmt.Println(string(reply), err)

	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello from alice: OK
	// HELLO <nil>
}
