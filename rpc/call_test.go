package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

func TestCallReachesHandlerAndReturns(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			return fmt.Appendf(nil, "%s %s %s attempt %d wanted %v", req.Queue, req.Body, req.Headers["k"], req.Attempt, req.ReplyWanted), nil
		})
		res, err := w.caller.Do(t.Context(), rpc.Request{Queue: "q", Body: []byte("b"), Headers: map[string]string{"k": "v"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(res.Body), "q b v attempt 1 wanted true"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestRequestWaitsUntilSomebodyServes(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		call := w.call(t.Context(), "q", "hello", rpc.CreateQueue(client.QueueOptions{}))
		time.Sleep(24 * time.Hour)
		w.serve("q", echo)
		if r := <-call; r.reply != "hello" || r.err != nil {
			t.Errorf("got %+v", r)
		}
	})
}

// TestErrorsSayWhoSpoke has one row for each way in which a call can fail
// without anybody's line being cut.
func TestErrorsSayWhoSpoke(t *testing.T) {
	bg := context.Background()
	for _, c := range []struct {
		name   string
		ctx    func() (context.Context, context.CancelFunc) // nil: background
		setup  func(w *world)
		during func(w *world) // once the request is in the queue
		opts   []rpc.CallOption
		origin rpc.Origin
		code   codes.Code
		is     error
		text   string
	}{
		{name: "context over before",
			ctx: func() (context.Context, context.CancelFunc) {
				ctx, stop := context.WithCancel(bg)
				stop()
				return ctx, stop
			},
			origin: rpc.OriginLocal, code: codes.Canceled, is: context.Canceled, text: "not sent"},
		{name: "deadline",
			ctx:    func() (context.Context, context.CancelFunc) { return context.WithTimeout(bg, 2*time.Second) },
			setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
			origin: rpc.OriginLocal, code: codes.DeadlineExceeded, is: context.DeadlineExceeded, text: "no reply within 2s"},
		{name: "caller closed",
			setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
			during: func(w *world) { w.caller.Close() },
			origin: rpc.OriginLocal, code: codes.Canceled, is: client.ErrClosed},
		{name: "client closed",
			setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
			during: func(w *world) { w.client.Close() },
			origin: rpc.OriginLocal, code: codes.Canceled, is: client.ErrClosed},
		{name: "no queue",
			origin: rpc.OriginSwitch, code: codes.NotFound, is: client.ErrQueueNotFound},
		{name: "no server",
			setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
			opts:   []rpc.CallOption{rpc.RequireServer()},
			origin: rpc.OriginSwitch, code: codes.Unavailable, is: client.ErrNoConsumer},
		{name: "queue full",
			setup: func(w *world) {
				w.create("q", client.QueueOptions{MaxMessages: 1})
				if _, err := w.client.Send(bg, "q", client.Message{}); err != nil {
					w.t.Fatal(err)
				}
			},
			origin: rpc.OriginSwitch, code: codes.ResourceExhausted, is: client.ErrQueueFull},
		{name: "dropped as the oldest",
			setup: func(w *world) {
				w.create("q", client.QueueOptions{MaxMessages: 1, Overflow: client.DropOldest})
			},
			during: func(w *world) {
				if _, err := w.client.Send(bg, "q", client.Message{}); err != nil {
					w.t.Fatal(err)
				}
			},
			origin: rpc.OriginSwitch, code: codes.ResourceExhausted, is: client.ErrDropped},
		{name: "expired in the queue before the caller's own deadline",
			setup:  func(w *world) { w.create("q", client.QueueOptions{MaxAge: time.Second}) },
			origin: rpc.OriginSwitch, code: codes.DeadlineExceeded, is: client.ErrExpired},
		{name: "expired counts as the deadline",
			setup:  func(w *world) { w.create("q", client.QueueOptions{MaxAge: time.Second}) },
			origin: rpc.OriginSwitch, code: codes.DeadlineExceeded, is: context.DeadlineExceeded},
		{name: "purged",
			setup: func(w *world) { w.create("q", client.QueueOptions{}) },
			during: func(w *world) {
				if _, err := w.client.Admin().Purge(bg, "q"); err != nil {
					w.t.Fatal(err)
				}
			},
			origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrPurged},
		{name: "queue destroyed",
			setup: func(w *world) { w.create("q", client.QueueOptions{}) },
			during: func(w *world) {
				if _, err := w.client.Destroy(bg, "q"); err != nil {
					w.t.Fatal(err)
				}
			},
			origin: rpc.OriginSwitch, code: codes.NotFound, is: client.ErrQueueDestroyed},
		{name: "attempts exhausted",
			setup: func(w *world) {
				w.consume("q", client.QueueOptions{MaxAttempts: 3}, func(d *client.Delivery) error {
					return d.Retry(bg, time.Second, "no luck")
				})
			},
			origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrAttemptsExhausted},
		{name: "rejected",
			setup: func(w *world) {
				w.consume("q", client.QueueOptions{}, func(d *client.Delivery) error { return d.Reject(bg, "poison") })
			},
			origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrRejected, text: "poison"},
		{name: "handler's status",
			setup: func(w *world) {
				w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
					return nil, status.Error(codes.PermissionDenied, "not you")
				})
			},
			origin: rpc.OriginHandler, code: codes.PermissionDenied, text: "not you"},
		{name: "handler's plain error",
			setup: func(w *world) {
				w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return nil, errors.New("disk on fire") })
			},
			origin: rpc.OriginHandler, code: codes.Unknown, text: "disk on fire"},
		{name: "handler's panic",
			setup: func(w *world) {
				w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { panic("secret") })
			},
			origin: rpc.OriginHandler, code: codes.Internal, text: "panicked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				if c.setup != nil {
					c.setup(w)
				}
				ctx := bg
				if c.ctx != nil {
					var stop context.CancelFunc
					ctx, stop = c.ctx()
					defer stop()
				}
				call := w.call(ctx, "q", "body", c.opts...)
				if c.during != nil {
					w.await(func() bool { return w.describe("q").Summary.Waiting > 0 })
					c.during(w)
				}
				wantError(t, (<-call).err, c.origin, c.code, c.is, c.text)
			})
		})
	}
}

// wantError checks all that an error of a call has to say.
func wantError(t *testing.T, err error, origin rpc.Origin, code codes.Code, is error, text string) {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *rpc.Error", err)
	}
	if e.Origin != origin || status.Code(err) != code || e.Queue != "q" {
		t.Errorf("%v: origin %v, code %v, queue %q; want %v, %v", err, e.Origin, status.Code(err), e.Queue, origin, code)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v: errors.Is does not find %v", err, is)
	}
	for _, part := range []string{`"q"`, origin.String(), text} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// consume consumes the queue with f, one delivery at a time, until the test ends.
func (w *world) consume(queue string, o client.QueueOptions, f func(*client.Delivery) error) {
	w.t.Helper()
	c, _ := w.dial("consumer")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // the consumer; the cleanup waits for it
		defer close(done)
		for d, err := range c.Consume(ctx, queue, client.ConsumeOptions{Credit: 1, Create: &o}) {
			if err == nil {
				err = f(d)
			}
			if err != nil {
				w.t.Errorf("consuming %s: %v", queue, err)
				return
			}
		}
	}()
	w.t.Cleanup(func() { stop(); <-done })
	w.await(func() bool { return w.describe(queue).Summary.Consumers > 0 })
}

func TestHandlerStatusKeepsDetails(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
			s, err := status.New(codes.FailedPrecondition, "not now").WithDetails(&errdetails.ResourceInfo{ResourceName: "moon"})
			if err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("landing: %w", s.Err())
		})
		_, err := w.caller.Call(t.Context(), "q", nil)
		s, _ := status.FromError(err)
		if s.Code() != codes.FailedPrecondition || !strings.Contains(s.Message(), "not now") {
			t.Errorf("got %v", s)
		}
		if len(s.Details()) != 1 {
			t.Fatalf("details: %v", s.Details())
		}
		if d, ok := s.Details()[0].(*errdetails.ResourceInfo); !ok || d.ResourceName != "moon" {
			t.Errorf("details: %v", s.Details())
		}
	})
}

// TestHandlersEndIsNotTheCallers keeps a handler's own Canceled from looking like
// the caller's.
func TestHandlersEndIsNotTheCallers(t *testing.T) {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		fake(t, func(t *testing.T, w *world) {
			w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return nil, fmt.Errorf("deep inside: %w", end) })
			_, err := w.caller.Call(t.Context(), "q", nil)
			wantError(t, err, rpc.OriginHandler, status.FromContextError(end).Code(), nil, "deep inside")
			if errors.Is(err, end) {
				t.Errorf("%v passes for the caller's own %v", err, end)
			}
		})
	}
}

func TestDeadlineTravels(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var remote time.Time
		left := make(chan error, 1)
		w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			remote, _ = ctx.Deadline()
			<-ctx.Done()
			left <- context.Cause(ctx)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := w.caller.Call(ctx, "q", nil)
		wantError(t, err, rpc.OriginLocal, codes.DeadlineExceeded, context.DeadlineExceeded, "")
		if cause := <-left; !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended with %v", cause)
		}
		local, _ := ctx.Deadline()
		if d := remote.Sub(local).Abs(); d > 5*time.Millisecond {
			t.Errorf("the handler's deadline is %v off", d)
		}
	})
}

func TestNoDeadlineMeansNone(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			if d, ok := ctx.Deadline(); ok {
				return nil, fmt.Errorf("deadline %v", d)
			}
			return nil, nil
		})
		if _, err := w.caller.Call(context.Background(), "q", nil); err != nil {
			t.Error(err)
		}
		// Nor does one beyond what the wire can carry make the call fail.
		ctx, cancel := context.WithTimeout(context.Background(), 365*24*time.Hour)
		defer cancel()
		if _, err := w.caller.Call(ctx, "q", nil); err == nil {
			t.Error("a deadline in a year did not travel")
		} else if !strings.Contains(err.Error(), "deadline") {
			t.Error(err)
		}
	})
}

func TestCancelWithdrawsQueuedRequest(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		mine := errors.New("changed my mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		call := w.call(ctx, "q", "body")
		w.await(func() bool { return w.describe("q").Summary.Waiting == 1 })

		start := time.Now()
		cancel(mine)
		err := (<-call).err
		wantError(t, err, rpc.OriginLocal, codes.Canceled, context.Canceled, "")
		if !errors.Is(err, mine) {
			t.Errorf("%v does not tell the cause", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Call returned %v after the cancel", took)
		}
		synctest.Wait()
		if n := w.describe("q").Summary.Waiting; n != 0 {
			t.Errorf("%d requests still wait", n)
		}
	})
}

func TestCancelDropsReplyOfRunningRequest(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		finish := make(chan struct{})
		s := w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			if string(req.Body) == "slow" {
				<-finish
			}
			return req.Body, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		call := w.call(ctx, "q", "slow")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		cancel()
		wantError(t, (<-call).err, rpc.OriginLocal, codes.Canceled, context.Canceled, "")

		// Its late reply must not reach the next call.
		next := w.call(t.Context(), "q", "quick")
		close(finish)
		if r := <-next; r.reply != "quick" || r.err != nil {
			t.Errorf("got %+v", r)
		}
		synctest.Wait()
		if d := w.describe("q").Summary; d.Leased+d.Waiting != 0 {
			t.Errorf("left in the queue: %+v", d)
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestReplyThatIsTooLargeFailsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, server.Config{MaxPayload: 1000})
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return make([]byte, 1001), nil })
		start := time.Now()
		_, err := w.caller.Call(t.Context(), "q", nil)
		wantError(t, err, rpc.OriginHandler, codes.ResourceExhausted, nil, "1001 bytes")
		if took := time.Since(start); took > time.Second {
			t.Errorf("the caller was told after %v", took)
		}
	})
}

func TestRequestThatIsTooLargeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, server.Config{MaxPayload: 1000})
		w.create("q", client.QueueOptions{})
		_, err := w.caller.Call(t.Context(), "q", make([]byte, 1001))
		wantError(t, err, rpc.OriginSwitch, codes.InvalidArgument, client.ErrPayloadTooLarge, "1000")
	})
}

func TestDetailsThatAreTooLargeAreLeftOut(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
			s, err := status.New(codes.NotFound, "no \xff moon").WithDetails(&errdetails.DebugInfo{Detail: strings.Repeat("x", 30<<10)})
			if err != nil {
				return nil, err
			}
			return nil, s.Err()
		})
		_, err := w.caller.Call(t.Context(), "q", nil)
		wantError(t, err, rpc.OriginHandler, codes.NotFound, nil, "no \uFFFD moon (")
		if s, _ := status.FromError(err); len(s.Details()) != 0 {
			t.Errorf("%d details came through", len(s.Details()))
		}
	})
}

func TestCloseIsIdempotentAndFinal(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", echo)
		if _, err := w.caller.Call(t.Context(), "q", nil); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.caller.Close(); err != nil {
				t.Error(err)
			}
		}
		_, err := w.caller.Call(t.Context(), "q", nil)
		wantError(t, err, rpc.OriginLocal, codes.Canceled, client.ErrClosed, "")

		unused := rpc.NewCaller(w.client)
		if err := unused.Close(); err != nil {
			t.Error(err)
		}
		_, err = unused.Call(t.Context(), "q", nil)
		wantError(t, err, rpc.OriginLocal, codes.Canceled, client.ErrClosed, "")
	})
}

// TestRepliesMatchRequests lets 64 callers call at random, some of them too
// impatient for the reply.
func TestRepliesMatchRequests(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(time.Duration(req.Body[0]) * time.Millisecond) // so that replies overtake each other
			return req.Body, nil
		})
		var wg sync.WaitGroup
		for i := range uint64(64) {
			wg.Go(func() { // one caller
				r := rand.New(rand.NewPCG(seed, i))
				for range 50 {
					w.callAtRandom(r)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if d := w.describe("q").Summary; d.Waiting != 0 {
			t.Errorf("left in the queue: %+v", d)
		}
	})
}

func (w *world) callAtRandom(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+r.IntN(500))*time.Millisecond)
	defer cancel()
	body := bytes.Repeat(binary.BigEndian.AppendUint64(nil, r.Uint64()), 1+r.IntN(2_500))
	switch reply, err := w.caller.Call(ctx, "q", body); {
	case err != nil && status.Code(err) != codes.DeadlineExceeded:
		w.t.Error(err)
	case err == nil && !bytes.Equal(reply, body):
		w.t.Errorf("the reply has %d bytes and is another's: the request had %d", len(reply), len(body))
	}
}

func TestOptionsLeaveCallersMapsAlone(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			return fmt.Appendf(nil, "%v", req.Headers), nil
		})
		mine := map[string]string{"a": "1", "b": "1"}
		more := map[string]string{"b": "2", "c": "2"}
		res, err := w.caller.Do(t.Context(), rpc.Request{Queue: "q", Headers: mine}, rpc.WithHeaders(more))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(res.Body), "map[a:1 b:2 c:2]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if len(mine) != 2 || mine["b"] != "1" || len(more) != 2 {
			t.Errorf("the caller's maps are now %v and %v", mine, more)
		}
	})
}
