package client_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

// outcomes is what SendAsync tells.
type outcomes struct {
	mu  sync.Mutex
	all map[int][]error
}

func (o *outcomes) of(i int) func(error) {
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.all == nil {
			o.all = map[int][]error{}
		}
		o.all[i] = append(o.all[i], err)
	}
}

// once fails the test unless each of n was told once; it returns with what.
func (o *outcomes) once(t *testing.T, n int) map[int]error {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	got := map[int]error{}
	for i := range n {
		if len(o.all[i]) != 1 {
			t.Errorf("message %d was told %d times", i, len(o.all[i]))
			continue
		}
		got[i] = o.all[i][0]
	}
	return got
}

func TestSendAsync(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		var told outcomes
		const n = 5000 // more than may be under way
		began := time.Now()
		for i := range n {
			queue := "q"
			if i%1000 == 999 {
				queue = "nowhere"
			}
			if err := w.c.SendAsync(t.Context(), queue, client.Message{Body: fmt.Appendf(nil, "%d", i)}, told.of(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, err := range told.once(t, n) {
			if i%1000 == 999 {
				wantError(t, err, client.ErrQueueNotFound, codes.NotFound)
			} else if err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it waited for a timer: %v", took)
		}
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		for i := range n {
			if i%1000 == 999 {
				continue
			}
			d := got.next(t)
			if string(d.Body) != fmt.Sprint(i) {
				t.Fatalf("message %s came in the place of %d", d.Body, i)
			}
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSendAsyncOfLargeBodies fills what may be under way many times over.
func TestSendAsyncOfLargeBodies(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		body := make([]byte, 1<<20)
		var told outcomes
		for i := range 50 {
			if err := w.c.SendAsync(t.Context(), "q", client.Message{Body: body}, told.of(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, err := range told.once(t, 50) {
			if err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
	})
}

// TestQuietLargeRequests are many more bytes than may be under way, and nobody
// serves them: they must all get through to the queue.
func TestQuietLargeRequests(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		body := make([]byte, 1<<20)
		for i := range 40 {
			id := fmt.Sprint(i)
			if err := x.Request(t.Context(), "q", client.Message{CorrelationID: id, Body: body}, x.pending(id)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if d := w.describe("q"); d.Summary.Waiting != 40 {
			t.Errorf("%d requests wait", d.Summary.Waiting)
		}
	})
}

func TestSendAsyncIsLostWithItsSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.line.deafen()
		var told outcomes
		for i := range 10 {
			if err := w.c.SendAsync(t.Context(), "q", client.Message{}, told.of(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		w.line.cut()
		w.replace()
		time.Sleep(time.Minute)
		for _, err := range told.once(t, 10) {
			wantError(t, err, client.ErrSessionLost, codes.Unavailable)
		}
	})
}

func TestSendAsyncNeedsSomebodyToTell(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		wantError(t, w.c.SendAsync(t.Context(), "q", client.Message{}, nil), client.ErrInvalid, codes.InvalidArgument)
		wantError(t, w.c.SendAsync(t.Context(), "", client.Message{}, func(error) {}), client.ErrInvalid, codes.InvalidArgument)
	})
}
