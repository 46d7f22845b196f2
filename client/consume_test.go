package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

func TestConsumeGivesBackTheRest(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		for i := range 10 {
			w.send("q", fmt.Sprint(i))
		}
		for d, err := range w.c.Consume(t.Context(), "q", client.ConsumeOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
			if string(d.Body) == "2" {
				break
			}
		}
		synctest.Wait()
		if d := w.describe("q"); d.Summary.Waiting != 7 || d.Summary.Leased != 0 || len(d.Consumers) != 0 {
			t.Errorf("left %+v, %+v", d.Summary, d.Consumers)
		}
		for d, err := range w.c.Consume(t.Context(), "q", client.ConsumeOptions{}) {
			if err != nil || string(d.Body) != "3" || d.Attempt != 1 {
				t.Errorf("then %+v, %v", d, err)
			}
			break
		}
	})
}

func TestConsumeEnds(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for d, err := range w.c.Consume(ctx, "q", client.ConsumeOptions{}) {
			t.Errorf("an empty queue yields %v, %v", d, err)
		}
		if ctx.Err() == nil {
			t.Error("it ended before its context")
		}
		time.AfterFunc(time.Minute, func() { _, _ = w.c.Destroy(context.Background(), "q") })
		n := 0
		for d, err := range w.c.Consume(context.Background(), "q", client.ConsumeOptions{}) {
			n++
			wantError(t, err, client.ErrQueueDestroyed, codes.NotFound)
			if d != nil {
				t.Error("and a delivery")
			}
		}
		for _, err := range w.c.Consume(context.Background(), "q", client.ConsumeOptions{}) {
			n++
			wantError(t, err, client.ErrQueueNotFound, codes.NotFound)
		}
		if n != 2 {
			t.Errorf("%d errors", n)
		}
	})
}

// TestLeavingWhileAway must neither hang nor keep the messages for good.
func TestLeavingWhileAway(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "1")
		w.send("q", "2")
		began := time.Now()
		for _, err := range w.c.Consume(t.Context(), "q", client.ConsumeOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			w.line.cut()
			break
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		w.line.join(w.sw.Conn())
		time.Sleep(5 * time.Second)
		if d := w.describe("q"); len(d.Consumers) != 0 || d.Summary.Leased != 1 || d.Summary.Waiting != 1 {
			t.Errorf("left %+v, %+v", d.Summary, d.Consumers)
		}
	})
}

func TestStop(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "1")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		d := got.next(t)
		for range 2 {
			if err := got.sub.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.send("q", "2")
		time.Sleep(time.Second)
		if len(got.deliveries) != 0 || len(got.ended) != 0 {
			t.Error("it goes on after Stop")
		}
		if err := d.AckWait(t.Context()); err != nil {
			t.Errorf("what it held: %v", err)
		}
		w.line.blink()
		time.Sleep(time.Minute)
		if d := w.describe("q"); len(d.Consumers) != 0 {
			t.Error("a reconnect has made it again")
		}
	})
}

// TestAbandonedSubscribe has a Subscribe whose context ends before its answer.
func TestAbandonedSubscribe(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "1")
		w.line.deafen()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := w.c.Subscribe(ctx, "q", client.ConsumeOptions{}, client.SubscriptionHandler{
			Deliver: func(*client.Delivery) { t.Error("delivered to who has left") },
		})
		wantError(t, err, context.DeadlineExceeded, codes.DeadlineExceeded)
		w.line.blink()
		time.Sleep(time.Minute) // a delivery that was lost on the way comes back with its lease
		if d := w.describe("q"); len(d.Consumers) != 0 || d.Summary.Waiting != 1 {
			t.Errorf("left %+v, %+v", d.Summary, d.Consumers)
		}
	})
}
