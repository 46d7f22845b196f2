package rpc_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// An end is how a handler's context ended, and when.
type end struct {
	err, cause error
	at         time.Time
}

// waiting is a handler that waits for the end of its context.
func waiting(ends chan<- end) rpc.Handler {
	return func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
		<-ctx.Done()
		ends <- end{ctx.Err(), context.Cause(ctx), time.Now()}
		return nil, ctx.Err()
	}
}

// cancelled fails the test unless a handler was told that its caller is gone, less
// than a scheduling step after since.
func cancelled(t *testing.T, ends <-chan end, since time.Time) {
	t.Helper()
	select {
	case e := <-ends:
		if !errors.Is(e.err, context.Canceled) || !errors.Is(e.cause, client.ErrCallerGone) || e.at != since {
			t.Errorf("the handler's context ended with %v (%v) after %v", e.err, e.cause, e.at.Sub(since))
		}
	case <-time.After(time.Hour):
		t.Error("the handler's context did not end")
	}
}

// settled says that the queue is empty.
func (w *world) settled(queue string) {
	w.t.Helper()
	synctest.Wait()
	if s := w.describe(queue).Summary; s.Waiting != 0 || s.Leased != 0 {
		w.t.Errorf("queue %s has %d messages that wait, and %d that are leased", queue, s.Waiting, s.Leased)
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	for _, test := range []struct {
		name string
		opts []rpc.CallOption
	}{{"", nil}, {"with a timeout", []rpc.CallOption{rpc.Timeout(time.Hour)}}, {"at most once", []rpc.CallOption{rpc.WithMaxAttempts(1)}}} {
		t.Run(test.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				ends := make(chan end, 1)
				w.serve("q", waiting(ends))
				ctx, cancel := context.WithCancel(t.Context())
				call := w.call(ctx, "q", "body", test.opts...)
				w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
				cancel()
				since := time.Now()
				if r := <-call; !errors.Is(r.err, context.Canceled) {
					t.Errorf("got %+v", r)
				}
				cancelled(t, ends, since)
				w.settled("q")
			})
		})
	}
}

// A server that drains has given up its consumer, so nothing is resumed when its
// connection comes back: what was cancelled meanwhile is told all the same.
func TestCancelReachesADrainThatWasCutOff(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ends := make(chan end, 1)
		s := w.serve("q", waiting(ends), rpc.Lease(time.Hour), rpc.Drain(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		call := w.call(ctx, "q", "body")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		s.stop()
		synctest.Wait()
		s.line.cut()
		cancel()
		<-call
		time.Sleep(time.Second)
		back := time.Now()
		s.line.join(w.sw.Conn())
		select {
		case e := <-ends:
			if !errors.Is(e.cause, client.ErrCallerGone) || e.at.Sub(back) > grace {
				t.Errorf("the handler's context ended with %v after %v", e.cause, e.at.Sub(back))
			}
		case <-time.After(time.Minute):
			t.Error("the handler was not told")
		}
		w.settled("q")
	})
}

// A call's timeout is the request's too, but its caller may know of it first.
func TestTimeoutEndsTheHandler(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ends := make(chan end, 1)
		w.serve("q", waiting(ends))
		since := time.Now()
		if r := <-w.call(t.Context(), "q", "body", rpc.Timeout(time.Second)); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("got %+v", r)
		}
		if e := <-ends; e.at.Sub(since) > time.Second+10*time.Millisecond {
			t.Errorf("the handler ran for %v", e.at.Sub(since))
		}
		w.settled("q")
	})
}

func TestCallersEndReachesTheHandler(t *testing.T) {
	for _, test := range []struct {
		name  string
		close func(*world) error
		looks bool // the world's client can still look
	}{
		{"its caller closes", func(w *world) error { return w.caller.Close() }, true},
		{"its client closes", func(w *world) error { return w.client.Close() }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				ends := make(chan end, 1)
				w.serve("q", waiting(ends))
				call := w.leased()
				since := time.Now()
				if err := test.close(w); err != nil {
					t.Fatal(err)
				}
				<-call
				cancelled(t, ends, since)
				if test.looks {
					w.settled("q")
				}
			})
		})
	}
	t.Run("its session is lost", func(t *testing.T) {
		fake(t, func(t *testing.T, w *world) {
			ends := make(chan end, 1)
			s := w.serve("q", waiting(ends))
			call := w.leased()
			since := time.Now()
			w.line.cut()
			<-call
			e := <-ends
			if !errors.Is(e.cause, client.ErrCallerGone) || e.at.Sub(since) > grace+time.Millisecond {
				t.Errorf("the handler's context ended with %v after %v", e.cause, e.at.Sub(since))
			}
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	})
}

// A cancel that comes while the server's connection is lost arrives with the next.
func TestCancelOutlivesAReconnect(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ends := make(chan end, 1)
		s := w.serve("q", waiting(ends))
		ctx, cancel := context.WithCancel(t.Context())
		call := w.call(ctx, "q", "body")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		s.line.cut()
		synctest.Wait()
		cancel()
		<-call
		time.Sleep(time.Second)
		if len(ends) != 0 {
			t.Error("the handler was told without a connection")
		}
		s.line.join(w.sw.Conn())
		select {
		case e := <-ends:
			if !errors.Is(e.cause, client.ErrCallerGone) {
				t.Errorf("the handler's context ended with %v", e.cause)
			}
		case <-time.After(grace):
			t.Error("the handler was not told")
		}
		w.settled("q")
	})
}

// A server that drains ends what is cancelled meanwhile.
func TestCancelReachesADrainingServer(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ends := make(chan end, 1)
		s := w.serve("q", waiting(ends), rpc.Drain(time.Minute))
		ctx, cancel := context.WithCancel(t.Context())
		call := w.call(ctx, "q", "body")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		s.stop()
		w.await(func() bool { return w.describe("q").Summary.Consumers == 0 })
		cancel()
		since := time.Now()
		<-call
		cancelled(t, ends, since)
		if err := s.end(); err != nil {
			t.Error(err)
		}
		w.settled("q")
	})
}

// What was cancelled while it waited is not begun.
func TestCancelledRequestIsNotBegun(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		began := make(chan string, 10)
		proceed := make(chan struct{})
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			began <- string(req.Body)
			<-proceed
			return req.Body, nil
		}, rpc.Concurrency(2))
		first := w.call(t.Context(), "q", "first")
		second := w.call(t.Context(), "q", "second")
		<-began
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		third := w.call(ctx, "q", "third") // leased only when a handler is free
		synctest.Wait()
		cancel()
		<-third
		synctest.Wait() // the switch knows
		close(proceed)
		<-first
		<-second
		synctest.Wait()
		if len(began) != 0 {
			t.Errorf("request %s was begun", <-began)
		}
		w.settled("q")
	})
}

// Calls that a handler makes with its context end with the call that it answers.
func TestCancelEndsTheTree(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		const depth = 4
		ends := make(chan end, 8)
		for i := range depth {
			queue, next := string(rune('a'+i)), string(rune('a'+i+1))
			if i == depth-1 {
				w.serve(queue, waiting(ends))
				break
			}
			c, _ := w.dial("between")
			caller := rpc.NewCaller(c)
			t.Cleanup(func() { _ = caller.Close() })
			w.serve(queue, func(ctx context.Context, req *rpc.Request) ([]byte, error) {
				done := make(chan error, 2)
				for range 2 {
					go func() {
						_, err := caller.Call(ctx, next, req.Body)
						done <- err
					}()
				}
				return nil, errors.Join(<-done, <-done)
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		call := w.call(ctx, "a", "root")
		w.await(func() bool { return w.describe("d").Summary.Leased == 8 })
		since := time.Now()
		cancel()
		<-call
		for range 8 {
			cancelled(t, ends, since)
		}
		for _, queue := range []string{"a", "b", "c", "d"} {
			w.settled(queue)
		}
	})
}
