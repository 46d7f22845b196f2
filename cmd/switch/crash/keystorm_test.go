package crash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// TestRetryStorm has many callers call with keys, each key from two of them, and
// kills the switch with SIGKILL again and again. They retry after each error, and
// some lose patience and cancel before they call again. A key may run more than
// once, but it is answered once: all who call it get that one reply, also those who
// ask when all is over and the switch was killed once more.
func TestRetryStorm(t *testing.T) {
	r := random(t)
	d := newDaemon(t)
	d.start(t)
	if _, err := d.client(t, "admin").Create(t.Context(), "keyed", client.QueueOptions{MaxAttempts: 1000}); err != nil {
		t.Fatal(err)
	}
	s := &keyStorm{callers: 1000, keys: long(100_000, 10_000), clients: 50, replies: map[string]string{}, errors: map[string]int{}}
	if raceEnabled {
		s.callers, s.keys, s.clients = 100, 1000, 10
	}
	for i := range 4 {
		s.serve(t, d, fmt.Sprintf("server-%d", i), fork(r))
	}
	began := time.Now()
	done := s.call(t, d, r)
	kills, most := 0, long(100, 10)
	for over := false; !over; {
		pause := time.After(between(r, 100*time.Millisecond, 400*time.Millisecond))
		if kills == most {
			pause = nil // on a slow machine they would never be done
		}
		select {
		case <-done:
			over = true
		case <-pause:
			kills++
			d.kill(t)
			d.start(t)
		}
	}
	took := time.Since(began)
	d.kill(t)
	d.start(t)
	answered := s.answered.Load()
	s.askAgain(t, d)
	t.Logf("%d callers, %d keys, %d calls answered in %.1f s through %d SIGKILLs", s.callers, s.keys, answered, took.Seconds(), kills)
	t.Logf("handlers ran %d times for %d keys; %d tries were cancelled for lack of patience; others failed, and were made again: %v",
		s.runs.Load(), len(s.replies), s.impatient.Load(), s.errors)
	for word := range s.errors {
		if !strings.Contains(word, "Unavailable") {
			t.Errorf("the error %q does not say that a restart was the cause", word)
		}
	}
	if len(s.replies) != s.keys || kills == 0 {
		t.Errorf("%d of %d keys have a reply, through %d kills", len(s.replies), s.keys, kills)
	}
}

// keyStorm counts what callers and handlers do.
type keyStorm struct {
	callers, keys, clients int

	runs, answered, impatient atomic.Int64

	mu      sync.Mutex
	errors  map[string]int    // by who spoke, code and reason
	replies map[string]string // by key: what the first caller of it was told
}

// serve answers each run of a handler with a number of its own.
func (s *keyStorm) serve(t *testing.T, d *daemon, name string, r *rand.Rand) {
	c := d.client(t, name)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	var mu sync.Mutex
	pause := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return between(r, 0, 50*time.Millisecond)
	}
	go func() { // until the test ends, which waits
		served <- rpc.Serve(ctx, c, "keyed", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(pause())
			return fmt.Appendf(nil, "%s, run %d", req.Key, s.runs.Add(1)), nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// call lets every caller call its keys, and those of its neighbour. The channel is
// closed when all have their replies.
func (s *keyStorm) call(t *testing.T, d *daemon, r *rand.Rand) <-chan struct{} {
	var callers []*rpc.Caller
	for i := range s.clients {
		caller := rpc.NewCaller(d.client(t, fmt.Sprintf("client-%d", i)))
		t.Cleanup(func() { _ = caller.Close() })
		callers = append(callers, caller)
	}
	var work sync.WaitGroup
	for i := range s.callers {
		own := fork(r)
		work.Go(func() {
			for k := i; k < s.keys && !t.Failed(); k += s.callers {
				s.insist(t, callers[i%len(callers)], k, own)
				s.insist(t, callers[i%len(callers)], (k+1)%s.keys, own)
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }() // ends with the callers
	t.Cleanup(func() { <-done })
	return done
}

// insist calls a key until there is a reply.
func (s *keyStorm) insist(t *testing.T, caller *rpc.Caller, k int, r *rand.Rand) {
	key := fmt.Sprintf("key-%d", k)
	for over := time.Now().Add(3 * patience); time.Now().Before(over) && !t.Failed(); {
		bound := callBound
		if r.IntN(8) == 0 {
			bound = between(r, time.Millisecond, 60*time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		reply, err := caller.Call(ctx, "keyed", []byte("body of "+key), rpc.WithKey(key))
		cancel()
		switch {
		case err == nil:
			s.note(t, key, string(reply))
			return
		case errors.Is(err, context.DeadlineExceeded):
			s.impatient.Add(1)
		default:
			s.failed(err)
			time.Sleep(retryPause)
		}
	}
	if !t.Failed() {
		t.Errorf("%s has no reply after %v", key, 3*patience)
	}
}

func (s *keyStorm) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors[wordFor(err)]++
}

func (s *keyStorm) note(t *testing.T, key, reply string) {
	s.answered.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, known := s.replies[key]; known && first != reply {
		t.Errorf("%s was answered %q, and %q to somebody else", key, first, reply)
		return
	}
	s.replies[key] = reply
}

// askAgain asks for every reply once more, from a client of its own.
func (s *keyStorm) askAgain(t *testing.T, d *daemon) {
	caller := rpc.NewCaller(d.client(t, "late"))
	defer func() { _ = caller.Close() }()
	before := s.runs.Load()
	for k := range s.keys {
		s.insist(t, caller, k, rand.New(rand.NewPCG(1, 1)))
	}
	if n := s.runs.Load() - before; n > 0 {
		t.Errorf("handlers ran %d times more for keys that had been answered", n)
	}
}
