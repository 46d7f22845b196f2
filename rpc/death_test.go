package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server/servertest"
)

// grace is how long the switch waits for a lost session, unless it is asked for
// another time.
const grace = 10 * time.Second

// hang is a handler that never answers of its own accord.
func hang(ctx context.Context, _ *rpc.Request) ([]byte, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// attempt is a handler that answers with the number of the attempt.
func attempt(_ context.Context, req *rpc.Request) ([]byte, error) {
	return fmt.Append(nil, req.Attempt), nil
}

// leased makes a call that runs at the only server of the queue.
func (w *world) leased(opts ...rpc.CallOption) <-chan result {
	w.t.Helper()
	call := w.call(context.Background(), "q", "body", opts...)
	w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
	return call
}

func TestServersDeathMovesRequestToAnother(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		dying := w.serve("q", hang)
		call := w.leased()
		w.serve("q", attempt)
		start := time.Now()
		dying.line.cut()
		if r := <-call; r.reply != "2" || r.err != nil {
			t.Errorf("got %+v", r)
		}
		if took := time.Since(start); took > grace+time.Second {
			t.Errorf("it took the other server %v", took)
		}
	})
}

func TestAtMostOnceIsToldOfItsServersDeath(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		dying := w.serve("q", hang)
		call := w.leased(rpc.WithMaxAttempts(1))
		w.serve("q", attempt) // another server makes no difference
		start := time.Now()
		dying.line.cut()
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.Unavailable, client.ErrServerGone, "")
		if took := time.Since(start); took > grace+time.Second {
			t.Errorf("the caller was told after %v", took)
		}
	})
}

// A request that its servers can't handle goes to the dead-letter queue, and its
// caller is told of that with the reason, at once.
func TestDeadLetteringFailsTheWaitingCaller(t *testing.T) {
	for _, test := range []struct {
		name string
		is   error
		nack func(context.Context, *client.Delivery) error
	}{
		{"rejected", client.ErrRejected, func(ctx context.Context, d *client.Delivery) error { return d.Reject(ctx, "poison") }},
		{"out of attempts", client.ErrAttemptsExhausted, func(ctx context.Context, d *client.Delivery) error { return d.Retry(ctx, 0, "poison") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				w.consume("q", client.QueueOptions{MaxAttempts: 3}, func(d *client.Delivery) error { return test.nack(context.Background(), d) })
				start := time.Now()
				r := <-w.call(context.Background(), "q", "body")
				wantError(t, r.err, rpc.OriginSwitch, codes.Aborted, test.is, "poison")
				if took := time.Since(start); took != 0 {
					t.Errorf("the caller was told after %v", took)
				}
				dead, err := w.client.Admin().Peek(context.Background(), "q.dead", 0)
				if err != nil || len(dead) != 1 || string(dead[0].Body) != "body" {
					t.Errorf("the dead letters are %+v, %v", dead, err)
				}
			})
		})
	}
}

func TestRequiredServerDies(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		dying := w.serve("q", hang, rpc.Concurrency(1))
		w.leased()
		call := w.call(context.Background(), "q", "waits", rpc.RequireServer())
		w.await(func() bool { return w.describe("q").Summary.Waiting == 1 })
		dying.line.cut()
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.Unavailable, client.ErrNoConsumer, "")
		w.serve("q", attempt) // for the first call, so that the test can end
	})
}

// TestBlipsAreNotNoticed cuts both lines for less than the grace.
func TestBlipsAreNotNoticed(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		runs := new(atomic.Int32)
		s := w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			runs.Add(1)
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(3 * time.Second):
				return attempt(ctx, req)
			}
		})
		call := w.leased(rpc.WithMaxAttempts(1))
		for _, l := range []*line{w.line, s.line} {
			l.cut()
		}
		time.Sleep(5 * time.Second) // the handler is done before the lines are
		during := w.call(context.Background(), "q", "sent while the line was cut")
		for _, l := range []*line{w.line, s.line} {
			l.join(w.sw.Conn())
		}
		for _, c := range []<-chan result{call, during} {
			if r := <-c; r.reply != "1" || r.err != nil {
				t.Errorf("got %+v", r)
			}
		}
		if n := runs.Load(); n != 2 {
			t.Errorf("two calls ran %d handlers", n)
		}
		if err := s.end(); err != nil || len(s.problems) > 0 {
			t.Errorf("Serve returned %v, OnError got %v", err, s.problems)
		}
	})
}

// TestLostSessionEndsCalls leads the caller to a switch that does not know it,
// as after a restart without a data directory.
func TestLostSessionEndsCalls(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		call := w.call(context.Background(), "q", "")
		w.await(func() bool { return w.describe("q").Summary.Waiting == 1 })
		w.line.cut()
		synctest.Wait()
		w.sw = servertest.New(t)
		w.line.join(w.sw.Conn())
		wantError(t, (<-call).err, rpc.OriginTransport, codes.Unavailable, client.ErrSessionLost, "")

		// The Caller goes on in a new session.
		w.serve("q", echo)
		if reply, err := w.caller.Call(t.Context(), "q", []byte("next")); string(reply) != "next" || err != nil {
			t.Errorf("the next call: %q, %v", reply, err)
		}
	})
}

// TestLostGraceEndsCalls leaves the caller alone until it gives its session up.
func TestLostGraceEndsCalls(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		call := w.call(context.Background(), "q", "")
		w.await(func() bool { return w.describe("q").Summary.Waiting == 1 })
		w.line.cut()
		start := time.Now()
		wantError(t, (<-call).err, rpc.OriginTransport, codes.Unavailable, nil, "no connection to the switch")
		if took := time.Since(start); took > grace {
			t.Errorf("the call ended %v after the line", took)
		}
		w.line.join(w.sw.Conn())
	})
}

func TestNoConnectionIsSaidAtOnce(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.line.cut()
		start := time.Now()
		_, err := w.caller.Call(t.Context(), "q", nil)
		wantError(t, err, rpc.OriginTransport, codes.Unavailable, client.ErrUnreachable, "no connection to the switch")
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		w.line.join(w.sw.Conn())
	})
}

// TestServeWaitsForTheSwitch starts a server before its switch.
func TestServeWaitsForTheSwitch(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		c, line := w.dial("server")
		line.cut()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- rpc.Serve(ctx, c, "q", echo) }()
		time.Sleep(time.Minute)
		line.join(w.sw.Conn())
		if reply, err := w.caller.Call(ctx, "q", []byte("hello"), rpc.CreateQueue(client.QueueOptions{})); string(reply) != "hello" || err != nil {
			t.Errorf("got %q, %v", reply, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestServeOutlivesItsSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		cause := make(chan error, 1)
		s := w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			if string(req.Body) != "body" {
				return req.Body, nil
			}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return []byte("too late"), nil
		}, rpc.Concurrency(1))
		call := w.leased(rpc.WithMaxAttempts(1))
		s.line.cut()
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.Unavailable, client.ErrServerGone, "")
		s.line.join(w.sw.Conn())
		if err := <-cause; !errors.Is(err, client.ErrLeaseGone) || !errors.Is(err, client.ErrSessionLost) {
			t.Errorf("the handler's context ended with %v", err)
		}
		if reply, err := w.caller.Call(t.Context(), "q", []byte("next")); string(reply) != "next" || err != nil {
			t.Errorf("the next call: %q, %v", reply, err)
		}
		if !s.noted(client.ErrSessionLost) {
			t.Error("OnError does not know of the lost session")
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestLeaseEndsBeforeTheGrace has a server ask for a lease that is shorter than
// the grace of its session.
func TestLeaseEndsBeforeTheGrace(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		dying := w.serve("q", hang, rpc.Lease(3*time.Second))
		call := w.leased()
		w.serve("q", attempt)
		start := time.Now()
		dying.line.cut()
		if r := <-call; r.reply != "2" || r.err != nil {
			t.Errorf("got %+v", r)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("it took the other server %v", took)
		}
	})
}

// deafWorld is a server whose three handlers mind no context, and that has lost
// its session, with six calls: three were taken twice, by the handlers and after
// them, and the other three are in the queue.
func deafWorld(w *world, finish <-chan struct{}) (s *service, calls []<-chan result, most *atomic.Int32) {
	var now atomic.Int32
	most = new(atomic.Int32)
	s = w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		<-finish
		return req.Body, nil
	}, rpc.Concurrency(3), rpc.Lease(time.Second))
	for range 6 {
		calls = append(calls, w.call(context.Background(), "q", ""))
	}
	w.await(func() bool { return now.Load() == 3 })
	s.line.cut()
	time.Sleep(grace + time.Second)
	s.line.join(w.sw.Conn())
	w.await(func() bool { return w.describe("q").Summary.Leased == 3 })
	return s, calls, most
}

// TestDeafHandlersKeepTheBound is why a crew can have jobs without a worker.
func TestDeafHandlersKeepTheBound(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		finish := make(chan struct{})
		release := sync.OnceFunc(func() { close(finish) })
		defer release() // also when the test fails
		_, calls, most := deafWorld(w, finish)
		time.Sleep(time.Minute) // what waits for a worker keeps its lease
		if d := w.describe("q"); d.Summary.Leased != 3 || d.Counters.Delivered != 6 {
			t.Errorf("after a minute: %+v, delivered %d", d.Summary, d.Counters.Delivered)
		}
		release()
		for _, c := range calls {
			if r := <-c; r.err != nil {
				t.Error(r.err)
			}
		}
		if m := most.Load(); m != 3 {
			t.Errorf("%d handlers ran at once", m)
		}
	})
}

// TestDrainGivesBackWhatNoHandlerHasBegun has the drain find jobs that wait.
func TestDrainGivesBackWhatNoHandlerHasBegun(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		finish := make(chan struct{})
		s, calls, _ := deafWorld(w, finish)
		s.stop()
		w.await(func() bool { return w.describe("q").Summary.Leased == 0 })
		if d := w.describe("q").Summary; d.Waiting != 6 {
			t.Errorf("%d requests wait, want all 6", d.Waiting)
		}
		close(finish)
		if err := s.end(); err != nil {
			t.Error(err)
		}
		w.serve("q", echo)
		for _, c := range calls {
			if r := <-c; r.err != nil {
				t.Error(r.err)
			}
		}
	})
}
