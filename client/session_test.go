package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server/servertest"
)

// wantError compares by errors.Is and by code.
func wantError(t testing.TB, err, target error, code codes.Code) {
	t.Helper()
	if !errors.Is(err, target) || status.Code(err) != code {
		t.Errorf("got %v (%v), want %v (%v)", err, status.Code(err), target, code)
	}
}

// replace leads the line to a new switch, which knows nothing.
func (w *world) replace() {
	w.sw = servertest.New(w.T)
	w.line.join(w.sw.Conn())
}

func TestNoSwitchIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.New(client.Config{Addr: "unix:///nowhere/switch.sock"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		_, sendErr := c.Send(context.Background(), "q", client.Message{})
		_, adminErr := c.Admin().Describe(context.Background(), "q")
		for _, err := range []error{sendErr, adminErr, c.Connect(context.Background())} {
			wantError(t, err, client.ErrUnreachable, codes.Unavailable)
			if err == nil || !strings.Contains(err.Error(), "unix:///nowhere/switch.sock") || !strings.Contains(err.Error(), "switch serve") {
				t.Errorf("%q names neither the address nor the way out", err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestVerbsWaitForTheSessionsReturn(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.cut()
		synctest.Wait()
		done := make(chan error, 1)
		go func() { // ends with its Send, which the test waits for
			_, err := w.c.Send(context.Background(), "q", client.Message{})
			done <- err
		}()
		time.Sleep(9 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("Send did not wait: %v", err)
		default:
		}
		w.line.join(w.sw.Conn())
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := w.describe("q").Counters.Sent; n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestVerbsFailWhenTheGraceHasPassed(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.cut()
		synctest.Wait()
		began := time.Now()
		_, err := w.c.Send(context.Background(), "q", client.Message{})
		wantError(t, err, client.ErrUnreachable, codes.Unavailable)
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("it took %v; the grace is 10 s", took)
		}
		began = time.Now()
		_, err = w.c.Send(context.Background(), "q", client.Message{})
		wantError(t, err, client.ErrUnreachable, codes.Unavailable)
		if took := time.Since(began); took > time.Second {
			t.Errorf("without a session it took %v", took)
		}
		w.line.join(w.sw.Conn())
		w.send("q", "after all")
	})
}

func TestAContextEndsAVerb(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.cut()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := w.c.Send(ctx, "q", client.Message{})
		wantError(t, err, context.DeadlineExceeded, codes.DeadlineExceeded)
		_, err = w.c.Create(ctx, "r", client.QueueOptions{})
		wantError(t, err, context.DeadlineExceeded, codes.DeadlineExceeded)
		w.line.join(w.sw.Conn())
		w.send("q", "next")
		if n := w.describe("q").Counters.Sent; n != 2 {
			t.Errorf("%d messages; the first one was on its way", n)
		}
	})
}

// TestNewSessionDoesAgainWhatWaits has verbs wait for a switch that does not
// come back; the one that comes instead knows nothing of them.
func TestNewSessionDoesAgainWhatWaits(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.cut()
		synctest.Wait()
		results := make(chan error, 3)
		go func() { // ends with its Send
			_, err := w.c.Send(context.Background(), "q", client.Message{Create: &client.QueueOptions{}})
			results <- err
		}()
		go func() { // ends with its Create
			created, err := w.c.Create(context.Background(), "r", client.QueueOptions{})
			if !created {
				err = errors.Join(err, errors.New("the queue was there"))
			}
			results <- err
		}()
		go func() { // ends with its Subscribe
			_, err := w.c.Subscribe(context.Background(), "s", client.ConsumeOptions{Create: &client.QueueOptions{}},
				client.SubscriptionHandler{Deliver: func(*client.Delivery) {}})
			results <- err
		}()
		synctest.Wait()
		w.replace()
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if d := w.describe("q"); d.Summary.Waiting != 1 {
			t.Errorf("%d messages", d.Summary.Waiting)
		}
		if d := w.describe("s"); len(d.Consumers) != 1 {
			t.Errorf("%d consumers", len(d.Consumers))
		}
	})
}

func TestDeliveriesOfALostSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "body")
		d := w.subscribe(w.c, "q", client.ConsumeOptions{}).next(t)
		w.line.cut()
		synctest.Wait()
		waiting := make(chan error, 1)
		go func() { waiting <- d.Extend(context.Background(), time.Minute) }() // ends with the session
		synctest.Wait()
		w.replace()
		errs := []error{<-waiting}
		if err := w.c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		errs = append(errs, d.Ack(), d.AckWait(t.Context()), d.Reply(nil, nil), d.ReplyWait(t.Context(), nil, nil),
			d.ReplyFailure(client.Failure{}), d.Release(t.Context()), d.Retry(t.Context(), 0, ""), d.Reject(t.Context(), ""))
		for _, err := range errs {
			wantError(t, err, client.ErrSessionLost, codes.Unavailable)
			wantError(t, err, client.ErrLeaseGone, codes.Unavailable)
		}
	})
}

func TestSubscriptionSurvivesTheSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		kept := w.subscribe(w.c, "kept", client.ConsumeOptions{Create: &client.QueueOptions{}})
		gone := w.subscribe(w.c, "q", client.ConsumeOptions{})
		w.line.cut()
		time.Sleep(time.Hour)
		w.replace()
		wantError(t, <-gone.ended, client.ErrQueueNotFound, codes.NotFound)
		time.Sleep(time.Minute)
		w.send("kept", "hello")
		d := kept.next(t)
		if string(d.Body) != "hello" {
			t.Errorf("got %q", d.Body)
		}
		if err := d.AckWait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestResumeRepeatsWhatWasLost has deliveries vanish on the way.
func TestResumeRepeatsWhatWasLost(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		w.send("q", "1")
		first := got.next(t)
		other, _ := w.dial(client.Config{})
		w.line.deafen()
		for _, body := range []string{"2", "3"} {
			if _, err := other.Send(t.Context(), "q", client.Message{Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(got.deliveries); n != 0 {
			t.Fatalf("%d deliveries through a deaf line", n)
		}
		w.line.blink()
		for _, want := range []string{"2", "3"} {
			if d := got.next(t); string(d.Body) != want || d.Attempt != 1 {
				t.Errorf("got %q, attempt %d; want %q, attempt 1", d.Body, d.Attempt, want)
			}
		}
		if err := first.AckWait(t.Context()); err != nil {
			t.Errorf("the lease from before: %v", err)
		}
		if n := w.describe("q").Counters.Redelivered; n != 0 || len(got.deliveries) != 0 {
			t.Errorf("redelivered %d, and %d too many came", n, len(got.deliveries))
		}
	})
}

// TestSubscribeWhoseAnswerIsLost must not lose the first deliveries.
func TestSubscribeWhoseAnswerIsLost(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "1")
		w.line.deafen()
		got := make(chan *client.Delivery, 10)
		done := make(chan error, 1)
		go func() { // ends with its Subscribe
			_, err := w.c.Subscribe(context.Background(), "q", client.ConsumeOptions{},
				client.SubscriptionHandler{Deliver: func(d *client.Delivery) { got <- d }})
			done <- err
		}()
		synctest.Wait()
		w.line.blink()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d := <-got; string(d.Body) != "1" || d.Attempt != 1 || d.AckWait(t.Context()) != nil {
			t.Errorf("got %q, attempt %d", d.Body, d.Attempt)
		}
		if d := w.describe("q"); len(d.Consumers) != 1 || d.Counters.Delivered != 1 {
			t.Errorf("%d consumers, delivered %d", len(d.Consumers), d.Counters.Delivered)
		}
	})
}

func TestQueueDestroyedWhileAway(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		other, _ := w.dial(client.Config{})
		w.line.cut()
		synctest.Wait()
		if _, err := other.Destroy(t.Context(), "q"); err != nil {
			t.Fatal(err)
		}
		w.line.join(w.sw.Conn())
		wantError(t, <-got.ended, client.ErrQueueNotFound, codes.NotFound)
	})
}

func TestDrainingSwitch(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "held")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		d := got.next(t)
		if err := w.c.Admin().Shutdown(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := w.c.Send(t.Context(), "q", client.Message{})
		wantError(t, err, client.ErrShuttingDown, codes.Unavailable)
		if err := d.AckWait(t.Context()); err != nil {
			t.Errorf("the lease while draining: %v", err)
		}
		time.Sleep(time.Hour)
		w.replace()
		w.create("q")
		if _, err := w.c.Send(t.Context(), "q", client.Message{}); err != nil {
			t.Errorf("after the restart: %v", err)
		}
	})
}
