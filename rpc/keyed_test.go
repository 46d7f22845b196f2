package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server/servertest"
)

// counting answers each run with its number, after a while.
func counting(runs *atomic.Int32, takes time.Duration) rpc.Handler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		n := runs.Add(1)
		select {
		case <-time.After(takes):
			return fmt.Appendf(nil, "run %d of %s at attempt %d", n, req.Key, req.Attempt), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func TestCallsWithAKeyShareOneRun(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		w.serve("q", counting(&runs, time.Second))
		other, _ := w.dial("other")
		second := rpc.NewCaller(other)
		defer second.Close()
		var calls []<-chan result
		for range 10 {
			calls = append(calls, w.call(t.Context(), "q", "pay", rpc.WithKey("k")))
		}
		if reply, err := second.Call(t.Context(), "q", []byte("pay"), rpc.WithKey("k")); err != nil || string(reply) != "run 1 of k at attempt 1" {
			t.Errorf("the other caller got %q, %v", reply, err)
		}
		for _, call := range calls {
			if r := <-call; r.reply != "run 1 of k at attempt 1" || r.err != nil {
				t.Errorf("got %+v", r)
			}
		}
		time.Sleep(9 * time.Minute)
		if reply, err := second.Call(t.Context(), "q", []byte("pay"), rpc.WithKey("k")); err != nil || string(reply) != "run 1 of k at attempt 1" {
			t.Errorf("9 minutes later: %q, %v", reply, err)
		}
		_, err := second.Call(t.Context(), "q", []byte("more"), rpc.WithKey("k"))
		wantError(t, err, rpc.OriginSwitch, codes.FailedPrecondition, client.ErrKeyReused, "another body")
		time.Sleep(2 * time.Minute)
		if reply, err := second.Call(t.Context(), "q", []byte("pay"), rpc.WithKey("k")); err != nil || string(reply) != "run 2 of k at attempt 1" {
			t.Errorf("11 minutes later: %q, %v", reply, err)
		}
		if w.describe("q").Summary.Leased+w.describe("q").Summary.Waiting != 0 || runs.Load() != 2 {
			t.Errorf("%d runs, and the queue is %+v", runs.Load(), w.describe("q").Summary)
		}
	})
}

func TestAFailureIsKept(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
			return nil, status.Errorf(codes.DataLoss, "torn at run %d", runs.Add(1))
		})
		for range 2 {
			_, err := w.caller.Call(t.Context(), "q", nil, rpc.WithKey("k"), rpc.KeyTTL(time.Minute))
			wantError(t, err, rpc.OriginHandler, codes.DataLoss, nil, "torn at run 1")
		}
		time.Sleep(time.Minute + time.Second)
		_, err := w.caller.Call(t.Context(), "q", nil, rpc.WithKey("k"))
		wantError(t, err, rpc.OriginHandler, codes.DataLoss, nil, "torn at run 2")
	})
}

// TestTheLastCallerCancels has callers of one key give up one by one.
func TestTheLastCallerCancels(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		w.serve("q", counting(&runs, time.Minute))
		first, cancel1 := context.WithCancel(t.Context())
		second, cancel2 := context.WithCancel(t.Context())
		defer cancel2()
		a, b := w.call(first, "q", "pay", rpc.WithKey("k")), w.call(second, "q", "pay", rpc.WithKey("k"))
		time.Sleep(time.Second)
		cancel1()
		if r := <-a; !errors.Is(r.err, context.Canceled) {
			t.Errorf("the first got %+v", r)
		}
		time.Sleep(time.Second)
		if w.describe("q").Summary.Leased != 1 {
			t.Error("the call ended with the first of two callers")
		}
		cancel2()
		<-b
		w.await(func() bool { return w.describe("q").Summary.Leased == 0 }) // the handler's context has ended
	})
}

// TestACallWithAKeySurvivesItsSession loses a switch in memory, which is what ends
// a session: another call ends with it, one with a key goes on with the next.
func TestACallWithAKeySurvivesItsSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		keyed := w.call(t.Context(), "q", "pay", rpc.WithKey("k"), rpc.CreateQueue(client.QueueOptions{}))
		plain := w.call(t.Context(), "q", "pay")
		late := w.call(t.Context(), "q", "pay", rpc.WithKey("late"), rpc.CreateQueue(client.QueueOptions{}), rpc.Timeout(time.Hour))
		w.await(func() bool { return w.describe("q").Summary.Waiting == 3 })
		time.Sleep(30 * time.Minute)
		w.sw = servertest.New(t)
		w.line.join(w.sw.Conn())
		wantError(t, (<-plain).err, rpc.OriginTransport, codes.Unavailable, client.ErrSessionLost, "")
		began := time.Now()
		wantError(t, (<-late).err, rpc.OriginLocal, codes.DeadlineExceeded, context.DeadlineExceeded, "")
		if took := time.Since(began); took > 31*time.Minute {
			t.Errorf("its hour began anew: it took %v more", took)
		}
		var runs atomic.Int32
		w.serve("q", counting(&runs, time.Second))
		if r := <-keyed; r.reply != "run 1 of k at attempt 1" || r.err != nil {
			t.Errorf("got %+v", r)
		}
	})
}

func TestDetachAndJoin(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		id, err := w.caller.Detach(t.Context(), rpc.Request{Queue: "q", Body: []byte("pay")}, rpc.KeyTTL(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		other, _ := w.dial("other")
		joiner := rpc.NewCaller(other)
		defer joiner.Close()
		_, err = joiner.Join(t.Context(), id, rpc.Timeout(time.Second))
		var e *rpc.Error
		if !errors.As(err, &e) || e.Origin != rpc.OriginLocal || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an impatient join: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := joiner.Join(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an impatient join: %v", err)
		}
		var runs atomic.Int32
		w.serve("q", counting(&runs, time.Minute))
		for range 2 {
			res, err := joiner.Join(t.Context(), id)
			if err != nil || len(res.Body) == 0 || runs.Load() != 1 {
				t.Errorf("joined: %+v, %v, after %d runs", res, err, runs.Load())
			}
		}
		time.Sleep(time.Minute + time.Second)
		_, err = joiner.Join(t.Context(), id)
		if !errors.Is(err, client.ErrCallNotFound) || status.Code(err) != codes.NotFound || !errors.As(err, &e) || e.Origin != rpc.OriginSwitch {
			t.Errorf("after its time: %v", err)
		}
		for _, bad := range []string{"", "no id", "\xff"} {
			if _, err := joiner.Join(t.Context(), bad); status.Code(err) != codes.InvalidArgument {
				t.Errorf("id %q: %v", bad, err)
			}
		}
		_, err = w.caller.Detach(t.Context(), rpc.Request{Queue: "none"})
		if !errors.Is(err, client.ErrQueueNotFound) {
			t.Errorf("to no queue: %v", err)
		}
	})
}

// TestADetachedCallHasATime of its own: Timeout, and not the context's.
func TestADetachedCallHasATime(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		id, err := w.caller.Detach(ctx, rpc.Request{Queue: "q"}, rpc.Timeout(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = w.caller.Join(t.Context(), id)
		if took := time.Since(began); !errors.Is(err, client.ErrExpired) || took < 59*time.Second || took > 61*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
