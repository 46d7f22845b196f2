package client_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

func TestCloseSendsAndLogsOut(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.send("q", "1")
		w.send("q", "2")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		acked, held := got.next(t), got.next(t)
		if err := acked.Ack(); err != nil {
			t.Fatal(err)
		}
		if err := w.c.Close(); err != nil {
			t.Fatal(err)
		}
		if d := w.describe("q"); d.Summary.Waiting != 1 || d.Summary.Leased != 0 || d.Counters.Acked != 1 || len(d.Consumers) != 0 {
			t.Errorf("left %+v, %+v, %+v", d.Summary, d.Counters, d.Consumers)
		}
		wantError(t, <-got.ended, client.ErrClosed, codes.Canceled)
		_, err := w.c.Send(t.Context(), "q", client.Message{})
		for _, err := range []error{err, held.Ack(), held.AckWait(t.Context()), got.sub.Stop(t.Context()), w.c.Connect(t.Context())} {
			if err != nil {
				wantError(t, err, client.ErrClosed, codes.Canceled)
			}
		}
		if err := w.c.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestCloseEndsWhoWaits(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.cut()
		synctest.Wait()
		done := make(chan error, 2)
		go func() { // ends with the client
			_, err := w.c.Send(context.Background(), "q", client.Message{})
			done <- err
		}()
		go func() { done <- w.c.Connect(context.Background()) }() // ends with the client
		synctest.Wait()
		began := time.Now()
		if err := w.c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantError(t, <-done, client.ErrClosed, codes.Canceled)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestCloseDoesNotWaitForADeafSwitch has Close's logout unanswered.
func TestCloseDoesNotWaitForADeafSwitch(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.deafen()
		began := time.Now()
		if err := w.c.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestCloseBeforeAnything(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		inbox, err := w.c.OpenInbox()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.c.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, inbox.Request(t.Context(), "q", client.Message{CorrelationID: "1"}, pendingFuncs{}), client.ErrClosed, codes.Canceled)
	})
}
