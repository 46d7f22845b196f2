package rpc_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

func TestTimeout(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		var left time.Duration
		over := make(chan error, 1)
		w.serve("q", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			<-ctx.Done()
			over <- ctx.Err()
			return nil, ctx.Err()
		})
		began := time.Now()
		_, err := w.caller.Call(context.Background(), "q", nil, rpc.Timeout(time.Minute))
		wantError(t, err, rpc.OriginLocal, codes.DeadlineExceeded, context.DeadlineExceeded, "no reply within 1m0s")
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v", took)
		}
		if err := <-over; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if (left - time.Minute).Abs() > 5*time.Millisecond {
			t.Errorf("the handler was given %v", left)
		}
	})
}

// TestTimeoutAndDeadline has the earlier one count.
func TestTimeoutAndDeadline(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{}) // nobody serves it
		for _, c := range []struct{ timeout, deadline, want time.Duration }{
			{time.Second, time.Minute, time.Second},
			{time.Minute, time.Second, time.Second},
			{-1, time.Minute, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			began := time.Now()
			_, err := w.caller.Call(ctx, "q", nil, rpc.Timeout(c.timeout), rpc.WithMaxAttempts(1))
			cancel()
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < c.want || took > c.want+time.Millisecond {
				t.Errorf("timeout %v, deadline %v: %v after %v", c.timeout, c.deadline, err, took)
			}
		}
	})
}

// TestManyTimeouts are of several lengths, and some are cut short: each call ends
// when it should, and no timer is left.
func TestManyTimeouts(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		r := rand.New(rand.NewPCG(1, 2))
		var wg sync.WaitGroup
		for range 500 {
			after := time.Duration(1+r.IntN(5)) * time.Second
			begin := time.Duration(r.IntN(10_000)) * time.Millisecond
			cut := time.Duration(r.IntN(8000)) * time.Millisecond
			wg.Go(func() {
				time.Sleep(begin)
				ctx, cancel := context.WithCancel(t.Context())
				stop := time.AfterFunc(cut, cancel)
				defer stop.Stop()
				began := time.Now()
				_, err := w.caller.Call(ctx, "q", nil, rpc.Timeout(after))
				took := time.Since(began)
				switch {
				case cut < after && (!errors.Is(err, context.Canceled) || took != cut):
					t.Errorf("cut after %v of %v: %v after %v", cut, after, err, took)
				case cut > after && (!errors.Is(err, context.DeadlineExceeded) || took != after):
					t.Errorf("timeout of %v: %v after %v", after, err, took)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if n := w.describe("q").Summary.Waiting; n != 0 {
			t.Errorf("%d requests are not withdrawn", n)
		}
		if _, err := w.caller.Call(t.Context(), "q", nil, rpc.Timeout(time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after all that: %v", err)
		}
	})
}

// TestTimeoutWithoutSwitch bounds the wait for a connection too.
func TestTimeoutWithoutSwitch(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return nil, nil })
		c, line := w.dial("cut off")
		caller := rpc.NewCaller(c)
		if _, err := caller.Call(t.Context(), "q", nil, rpc.Timeout(time.Second)); err != nil {
			t.Fatal(err)
		}
		line.cut()
		synctest.Wait()
		began := time.Now()
		_, err := caller.Call(t.Context(), "q", nil, rpc.Timeout(2*time.Second))
		wantError(t, err, rpc.OriginLocal, codes.DeadlineExceeded, context.DeadlineExceeded, "no connection to the switch within 2s")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
