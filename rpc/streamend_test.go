package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// endless sends until its context ends.
func endless(ended chan<- error) rpc.Handler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		var err error
		for err == nil {
			err = req.Stream().Send(part(strings.Repeat("x", 100)))
		}
		ended <- context.Cause(ctx)
		return nil, err
	}
}

func TestGivingAStreamUpEndsItsHandler(t *testing.T) {
	for name, giveUp := range map[string]func(*rpc.Stream, context.CancelFunc){
		"close":  func(s *rpc.Stream, _ context.CancelFunc) { s.Close(); s.Close() },
		"cancel": func(_ *rpc.Stream, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				ended := make(chan error, 1)
				w.serve("q", endless(ended))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := w.open(ctx)
				if _, err := s.Receive(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				giveUp(s, cancel)
				if cause := <-ended; !errors.Is(cause, client.ErrCallerGone) {
					t.Errorf("the handler ended with %v", cause)
				}
				_, err := s.Receive()
				var e *rpc.Error
				if !errors.As(err, &e) || e.Origin != rpc.OriginLocal || status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
					t.Errorf("it receives %v", err)
				}
				if err := s.Send(part("x")); status.Code(err) != codes.Canceled {
					t.Errorf("it sends %v", err)
				}
				w.leavesNothing()
			})
		})
	}
}

// The other side stops, and the deadline ends it: the sender, and the receiver.
func TestAStreamThatStopsEndsWithItsDeadline(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		handler := make(chan error, 1)
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			_ = req.Stream().Send(part("one"))
			got, err := all(req.Stream()) // the caller sends nothing
			handler <- fmt.Errorf("%q: %w", got, err)
			return nil, err
		})
		began := time.Now()
		s := w.open(t.Context(), rpc.Timeout(5*time.Second))
		got, err := all(s)
		if got != "one" || status.Code(err) != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v it got %q and %v", time.Since(began), got, err)
		}
		if err := <-handler; status.Code(errors.Unwrap(err)) != codes.DeadlineExceeded {
			t.Errorf("the handler received %v", err)
		}
		w.leavesNothing()
	})
}

func TestOversizedPartsLeaveTheStreamAlone(t *testing.T) {
	t.Run("default", func(t *testing.T) { oversizedParts(t, 1<<20) })
	t.Run("small", func(t *testing.T) { oversizedParts(t, 16<<10) })
}

func oversizedParts(t *testing.T, limit int) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, server.Config{MaxPayload: limit})
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			large := req.Stream().Send(rpc.Part{Body: make([]byte, limit+1)})
			if !errors.Is(large, client.ErrPayloadTooLarge) {
				return nil, fmt.Errorf("a part that is too large: %w", large)
			}
			return []byte(large.Error()), req.Stream().Send(rpc.Part{Body: make([]byte, limit)})
		})
		s := w.open(t.Context())
		if p, err := s.Receive(); err != nil || len(p.Body) != limit {
			t.Errorf("got %d bytes, %v", len(p.Body), err)
		}
		if _, err := s.Receive(); !errors.Is(err, io.EOF) || !strings.Contains(string(s.Reply().Body), fmt.Sprint("at most ", limit)) {
			t.Errorf("the reply is %v, %v", s.Reply(), err)
		}
	})
}

// listening receives until its context ends, having sent one part.
func listening(ended chan<- error) rpc.Handler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		err := req.Stream().Send(part("hello"))
		for err == nil {
			_, err = req.Stream().Receive()
		}
		ended <- context.Cause(ctx)
		return nil, err
	}
}

var lasting = map[string]func(chan<- error) rpc.Handler{"sending": endless, "receiving": listening}

func TestTheServersDeathIsToldAtOnce(t *testing.T) {
	for name, handler := range lasting {
		t.Run(name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				ended := make(chan error, 1)
				server := w.serve("q", handler(ended))
				s := w.open(t.Context())
				if _, err := s.Receive(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				server.line.cut()
				began := time.Now()
				_, err := all(s)
				if !errors.Is(err, client.ErrStreamBroken) || status.Code(err) != codes.Aborted || time.Since(began) > 11*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				server.line.join(w.sw.Conn())
				if cause := <-ended; !errors.Is(cause, client.ErrSessionLost) || time.Since(began) > 12*time.Second {
					t.Errorf("after %v the handler ended with %v", time.Since(began), cause)
				}
				w.leavesNothing()
			})
		})
	}
}

func TestTheCallersDeathEndsTheHandler(t *testing.T) {
	for name, handler := range lasting {
		t.Run(name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				ended := make(chan error, 1)
				w.serve("q", handler(ended))
				s := w.open(t.Context())
				if _, err := s.Receive(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				w.line.cut()
				began := time.Now()
				if cause := <-ended; !errors.Is(cause, client.ErrCallerGone) || time.Since(began) > 11*time.Second {
					t.Errorf("after %v the handler ended with %v", time.Since(began), cause)
				}
				if _, err := all(s); !errors.Is(err, client.ErrSessionLost) {
					t.Errorf("the caller got %v", err)
				}
			})
		})
	}
}

func TestClosingTheCallerEndsItsStreams(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		ended := make(chan error, 1)
		w.serve("q", endless(ended))
		s := w.open(t.Context())
		if _, err := s.Receive(); err != nil {
			t.Fatal(err)
		}
		if err := w.caller.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Receive(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("it receives %v", err)
		}
		if cause := <-ended; !errors.Is(cause, client.ErrCallerGone) {
			t.Errorf("the handler ended with %v", cause)
		}
		if _, err := w.caller.Stream(t.Context(), rpc.Request{Queue: "q"}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("a closed caller opens a stream: %v", err)
		}
		w.leavesNothing()
	})
}

func TestStreamsThatCanNotBegin(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.open(t.Context()) // there is no queue q
		if _, err := s.Receive(); !errors.Is(err, client.ErrQueueNotFound) {
			t.Errorf("it receives %v", err)
		}
		if err := s.Send(part("x")); !errors.Is(err, io.EOF) {
			t.Errorf("it sends %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.caller.Stream(ctx, rpc.Request{Queue: "q"}); status.Code(err) != codes.Canceled {
			t.Errorf("with a context that has ended: %v", err)
		}
		w.create("q", client.QueueOptions{})
		s = w.open(t.Context(), rpc.RequireServer())
		if _, err := s.Receive(); !errors.Is(err, client.ErrNoConsumer) {
			t.Errorf("with nobody there: %v", err)
		}
		s = w.open(t.Context(), rpc.Timeout(time.Second))
		if err := s.Send(part("nobody takes it")); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("it sends %v", err)
		}
		w.leavesNothing()
	})
}

// After a restart both sides of a stream that had begun know; one that waited in a
// durable queue goes on.
func TestStreamsAcrossARestart(t *testing.T) {
	for name, handler := range lasting {
		t.Run(name, func(t *testing.T) { acrossARestart(t, handler) })
	}
}

func acrossARestart(t *testing.T, handler func(chan<- error) rpc.Handler) {
	synctest.Test(t, func(t *testing.T) {
		cfg := server.Config{DataDir: t.TempDir()}
		w := newWorld(t, cfg)
		ended := make(chan error, 2)
		server := w.serve("q", handler(ended), rpc.Concurrency(1))
		begun, waits := w.open(t.Context()), w.open(t.Context())
		if _, err := begun.Receive(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.sw.Close(); err != nil {
			t.Fatal(err)
		}
		w.sw = servertest.New(t, cfg)
		w.line.join(w.sw.Conn())
		server.line.join(w.sw.Conn())
		at := time.Now()
		if _, err := all(begun); !errors.Is(err, client.ErrStreamBroken) || time.Since(at) > 5*time.Second {
			t.Errorf("after %v the caller got %v", time.Since(at), err)
		}
		if cause := <-ended; !errors.Is(cause, client.ErrSessionLost) || time.Since(at) > 5*time.Second {
			t.Errorf("after %v the handler ended with %v", time.Since(at), cause)
		}
		if p, err := waits.Receive(); err != nil || len(p.Body) == 0 {
			t.Errorf("the stream that waited receives %v, %v", p, err)
		}
		_ = waits.Close()
		if cause := <-ended; !errors.Is(cause, client.ErrCallerGone) {
			t.Errorf("the other handler ended with %v", cause)
		}
		w.leavesNothing()
	})
}

// A switch that has no memory for a part refuses it, and the stream ends: what was
// sent before arrives, and the error names the limit.
func TestAStreamEndsWhereMemoryDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, server.Config{MemoryBudget: 64 << 10})
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			var err error
			for err == nil {
				err = req.Stream().Send(rpc.Part{Body: make([]byte, 10<<10)})
			}
			return nil, err
		})
		s := w.open(t.Context())
		time.Sleep(time.Minute) // the reader does not read
		n := 0
		_, err := s.Receive()
		for ; err == nil; n++ {
			_, err = s.Receive()
		}
		var e *rpc.Error
		if n != 6 || !errors.As(err, &e) || e.Origin != rpc.OriginHandler || status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "memory for 65536") {
			t.Errorf("after %d parts: %v", n, err)
		}
		w.leavesNothing()
	})
}

// A handler sends without waiting for the switch's word: when its last part is refused
// it returns before it can know. The call fails all the same.
func TestAReplyDoesNotHideALostPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, server.Config{MemoryBudget: 100_000})
		other, _ := w.dial("other")
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			for range 2 {
				if err := req.Stream().Send(part("small")); err != nil {
					return nil, err
				}
				synctest.Wait() // the next one is sent without waiting
			}
			if _, err := other.Send(t.Context(), "full", client.Message{Body: make([]byte, 90_000), Create: &client.QueueOptions{}}); err != nil {
				return nil, err
			}
			return []byte("done"), req.Stream().Send(rpc.Part{Body: make([]byte, 20_000)})
		})
		s := w.open(t.Context())
		got, err := all(s)
		if got != "small small" || !errors.Is(err, client.ErrStreamBroken) || status.Code(err) != codes.Aborted || s.Reply() != nil {
			t.Errorf("it got %q and then %v, the reply %v", got, err, s.Reply())
		}
	})
}
