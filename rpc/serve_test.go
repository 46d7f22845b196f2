package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

func TestLeaseIsExtendedWhileHandlerRuns(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		s := w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			runs.Add(1)
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(10 * time.Minute):
				return req.Body, nil
			}
		}, rpc.Lease(30*time.Second))
		start := time.Now()
		reply, err := w.caller.Call(context.Background(), "q", []byte("long"))
		if string(reply) != "long" || err != nil {
			t.Errorf("got %q, %v", reply, err)
		}
		if took := time.Since(start); took > 10*time.Minute+time.Second {
			t.Errorf("took %v", took)
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestQueuesLeaseIsExtended is about a Serve that leaves the lease to the queue.
func TestQueuesLeaseIsExtended(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		w.create("q", client.QueueOptions{Lease: time.Second})
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			runs.Add(1)
			time.Sleep(time.Minute)
			return req.Body, nil
		})
		if _, err := w.caller.Call(t.Context(), "q", nil); err != nil {
			t.Error(err)
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

func TestLostLeaseEndsHandler(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		cause := make(chan error, 1)
		s := w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return []byte("too late"), nil
		})
		call := w.call(t.Context(), "q", "body")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		infos, err := w.client.Admin().Peek(t.Context(), "q", 1)
		if err != nil || len(infos) != 1 {
			t.Fatal(infos, err)
		}
		// An operator takes the request away while it runs.
		if _, err := w.client.Admin().Purge(t.Context(), "q", infos[0].MessageID); err != nil {
			t.Fatal(err)
		}
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.Aborted, client.ErrPurged, "")
		if err := <-cause; !errors.Is(err, client.ErrLeaseGone) {
			t.Errorf("the handler's context ended with %v", err)
		}
		synctest.Wait()
		if !s.noted(client.ErrLeaseGone) {
			t.Error("OnError does not know of the lost lease")
		}
	})
}

func TestPanicIsInternalToItsCallerOnly(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			switch string(req.Body) {
			case "panic":
				panic(fmt.Errorf("the password is %q", "sesame"))
			case "exit":
				runtime.Goexit()
			}
			return req.Body, nil
		}, rpc.Concurrency(2))
		for range 5 { // more often than there are workers
			for _, body := range []string{"panic", "exit"} {
				_, err := w.caller.Call(t.Context(), "q", []byte(body))
				wantError(t, err, rpc.OriginHandler, codes.Internal, nil, "panicked")
				if strings.Contains(err.Error(), "sesame") {
					t.Errorf("the caller is told too much: %v", err)
				}
			}
		}
		if reply, err := w.caller.Call(t.Context(), "q", []byte("fine")); string(reply) != "fine" || err != nil {
			t.Errorf("after the panics: %q, %v", reply, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.problems) != 10 {
			t.Fatalf("OnError got %v", s.problems)
		}
		var p *rpc.PanicError
		if !errors.As(s.problems[0], &p) || !strings.Contains(p.Error(), "sesame") || !strings.Contains(string(p.Stack), "serve_test.go") {
			t.Errorf("OnError got %v", s.problems[0])
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		const bound = 7
		var now, most atomic.Int32
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			return req.Body, nil
		}, rpc.Concurrency(bound))
		var calls []<-chan result
		start := time.Now()
		for range 10 * bound {
			calls = append(calls, w.call(t.Context(), "q", ""))
		}
		w.await(func() bool { d := w.describe("q").Summary; return d.Leased+d.Waiting == 10*bound })
		if d := w.describe("q").Summary; d.Leased != bound {
			t.Errorf("%d requests are off the queue, where other servers can't take them; want %d", d.Leased, bound)
		}
		for _, c := range calls {
			if r := <-c; r.err != nil {
				t.Error(r.err)
			}
		}
		if m := most.Load(); m != bound {
			t.Errorf("%d handlers ran at once, want %d", m, bound)
		}
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestDrainFinishesWhatRunsAndLeavesTheRest(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(15 * time.Second):
				return req.Body, nil
			}
		}, rpc.Concurrency(2), rpc.Lease(3*time.Second)) // the drain must extend it too
		var calls []<-chan result
		for i := range 5 {
			calls = append(calls, w.call(t.Context(), "q", fmt.Sprint(i)))
			synctest.Wait()
		}
		w.await(func() bool { return w.describe("q").Summary.Leased == 2 })
		start := time.Now()
		if err := s.end(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("the drain took %v", took)
		}
		for i, c := range calls[:2] {
			if r := <-c; r.reply != fmt.Sprint(i) || r.err != nil {
				t.Errorf("call %d: got %+v", i, r)
			}
		}
		if d := w.describe("q").Summary; d.Waiting != 3 || d.Leased != 0 {
			t.Errorf("left in the queue: %+v", d)
		}
		// Another server answers them, at their first attempt.
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			return fmt.Append(nil, req.Attempt), nil
		})
		for _, c := range calls[2:] {
			if r := <-c; r.reply != "1" || r.err != nil {
				t.Errorf("got %+v", r)
			}
		}
	})
}

func TestDrainCutsOffWhatOutlivesIt(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf=%v", deaf), func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				finish := make(chan struct{})
				s := w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
					if deaf {
						<-finish
						return []byte("from the grave"), nil
					}
					<-ctx.Done()
					return nil, ctx.Err()
				}, rpc.Drain(5*time.Second))
				call := w.call(t.Context(), "q", "")
				w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
				start := time.Now()
				if err := s.end(); err == nil || !strings.Contains(err.Error(), "1 handler") {
					t.Errorf("Serve returned %v", err)
				}
				want := 5 * time.Second
				if deaf {
					want += time.Second
				}
				if took := time.Since(start); took != want {
					t.Errorf("the drain took %v, want %v", took, want)
				}
				w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
					return fmt.Append(nil, req.Attempt), nil
				})
				if r := <-call; r.reply != "1" || r.err != nil {
					t.Errorf("from the next server: %+v", r)
				}
				close(finish)
			})
		})
	}
}

func TestMessagesWithoutReplyTo(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{MaxAttempts: 3})
		var times []time.Time
		s := w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			if req.ReplyWanted {
				t.Error("a reply is wanted")
			}
			if string(req.Body) == "good" {
				return []byte("for nobody"), nil
			}
			times = append(times, time.Now())
			return nil, errors.New("bad \xff " + strings.Repeat("long ", 1000))
		})
		for _, body := range []string{"good", "bad"} {
			if _, err := w.client.Send(t.Context(), "q", client.Message{Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		w.await(func() bool { return w.describe("q.dead").Summary.Waiting == 1 })
		if d := w.describe("q"); d.Summary.Waiting+d.Summary.Leased != 0 || d.Counters.Acked != 1 {
			t.Errorf("left in the queue: %+v, acked %d", d.Summary, d.Counters.Acked)
		}
		if len(times) != 3 {
			t.Fatalf("the bad message was tried %d times", len(times))
		}
		if a, b := times[1].Sub(times[0]), times[2].Sub(times[1]); a < 100*time.Millisecond || b < 200*time.Millisecond {
			t.Errorf("it was tried again after %v and %v", a, b)
		}
		dead, err := w.client.Admin().Peek(t.Context(), "q.dead", 1)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		if told := fmt.Sprint(dead[0].Headers); !strings.Contains(told, "bad \uFFFD long") {
			t.Errorf("the dead letter says %s", told)
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestServeEndsWithItsQueue(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		cause := make(chan error, 1)
		s := w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil, ctx.Err()
		})
		call := w.call(t.Context(), "q", "")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		start := time.Now()
		if _, err := w.client.Destroy(t.Context(), "q"); err != nil {
			t.Fatal(err)
		}
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.NotFound, client.ErrQueueDestroyed, "")
		<-s.done
		if took := time.Since(start); took > time.Second {
			t.Errorf("Serve returned after %v", took)
		}
		if s.err == nil || !strings.Contains(s.err.Error(), `"q"`) {
			t.Errorf("Serve returned %v", s.err)
		}
		if err := <-cause; !errors.Is(err, client.ErrLeaseGone) {
			t.Errorf("the handler's context ended with %v", err)
		}
	})
}

func TestServeRefusals(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{MaxMessages: 1})
		err := rpc.Serve(t.Context(), w.client, "missing", echo, rpc.NoCreate())
		if !errors.Is(err, client.ErrQueueNotFound) {
			t.Errorf("a missing queue with NoCreate: %v", err)
		}
		err = rpc.Serve(t.Context(), w.client, "q", echo, rpc.Concurrency(1_000_000))
		if !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a million handlers: %v", err)
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := rpc.Serve(over, w.client, "q", echo); err != nil {
			t.Errorf("with a context that is over: %v", err)
		}
		w.client.Close()
		if err := rpc.Serve(t.Context(), w.client, "q", echo); !errors.Is(err, client.ErrClosed) {
			t.Errorf("with a closed client: %v", err)
		}
	})
}

func TestHandlerContextCarriesServesValues(t *testing.T) {
	type key struct{}
	fake(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
		done := make(chan error)
		go func() {
			done <- rpc.Serve(ctx, w.client, "q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
				v, _ := ctx.Value(key{}).(string)
				return []byte(v), nil
			})
		}()
		if reply, err := w.caller.Call(ctx, "q", nil, rpc.CreateQueue(client.QueueOptions{})); string(reply) != "v" || err != nil {
			t.Errorf("got %q, %v", reply, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
