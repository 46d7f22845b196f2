package rpc_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// inner is what became of a call that a handler has made.
type inner struct {
	err error
	at  time.Time
}

// callingOn serves mid: it calls q and waits for that, by a context that does not
// end with the handler's own.
func (w *world) callingOn(results chan<- inner, ends chan<- end, opts ...rpc.CallOption) {
	w.t.Helper()
	c, _ := w.dial("mid")
	on := rpc.NewCaller(c)
	w.t.Cleanup(func() { _ = on.Close() })
	w.serve("mid", func(ctx context.Context, _ *rpc.Request) ([]byte, error) {
		go func() { // ends with the call
			_, err := on.Call(context.WithoutCancel(ctx), "q", nil, append(opts, rpc.CreateQueue(client.QueueOptions{}))...)
			results <- inner{err, time.Now()}
		}()
		<-ctx.Done()
		ends <- end{ctx.Err(), context.Cause(ctx), time.Now()}
		return nil, ctx.Err()
	})
}

func TestCancelledParentEndsItsChildren(t *testing.T) {
	for _, runs := range []bool{true, false} {
		name := map[bool]string{true: "what runs", false: "what waits"}[runs]
		t.Run(name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				results, mid, leaf := make(chan inner, 1), make(chan end, 1), make(chan end, 1)
				w.callingOn(results, mid)
				if runs {
					w.serve("q", waiting(leaf))
				}
				ctx, cancel := context.WithCancel(t.Context())
				root := w.call(ctx, "mid", "")
				w.await(func() bool { s := w.describe("q").Summary; return s.Leased+s.Waiting == 1 })
				cancel()
				since := time.Now()
				if r := <-root; !errors.Is(r.err, context.Canceled) {
					t.Errorf("the root's caller got %+v", r)
				}
				cancelled(t, mid, since)
				if runs {
					cancelled(t, leaf, since)
				}
				child := <-results
				wantError(t, child.err, rpc.OriginSwitch, codes.Canceled, client.ErrParentGone, "")
				if child.at != since {
					t.Errorf("the child's caller was told after %v", child.at.Sub(since))
				}
				w.settled("mid")
				w.settled("q")
			})
		})
	}
}

// A call on its own goes on when the call is cancelled in whose handler it was made.
func TestCallOnItsOwn(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		results, mid := make(chan inner, 1), make(chan end, 1)
		w.callingOn(results, mid, rpc.OnItsOwn())
		ctx, cancel := context.WithCancel(t.Context())
		root := w.call(ctx, "mid", "")
		w.await(func() bool { return w.describe("q").Summary.Waiting == 1 })
		cancel()
		<-root
		<-mid
		synctest.Wait()
		w.serve("q", echo)
		if child := <-results; child.err != nil {
			t.Errorf("the child failed: %v", child.err)
		}
		if r := <-w.call(t.Context(), "q", "none is no parent", rpc.OnItsOwn()); r.reply != "none is no parent" {
			t.Errorf("outside of a handler: %+v", r)
		}
	})
}

func TestStartWithin(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		start := time.Now()
		r := <-w.call(t.Context(), "q", "", rpc.StartWithin(2*time.Second))
		wantError(t, r.err, rpc.OriginSwitch, codes.Unavailable, client.ErrNotStarted, "")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it failed after %v", took)
		}
		w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
			time.Sleep(time.Minute)
			return []byte("late"), nil
		})
		if r := <-w.call(t.Context(), "q", "", rpc.StartWithin(2*time.Second)); r.reply != "late" {
			t.Errorf("a call that was begun: %+v", r)
		}
	})
}

// An operator's cancel is told to the caller at once, and to the handler.
func TestOperatorCancelsACall(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ends := make(chan end, 1)
		w.serve("q", waiting(ends))
		call := w.call(context.Background(), "q", "")
		w.await(func() bool { return w.describe("q").Summary.Leased == 1 })
		var calls []client.CallInfo
		for c, err := range w.client.Admin().Calls(t.Context(), client.CallQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, c)
		}
		if len(calls) != 1 || calls[0].Server != "server 1" || calls[0].Caller != "caller" || calls[0].State != client.MessageLeased {
			t.Fatalf("the calls are %+v", calls)
		}
		since := time.Now()
		done, err := w.client.Admin().CancelCall(t.Context(), calls[0].Call)
		if err != nil || done != (client.CallEnd{Queue: "q", Running: true}) {
			t.Errorf("CancelCall: %+v, %v", done, err)
		}
		wantError(t, (<-call).err, rpc.OriginSwitch, codes.Canceled, client.ErrCallCancelled, "an operator")
		cancelled(t, ends, since)
		w.settled("q")
		if _, err := w.client.Admin().CancelCall(t.Context(), calls[0].Call); !errors.Is(err, client.ErrMessageNotFound) {
			t.Errorf("cancelling it again: %v", err)
		}
	})
}
