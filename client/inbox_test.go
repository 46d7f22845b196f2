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

// A caller is an inbox with what it was told, in order.
type caller struct {
	*client.Inbox
	w    *world
	told chan string
	errs chan error
	next int
}

func (w *world) caller() *caller {
	w.Helper()
	x := &caller{w: w, told: make(chan string, 100_000), errs: make(chan error, 100)}
	inbox, err := w.c.OpenInbox()
	if err != nil {
		w.Fatal(err)
	}
	x.Inbox = inbox
	return x
}

// pending puts into words what becomes of a request.
func (x *caller) pending(id string) client.Pending {
	return pendingFuncs{id, func(id string, r client.Reply) {
		if r.Failure != nil {
			x.told <- fmt.Sprintf("%s failed: %s", id, r.Failure.Reason)
			return
		}
		x.told <- fmt.Sprintf("%s: %s", id, r.Body)
	}, func(id string, err error) { x.told <- id + " lost: " + client.ReasonOf(err); x.errs <- err }}
}

// request sends the next request, numbered from 1.
func (x *caller) request(queue string) {
	x.w.Helper()
	x.next++
	id := fmt.Sprint(x.next)
	if err := x.Request(x.w.Context(), queue, client.Message{CorrelationID: id}, x.pending(id)); err != nil {
		x.w.Fatal(err)
	}
}

// wants compares what the caller was told next.
func (x *caller) wants(want ...string) {
	x.w.Helper()
	for _, s := range want {
		select {
		case got := <-x.told:
			if got != s {
				x.w.Errorf("was told %q, want %q", got, s)
			}
		case <-time.After(time.Minute):
			x.w.Fatalf("was not told %q within a minute", s)
		}
	}
}

func TestRequestAndReply(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		server := w.subscribe(w.c, "q", client.ConsumeOptions{})
		x.request("q")
		if err := server.next(t).Reply([]byte("hello"), map[string]string{"k": "v"}); err != nil {
			t.Fatal(err)
		}
		x.wants("1: hello")
		x.request("q")
		if err := server.next(t).ReplyWait(t.Context(), []byte("again"), nil); err != nil {
			t.Fatal(err)
		}
		x.wants("2: again")
		x.request("nowhere")
		x.wants("3 lost: QUEUE_NOT_FOUND")
		wantError(t, <-x.errs, client.ErrQueueNotFound, codes.NotFound)
		x.request("q")
		if err := server.next(t).Reject(t.Context(), "no"); err != nil {
			t.Fatal(err)
		}
		x.wants("4 failed: REJECTED")
		time.Sleep(time.Second)
		if n := inboxLeases(t, w); n != 0 {
			t.Errorf("%d replies are not acked a second later", n)
		}
	})
}

// inboxLeases counts the replies that the switch still keeps for its callers.
func inboxLeases(t *testing.T, w *world) (n uint64) {
	for q, err := range w.c.Admin().List(t.Context(), client.ListQuery{Temporary: true, Prefix: "tmp."}) {
		if err != nil {
			t.Fatal(err)
		}
		n += q.Leased + q.Waiting
	}
	return n
}

// TestManyRepliesAreAckedOnTheWay sends nothing while replies come: the inbox
// must not hold more than it says.
func TestManyRepliesAreAckedOnTheWay(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		worker, _ := w.dial(client.Config{})
		server := w.subscribe(worker, "q", client.ConsumeOptions{Credit: 5000})
		for range 3000 {
			x.request("q")
		}
		began := time.Now()
		for range 3000 {
			if err := server.next(t).Reply(nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := inboxLeases(t, w); n > 1024+256 {
			t.Errorf("%d replies are not acked", n)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("a timer helped: %v", took)
		}
		for i := range 3000 {
			x.wants(fmt.Sprintf("%d: ", i+1))
		}
	})
}

func TestCancelWithdraws(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		if !x.Cancel("1") || x.Cancel("1") {
			t.Error("the request was cancelled never, or twice")
		}
		w.send("q", "behind it")
		if d := w.describe("q"); d.Summary.Waiting != 1 {
			t.Errorf("%d messages wait", d.Summary.Waiting)
		}
	})
}

func TestInboxIsLostWithItsSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		synctest.Wait()
		w.line.cut()
		synctest.Wait()
		late := make(chan error, 1)
		go func() { // ends with the new session
			late <- x.Request(context.Background(), "q", client.Message{CorrelationID: "late", Create: &client.QueueOptions{}}, x.pending("late"))
		}()
		synctest.Wait()
		w.replace()
		x.wants("1 lost: TOKEN_INVALID")
		wantError(t, <-x.errs, client.ErrSessionLost, codes.Unavailable)
		if err := <-late; err != nil {
			t.Fatal(err)
		}
		if err := w.subscribe(w.c, "q", client.ConsumeOptions{}).next(t).Reply([]byte("hello"), nil); err != nil {
			t.Fatal(err)
		}
		x.wants("late: hello")
	})
}

// TestRequestsThatWaitAreNotMissing resumes with requests in every state: none
// of them is lost.
func TestRequestsThatWaitAreNotMissing(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		w.create("r")
		x := w.caller()
		worker, _ := w.dial(client.Config{})
		x.request("q") // 1: answered while the line is deaf
		x.request("r") // 2: waits
		x.request("q") // 3: running
		x.request("r") // 4: refused while the line is deaf
		synctest.Wait()
		server := w.subscribe(worker, "q", client.ConsumeOptions{})
		first := server.next(t)
		server.next(t)
		w.line.deafen()
		x.request("nowhere") // 5
		if err := first.ReplyWait(t.Context(), []byte("hello"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.line.blink()
		x.wants("5 lost: QUEUE_NOT_FOUND", "1: hello")
		synctest.Wait()
		if n := len(x.told); n != 0 {
			t.Errorf("was told %d more: %s …", n, <-x.told)
		}
	})
}

// TestInboxQueueDestroyed is an operator's doing: the session lives on.
func TestInboxQueueDestroyed(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		synctest.Wait()
		var queue string
		for q, err := range w.c.Admin().List(t.Context(), client.ListQuery{Temporary: true, Prefix: "tmp."}) {
			if err != nil {
				t.Fatal(err)
			}
			queue = q.Queue
		}
		if _, err := w.c.Destroy(t.Context(), queue); err != nil {
			t.Fatal(err)
		}
		x.wants("1 lost: QUEUE_DESTROYED")
		x.request("q")
		server := w.subscribe(w.c, "q", client.ConsumeOptions{})
		for d := server.next(t); ; d = server.next(t) {
			if err := d.Reply([]byte("hello"), nil); err != nil {
				t.Fatal(err)
			}
			if d.CorrelationID == "2" {
				break
			}
		}
		x.wants("2: hello")
	})
}

func TestClosedInbox(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		x.wants("1 lost: ")
		wantError(t, <-x.errs, client.ErrClosed, codes.Canceled)
		wantError(t, x.Request(t.Context(), "q", client.Message{CorrelationID: "2"}, x.pending("2")), client.ErrClosed, codes.Canceled)
		w.send("q", "behind it")
		for q, err := range w.c.Admin().List(t.Context(), client.ListQuery{Temporary: true, Prefix: "tmp."}) {
			t.Errorf("left %v, %v", q, err)
		}
	})
}

// TestRequestNeedsAName of its own, and somebody who waits.
func TestRequestNeedsAName(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		for id, p := range map[string]client.Pending{"": x.pending(""), "1": x.pending("1"), "2": nil} {
			wantError(t, x.Request(t.Context(), "q", client.Message{CorrelationID: id}, p), client.ErrInvalid, codes.InvalidArgument)
		}
		synctest.Wait()
		if d := w.describe("q"); d.Summary.Waiting != 1 {
			t.Errorf("%d requests wait", d.Summary.Waiting)
		}
	})
}

// TestReplyToNobody is one that comes after its request was cancelled, or for
// the second time: it is acked, and nobody hears of it.
func TestReplyToNobody(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		d := w.subscribe(w.c, "q", client.ConsumeOptions{}).next(t)
		if !x.Cancel("1") {
			t.Error("the request did not wait")
		}
		if err := d.Reply([]byte("late"), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := inboxLeases(t, w); len(x.told) != 0 || n != 0 {
			t.Errorf("told %d times; %d replies are not acked", len(x.told), n)
		}
	})
}
