package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
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

// TestRepliesMatchRequests lets 64 callers call at random. Some are too impatient
// for the reply, and some give up in the very moment in which it comes.
func TestRepliesMatchRequests(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	fake(t, func(t *testing.T, w *world) {
		var cancels sync.Map // from a request's token to its caller's cancel
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(time.Duration(req.Body[0]%16) * time.Millisecond) // so that replies overtake each other
			if cancel, ok := cancels.Load(string(req.Body[:8])); ok {
				go func() { // a caller that gives up while the reply is on its way; ends by itself
					for range req.Body[1] {
						runtime.Gosched()
					}
					cancel.(context.CancelFunc)()
				}()
			}
			return req.Body, nil
		})
		var wg sync.WaitGroup
		for i := range uint64(64) {
			wg.Go(func() { // one caller
				r := rand.New(rand.NewPCG(seed, i))
				for range 50 {
					w.callAtRandom(r, &cancels)
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

func (w *world) callAtRandom(r *rand.Rand, cancels *sync.Map) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+r.IntN(20))*time.Millisecond)
	defer cancel()
	token := binary.BigEndian.AppendUint64(nil, r.Uint64())
	body := bytes.Repeat(token, 1+r.IntN(2_500))
	if r.IntN(2) == 0 {
		cancels.Store(string(token), cancel)
	}
	switch reply, err := w.caller.Call(ctx, "q", body); {
	case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
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
