package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/client"
)

// seeds are what the chaos tests run with: SWITCH_SEED alone, if it is set.
func seeds(t *testing.T, n int) []uint64 {
	if s := os.Getenv("SWITCH_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	if os.Getenv("SWITCH_SLOW") != "" {
		n *= 50
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64N(1 << 32)
	}
	return all
}

// flicker breaks lines at random until ctx ends, and leaves them whole.
func flicker(ctx context.Context, r *rand.Rand, lines ...*line) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		l := lines[r.IntN(len(lines))]
		switch r.IntN(3) {
		case 0:
			l.blink()
		case 1: // what was sent arrives, and what is answered does not
			l.deafen()
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
			l.blink()
		case 2:
			l.mu.Lock()
			conn := l.conn
			l.mu.Unlock()
			l.cut()
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
			l.join(conn)
		}
	}
}

// TestNothingIsLostOrTwice sends, consumes and calls while the lines of both
// sides break again and again. No session ends, so every Send is enqueued once,
// every message acked once, and every request answered once.
func TestNothingIsLostOrTwice(t *testing.T) {
	for _, seed := range seeds(t, 20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) { newChaos(w, seed).run() })
		})
	}
}

type chaos struct {
	*world
	r          *rand.Rand
	worker     *client.Client
	workerLine *line

	mu       sync.Mutex
	handled  map[string]int // what the worker got: body to attempts
	answered map[string]int // what came of requests
	problems []error
}

func newChaos(w *world, seed uint64) *chaos {
	x := &chaos{world: w, r: rand.New(rand.NewPCG(seed, 1)), handled: map[string]int{}, answered: map[string]int{}}
	// The grace is so long that no unlucky row of attempts outlasts it.
	x.c, x.line = w.dial(client.Config{Name: "caller", Grace: time.Hour})
	x.worker, x.workerLine = w.dial(client.Config{Name: "worker", Grace: time.Hour})
	return x
}

func (x *chaos) run() {
	x.create("work")
	x.create("calls")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var loops sync.WaitGroup
	x.serve()
	stop, end := context.WithCancel(ctx)
	loops.Go(func() { flicker(stop, x.r, x.line, x.workerLine) })
	var all sync.WaitGroup
	for p := range 8 {
		all.Go(func() { x.produce(ctx, p, 200) })
	}
	all.Go(func() { x.call(ctx, 1000) })
	all.Wait()
	x.until(func() bool { return len(x.handled) == 8*200 && len(x.answered) == 1000 })
	end()
	loops.Wait()
	x.until(func() bool { d := x.describe("work"); return d.Summary.Waiting+d.Summary.Leased == 0 })
	time.Sleep(time.Second)
	synctest.Wait()
	x.check()
}

// until waits for what must come within an hour.
func (x *chaos) until(done func() bool) {
	x.Helper()
	for range 3600 {
		synctest.Wait()
		x.mu.Lock()
		ok := done()
		x.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(time.Second)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, err := range x.problems {
		x.Error(err)
	}
	x.Fatalf("stuck with %d handled and %d answered; work: %+v; calls: %+v", len(x.handled), len(x.answered), x.describe("work"), x.describe("calls"))
}

// serve acks work, and answers calls with their body.
func (x *chaos) serve() {
	_, err := x.worker.Subscribe(x.Context(), "work", client.ConsumeOptions{}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			x.note(x.handled, string(d.Body))
			x.problem(d.Ack())
		},
		Ended: x.problem,
	})
	if err != nil {
		x.Fatal(err)
	}
	_, err = x.worker.Subscribe(x.Context(), "calls", client.ConsumeOptions{}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) { x.problem(d.Reply(d.Body, nil)) },
		Ended:   x.problem,
	})
	if err != nil {
		x.Fatal(err)
	}
}

func (x *chaos) note(where map[string]int, what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	where[what]++
}

func (x *chaos) problem(err error) {
	if err != nil && !errors.Is(err, client.ErrClosed) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.problems = append(x.problems, err)
	}
}

func (x *chaos) produce(ctx context.Context, producer, n int) {
	for i := range n {
		r, err := x.c.Send(ctx, "work", client.Message{Body: fmt.Appendf(nil, "%d.%d", producer, i)})
		if x.problem(err); r.Duplicate {
			x.problem(errors.New("a Send says duplicate"))
		}
		if i%10 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (x *chaos) call(ctx context.Context, n int) {
	inbox, err := x.c.OpenInbox()
	if err != nil {
		x.Error(err)
		return
	}
	for i := range n {
		x.problem(inbox.Request(ctx, "calls", client.Message{CorrelationID: strconv.Itoa(i), Body: []byte("body")}, pendingFuncs{
			strconv.Itoa(i), func(id string, _ client.Reply) { x.note(x.answered, id) },
			func(id string, err error) { x.problem(fmt.Errorf("request %s: %w", id, err)) },
		}))
		if i%10 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (x *chaos) check() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for what, n := range x.handled {
		if n != 1 {
			x.Errorf("message %s was delivered %d times", what, n)
		}
	}
	for id, n := range x.answered {
		if n != 1 {
			x.Errorf("request %s was answered %d times", id, n)
		}
	}
	for _, err := range x.problems {
		x.Error(err)
	}
	for _, queue := range []string{"work", "calls"} {
		d := x.describe(queue)
		if n := d.Counters; d.Summary.Waiting+d.Summary.Leased != 0 || n.Acked != n.Sent || n.Redelivered != 0 || n.Duplicates != 0 {
			x.Errorf("queue %s: %+v %+v", queue, d.Summary, n)
		}
	}
}
