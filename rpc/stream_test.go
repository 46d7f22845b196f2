package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// open opens a stream to queue q.
func (w *world) open(ctx context.Context, opts ...rpc.CallOption) *rpc.Stream {
	w.t.Helper()
	s, err := w.caller.Stream(ctx, rpc.Request{Queue: "q", Body: []byte("go")}, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// part is a part of text.
func part(text string) rpc.Part { return rpc.Part{Body: []byte(text)} }

// all receives until the end, and answers the parts in one line.
func all(s *rpc.Stream) (string, error) {
	var got []string
	for {
		p, err := s.Receive()
		if err != nil {
			return strings.Join(got, " "), err
		}
		got = append(got, string(p.Body))
	}
}

// wants receives all, up to the reply.
func wants(t *testing.T, s *rpc.Stream, parts, reply string) {
	t.Helper()
	got, err := all(s)
	if got != parts || !errors.Is(err, io.EOF) || s.Reply() == nil || string(s.Reply().Body) != reply {
		t.Errorf("the parts are %q and then %v, the reply %v; want %q, and the reply %q", got, err, s.Reply(), parts, reply)
	}
}

func TestTheReplyComesInParts(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			for i := range 3 {
				p := part(fmt.Sprint(string(req.Body), i))
				p.Headers = map[string]string{"n": fmt.Sprint(i)}
				if err := req.Stream().Send(p); err != nil {
					return nil, err
				}
			}
			req.SetReplyHeaders(map[string]string{"trailer": "yes"})
			return []byte("done"), nil
		})
		s := w.open(t.Context())
		if p, err := s.Receive(); err != nil || string(p.Body) != "go0" || p.Headers["n"] != "0" || s.Reply() != nil {
			t.Errorf("the first part is %v (%v), the reply %v", p, err, s.Reply())
		}
		wants(t, s, "go1 go2", "done")
		if s.Reply().Headers["trailer"] != "yes" {
			t.Errorf("the reply is %v", s.Reply())
		}
		if _, err := s.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end it receives %v", err)
		}
		if err := s.Send(part("late")); !errors.Is(err, io.EOF) {
			t.Errorf("after the end it sends: %v", err)
		}
		w.leavesNothing()
	})
}

// leavesNothing says that no queue but q and the caller's own is there, nothing is in
// it, and nobody is held.
func (w *world) leavesNothing() {
	w.t.Helper()
	w.await(func() bool {
		for q, err := range w.client.Admin().List(context.Background(), client.ListQuery{Temporary: true}) {
			if err != nil || q.Queue != "q" || q.Waiting+q.Leased > 0 {
				return false
			}
		}
		return true
	})
}

func TestTheRequestComesInParts(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			got, err := all(req.Stream())
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			return []byte(got), nil
		})
		s := w.open(t.Context())
		for i := range 5 {
			if err := s.Send(part(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		wants(t, s, "", "0 1 2 3 4")
		w.leavesNothing()
	})
}

func TestBothComeInParts(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			s := req.Stream()
			for {
				p, err := s.Receive()
				if errors.Is(err, io.EOF) {
					return []byte("half closed"), s.Send(part("last"))
				}
				if err != nil {
					return nil, err
				}
				if err := s.Send(part("re:" + string(p.Body))); err != nil {
					return nil, err
				}
			}
		})
		s := w.open(t.Context())
		for i := range 10 { // ping-pong
			if err := s.Send(part(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if p, err := s.Receive(); err != nil || string(p.Body) != fmt.Sprint("re:", i) {
				t.Fatalf("got %q, %v", p.Body, err)
			}
		}
		if err := errors.Join(s.Send(rpc.Part{}), s.CloseSend(), s.CloseSend()); err != nil {
			t.Fatal(err)
		}
		wants(t, s, "re: last", "half closed")
		w.leavesNothing()
	})
}

func TestCloseSendBeforeAnybodyServes(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		s := w.open(t.Context())
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			got, err := all(req.Stream())
			return []byte(fmt.Sprintf("%q %v", got, err)), nil
		})
		wants(t, s, "", `"" EOF`)
	})
}

func TestOneHandlerServesBothKinds(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			return []byte(fmt.Sprint(req.Stream() != nil)), nil
		})
		wants(t, w.open(t.Context()), "", "true")
		if got, err := w.caller.Call(t.Context(), "q", nil); err != nil || string(got) != "false" {
			t.Errorf("a plain call got %q, %v", got, err)
		}
		s := w.open(t.Context())
		w.await(func() bool { return errors.Is(s.Send(part("nobody looks")), io.EOF) })
	})
}

func TestAFailureComesAfterTheParts(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			req.SetReplyHeaders(map[string]string{"why": "moon"})
			return nil, errors.Join(req.Stream().Send(part("one")), status.Error(codes.DataLoss, "the page is torn"))
		})
		s := w.open(t.Context())
		got, err := all(s)
		var e *rpc.Error
		if got != "one" || !errors.As(err, &e) || e.Origin != rpc.OriginHandler || status.Code(err) != codes.DataLoss || e.Headers()["why"] != "moon" || s.Reply() != nil {
			t.Errorf("got %q, then %v with %v", got, err, e.Headers())
		}
		w.leavesNothing()
	})
}

func TestReplyHeadersOfPlainCalls(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			req.SetReplyHeaders(map[string]string{string(req.Body): "x"})
			if req.Headers["fail"] != "" {
				return nil, errors.New("as told")
			}
			return nil, nil
		})
		res, err := w.caller.Do(t.Context(), rpc.Request{Queue: "q", Body: []byte("a")})
		if err != nil || res.Headers["a"] != "x" {
			t.Errorf("got %v, %v", res, err)
		}
		var e *rpc.Error
		for body, code := range map[string]codes.Code{"a": codes.Unknown, "switch-own": codes.Unknown} {
			_, err = w.caller.Do(t.Context(), rpc.Request{Queue: "q", Body: []byte(body), Headers: map[string]string{"fail": "1"}})
			if !errors.As(err, &e) || status.Code(err) != code || (e.Headers()["a"] == "x") != (body == "a") {
				t.Errorf("%s: got %v", body, err)
			}
		}
		if _, err = w.caller.Do(t.Context(), rpc.Request{Queue: "q", Body: []byte("switch-own")}); status.Code(err) != codes.Internal {
			t.Errorf("a header of the switch's: %v", err)
		}
	})
}

// A reader that does not read holds up its own stream alone, and the switch keeps a
// window of it.
func TestASlowReaderHoldsAWindow(t *testing.T) {
	const window, size = 64 << 10, 1 << 10
	fake(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		sent := 0
		w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			if req.Stream() == nil {
				return req.Body, nil
			}
			for range 1000 {
				if err := req.Stream().Send(rpc.Part{Body: make([]byte, size)}); err != nil {
					return nil, err
				}
				mu.Lock()
				sent++
				mu.Unlock()
			}
			return nil, nil
		})
		s := w.open(t.Context(), rpc.Window(window))
		held := func() (bytes uint64) {
			for q, err := range w.client.Admin().List(context.Background(), client.ListQuery{Prefix: "tmp.", Temporary: true}) {
				if err != nil {
					t.Fatal(err)
				}
				bytes += q.Bytes
			}
			return bytes
		}
		most, got := uint64(0), 0
		for n := 0; ; n++ {
			if n%50 == 0 { // it sleeps
				time.Sleep(time.Minute)
				most = max(most, held())
				if _, err := w.caller.Call(t.Context(), "q", []byte("x")); err != nil {
					t.Errorf("others wait as well: %v", err)
				}
			}
			p, err := s.Receive()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
			got += len(p.Body)
			mu.Lock()
			if ahead := sent - n; ahead > window/size+1 {
				t.Errorf("the handler is %d parts ahead of its reader", ahead)
			}
			mu.Unlock()
		}
		if got != 1000*size || most > window+size || most < window/2 {
			t.Errorf("%d bytes came; the switch held %d at most, with a window of %d", got, most, window)
		}
		t.Logf("a reader that sleeps has the switch hold %d bytes, with a window of %d", most, window)
	})
}

func TestAStreamSurvivesLostConnections(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		server := w.serve("q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			s := req.Stream()
			for {
				p, err := s.Receive()
				if errors.Is(err, io.EOF) {
					return nil, nil
				}
				if err == nil {
					err = s.Send(p)
				}
				if err != nil {
					return nil, err
				}
			}
		}, rpc.Window(2000))
		s := w.open(t.Context(), rpc.Window(2000))
		text := func(i int) []byte { return bytes.Repeat([]byte(fmt.Sprintf("%d.", i)), 1+i%300) }
		const n = 500
		var sending sync.WaitGroup
		sending.Go(func() {
			for i := range n {
				if err := s.Send(rpc.Part{Body: text(i)}); err != nil {
					t.Error(err)
					return
				}
				if i%20 == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			_ = s.CloseSend()
		})
		stop := make(chan struct{})
		sending.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(10+i%50) * time.Millisecond):
					[]*line{w.line, server.line}[i%2].join(w.sw.Conn())
				}
			}
		})
		for i := range n {
			p, err := s.Receive()
			if err != nil || !bytes.Equal(p.Body, text(i)) {
				t.Fatalf("part %d: %.20q, %v", i, p.Body, err)
			}
		}
		if _, err := s.Receive(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		close(stop)
		sending.Wait()
	})
}
