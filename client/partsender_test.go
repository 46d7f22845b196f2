package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
)

// A streaming is a stream between two clients, each on a line of its own.
type streaming struct {
	*world
	server     *client.Client
	serverLine *line
	inbox      *client.Inbox         // the caller's
	held       *client.Delivery      // the request
	down       chan *client.Delivery // parts for the caller
	up         chan *client.Delivery // parts for the server
	over       chan error            // gets how the request ended; nil for the reply
}

// stream sends a request with this window, and has the server hold it.
func (w *world) stream(window client.StreamInboxOptions) *streaming {
	w.Helper()
	s := &streaming{world: w, down: make(chan *client.Delivery, 10_000), up: make(chan *client.Delivery, 10_000), over: make(chan error, 2)}
	s.server, s.serverLine = w.dial(client.Config{Name: "server"})
	w.create("q")
	window.Part = func(d *client.Delivery) { s.down <- d }
	var err error
	if s.inbox, err = w.c.OpenStreamInbox(window); err != nil {
		w.Fatal(err)
	}
	told := pendingFuncs{"1", func(_ string, r client.Reply) {
		if r.Failure != nil {
			s.over <- r.Failure
			return
		}
		s.over <- nil
	}, func(_ string, err error) { s.over <- err }}
	if err := s.inbox.Request(w.Context(), "q", client.Message{CorrelationID: "1", Stream: true}, told); err != nil {
		w.Fatal(err)
	}
	s.held = w.subscribe(s.server, "q", client.ConsumeOptions{}).next(w.T)
	return s
}

// sender sends the parts of the reply.
func (s *streaming) sender(ended func(error)) *client.PartSender {
	s.Helper()
	p, err := s.held.Parts(ended)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// accept lets the caller send parts, too.
func (s *streaming) accept(p *client.PartSender, ended func(error)) *client.PartSender {
	s.Helper()
	inbox, err := s.server.OpenStreamInbox(client.StreamInboxOptions{Part: func(d *client.Delivery) { s.up <- d }, WindowBytes: 1000})
	if err == nil {
		err = inbox.Open(s.Context())
	}
	if err == nil {
		err = p.Accept(inbox)
	}
	if err != nil {
		s.Fatal(err)
	}
	if d := <-s.down; d.ReplyTo == "" || d.Ack() != nil {
		s.Fatalf("%+v does not say that parts are taken", d)
	}
	back, err := s.inbox.Parts("1", ended)
	if err != nil {
		s.Fatal(err)
	}
	return back
}

// must sends a part.
func (s *streaming) must(p *client.PartSender, body string) {
	s.Helper()
	if err := p.Send(s.Context(), client.Part{Body: []byte(body), Headers: map[string]string{"n": body}}); err != nil {
		s.Fatal(err)
	}
}

func TestAPartSenderWaitsForItsReceiver(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowBytes: 1000})
		p := s.sender(nil)
		var sent sync.WaitGroup
		sent.Go(func() {
			for range 50 {
				s.must(p, strings.Repeat("x", 300))
			}
		})
		for n := range uint64(50) {
			synctest.Wait() // the sender has sent what it may
			inbox := w.inboxes()
			if inbox.Bytes > 1000 || n < 47 && inbox.Bytes != 900 {
				t.Errorf("with %d parts taken the switch holds %d bytes", n, inbox.Bytes)
			}
			d := <-s.down
			if d.Part() != n+1 || len(d.Body) != 300 || d.Headers["n"] == "" {
				t.Fatalf("part %d came as number %d: %+v", d.Part(), n+1, d)
			}
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		sent.Wait()
		if err := s.held.Reply(nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-s.over; err != nil {
			t.Fatal(err)
		}
	})
}

// inboxes is the one temporary queue that there is.
func (w *world) inboxes() client.QueueSummary {
	w.Helper()
	c, err := client.New(client.Config{Conn: w.sw.Conn()})
	if err != nil {
		w.Fatal(err)
	}
	for q, err := range c.Admin().List(context.Background(), client.ListQuery{Prefix: "tmp.", Temporary: true}) {
		if err != nil {
			w.Fatal(err)
		}
		return q
	}
	w.Fatal("there is no inbox")
	return client.QueueSummary{}
}

func TestPartsSurviveReconnects(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowBytes: 500, WindowParts: 20})
		p := s.sender(func(err error) { t.Errorf("the server's half ended: %v", err) })
		back := s.accept(p, func(err error) { t.Errorf("the caller's half ended: %v", err) })
		const n = 400
		var work sync.WaitGroup
		send := func(p *client.PartSender) {
			for i := range n {
				s.must(p, fmt.Sprint(i, strings.Repeat(".", i%200)))
			}
		}
		take := func(from chan *client.Delivery, first uint64) {
			for i := range n {
				d := <-from
				if want := fmt.Sprint(i, strings.Repeat(".", i%200)); string(d.Body) != want || d.Part() != first+uint64(i) {
					t.Errorf("part %d is %q, want %q", d.Part(), d.Body, want)
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
		}
		work.Go(func() { send(p) })
		work.Go(func() { send(back) })
		work.Go(func() { take(s.down, 2) })
		work.Go(func() { take(s.up, 1) })
		done := make(chan struct{})
		go func() { work.Wait(); close(done) }()
		rng, cuts := rand.New(rand.NewPCG(1, 2)), 0
		for waiting := true; waiting; cuts++ {
			select {
			case <-done:
				waiting = false
			case <-time.After(time.Duration(rng.IntN(200)) * time.Millisecond):
				l := []*line{s.line, s.serverLine}[rng.IntN(2)]
				if rng.IntN(2) == 0 {
					l.deafen() // what the switch says now is lost
					time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				}
				l.blink()
			}
		}
		p.Close()
		back.Close()
		if cuts < 5 {
			t.Errorf("the connections were cut %d times only", cuts)
		}
		if err := s.held.Reply(nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-s.over; err != nil {
			t.Fatal(err)
		}
	})
}

func TestALargePartGoesAlone(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowBytes: 100})
		p := s.sender(nil)
		var sent sync.WaitGroup
		sent.Go(func() {
			s.must(p, strings.Repeat("a", 30))
			s.must(p, strings.Repeat("b", 5000))
			s.must(p, strings.Repeat("c", 5000))
		})
		for i, want := range []string{"a", "b", "c"} {
			synctest.Wait()
			if len(s.down) != 1 {
				t.Errorf("%d parts have come where one may", len(s.down))
			}
			if d := <-s.down; !bytes.HasPrefix(d.Body, []byte(want)) || d.Ack() != nil {
				t.Errorf("part %d is %+v", i, d)
			}
		}
		sent.Wait()
	})
}

func TestTheEndNeverWaits(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowParts: 1})
		p := s.sender(nil)
		s.must(p, "all that fits")
		if err := p.End(); err != nil {
			t.Fatal(err)
		}
		<-s.down
		if d := <-s.down; !d.End() || d.Part() != 2 {
			t.Errorf("the end is %+v", d)
		}
		if err := p.Send(t.Context(), client.Part{}); !errors.Is(err, client.ErrNoStream) {
			t.Errorf("a part after the end: %v", err)
		}
		if err := p.End(); !errors.Is(err, client.ErrNoStream) {
			t.Errorf("a second end: %v", err)
		}
	})
}

func TestAPartSenderEndsWithItsSession(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowBytes: 10})
		ended := make(chan error, 2)
		p := s.sender(func(err error) { ended <- err })
		s.must(p, "0123456789")
		waits := make(chan error)
		go func() { waits <- p.Send(t.Context(), client.Part{Body: []byte("x")}) }()
		synctest.Wait()
		s.serverLine.cut()
		for _, err := range []error{<-waits, <-ended} {
			if !errors.Is(err, client.ErrSessionLost) {
				t.Errorf("it ended with %v", err)
			}
		}
		if err := <-s.over; !errors.Is(err, client.ErrStreamBroken) {
			t.Errorf("the caller was told %v", err)
		}
		if len(ended) != 0 {
			t.Error("it ended twice")
		}
	})
}

func TestAPartSenderMindsItsContext(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{WindowParts: 1})
		p := s.sender(nil)
		s.must(p, "1")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if err := p.Send(ctx, client.Part{Body: []byte("2")}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("it waited %v: %v", time.Since(began), err)
		}
		if d := <-s.down; d.Ack() != nil {
			t.Error("the lease is gone")
		}
		s.must(p, "3") // nothing is left of the part that was not sent
		if d := <-s.down; string(d.Body) != "3" || d.Part() != 2 {
			t.Errorf("the next part is %+v", d)
		}
	})
}

// A reply counts the parts before it, so that none is lost unseen.
func TestAReplyCountsItsParts(t *testing.T) {
	for name, reply := range map[string]func(*client.Delivery) error{
		"quiet": func(d *client.Delivery) error { return d.Reply([]byte("done"), nil) },
		"wait":  func(d *client.Delivery) error { return d.ReplyWait(context.Background(), []byte("done"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, server.Config{MemoryBudget: 10_000})
				s := w.stream(client.StreamInboxOptions{})
				p := s.sender(nil)
				s.must(p, "this one has room")
				synctest.Wait()
				s.must(p, strings.Repeat("x", 11_000))
				if err := reply(s.held); name == "wait" && !errors.Is(err, client.ErrStreamBroken) || name == "quiet" && err != nil {
					t.Errorf("the reply: %v", err)
				}
				if err := <-s.over; !errors.Is(err, client.ErrStreamBroken) || !strings.Contains(err.Error(), "2 parts, of which the switch took 1") {
					t.Errorf("the caller was told %v", err)
				}
			})
		})
	}
}

func TestPartsThatCanNotBe(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.stream(client.StreamInboxOptions{})
		p := s.sender(nil)
		err := p.Send(t.Context(), client.Part{Body: make([]byte, 1<<20+1)})
		if !errors.Is(err, client.ErrPayloadTooLarge) || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("a part that is too large: %v", err)
		}
		if err := p.Send(t.Context(), client.Part{Headers: map[string]string{"switch-x": ""}}); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a part with a header of the switch's: %v", err)
		}
		s.must(p, "but this one can")
		if d := <-s.down; d.Part() != 1 {
			t.Errorf("it came as %+v", d)
		}
		w.create("plain")
		w.send("plain", "plain")
		plain := w.subscribe(w.c, "plain", client.ConsumeOptions{}).next(t)
		if _, err := plain.Parts(nil); !errors.Is(err, client.ErrNoStream) {
			t.Errorf("parts of what is no stream: %v", err)
		}
		caller := w.caller()
		if err := caller.Request(t.Context(), "q", client.Message{CorrelationID: "2", Stream: true}, caller.pending("2")); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a stream with an inbox of others: %v", err)
		}
		if err := s.inbox.Request(t.Context(), "q", client.Message{CorrelationID: "3"}, caller.pending("3")); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("a plain request with the inbox of a stream: %v", err)
		}
		if _, err := w.c.OpenStreamInbox(client.StreamInboxOptions{}); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("an inbox whose parts nobody takes: %v", err)
		}
		early, err := s.inbox.Parts("1", nil)
		if err == nil {
			err = early.Send(t.Context(), client.Part{})
		}
		synctest.Wait()
		if err = errors.Join(err, early.Send(t.Context(), client.Part{})); !errors.Is(err, client.ErrStreamNotAccepted) {
			t.Errorf("a part that nobody takes yet: %v", err)
		}
	})
}
