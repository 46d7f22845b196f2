package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// TestForest plays random trees of calls over several queues and servers, with
// cancels, deadlines, servers that die, and lines that are cut, in fake time. Then:
//
//   - no call is left unanswered past its deadline and a second;
//   - no handler of a tree runs past the cancel of its root, or of what is between, by
//     more than a scheduling step, unless a line was cut lately;
//   - every reply is the one to its request;
//   - in the end the switch holds nothing.
//
// SWITCH_SEED plays one forest, SWITCH_SLOW=1 many. What handlers do depends on the
// seed alone; which goroutine is first does not.
func TestForest(t *testing.T) {
	seed, forests := rand.Uint64N(1<<32), 60
	switch {
	case os.Getenv("SWITCH_SLOW") == "1":
		forests = 1500
	case testing.Short():
		forests = 6
	}
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		seed, _ = strconv.ParseUint(env, 10, 64)
		forests = 1
	}
	var sum tally
	for n := uint64(0); n < uint64(forests) && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			f := newForest(t, seed+n)
			f.play()
			sum.add(f.tally)
		})
	}
	t.Logf("SWITCH_SEED=%d and on: %+v", seed, sum)
	if forests > 1 && (sum.Replied == 0 || sum.Failed == 0 || sum.Checks == 0 || sum.Cut == 0 || sum.Deaths == 0) {
		t.Error("the test is blind: something never happened")
	}
}

// A tally counts what happened.
type tally struct {
	Calls, Replied, Failed int
	Checks, Cut            int // cancels that were checked, and handlers that they ended
	Deaths                 int // of servers, and cuts of lines
}

func (t *tally) add(o tally) {
	t.Calls, t.Replied, t.Failed = t.Calls+o.Calls, t.Replied+o.Replied, t.Failed+o.Failed
	t.Checks, t.Cut, t.Deaths = t.Checks+o.Checks, t.Cut+o.Cut, t.Deaths+o.Deaths
}

// A forest is a switch, servers that call each other, and the calls of one run.
type forest struct {
	*testing.T
	seed uint64
	w    *world
	busy sync.WaitGroup // calls that nobody else waits for

	mu        sync.Mutex
	tally     tally
	nodes     map[string]*node // by id
	runs      map[*run]bool    // handlers that have not returned
	hosts     []*host
	disturbed time.Time // the last time that a line was cut, or a server died
}

const (
	forestQueues = 3
	forestHosts  = 3
	forestRoots  = 12
	// calm is how long after a disturbance its consequences are over: the grace of a
	// session, the lease, and the longest pause of a client that dials.
	calm = 30 * time.Second
)

func newForest(t *testing.T, seed uint64) *forest {
	f := &forest{T: t, seed: seed, nodes: map[string]*node{}, runs: map[*run]bool{}}
	f.w = newWorld(t)
	f.w.log = nil // there is too much of it
	for q := range forestQueues {
		f.w.create(fmt.Sprint("q", q), client.QueueOptions{MaxAttempts: 3, NoDeadLetter: true, Lease: 5 * time.Second})
	}
	for range forestHosts {
		f.hosts = append(f.hosts, f.newHost())
	}
	synctest.Wait()
	return f
}

// source is a source of random numbers for one purpose.
func (f *forest) source(purpose string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(purpose) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(f.seed, h))
}

func (f *forest) errorf(format string, args ...any) {
	f.Helper()
	f.Errorf("SWITCH_SEED=%d: %s", f.seed, fmt.Sprintf(format, args...))
}

// play grows the trees, and looks at what is left.
func (f *forest) play() {
	ctx, stop := context.WithCancel(context.Background())
	var chaos sync.WaitGroup
	if f.seed%3 != 0 { // without it, every cancel is checked
		chaos.Go(func() { f.disturb(ctx) })
	}
	chaos.Go(func() { f.operate(ctx) })
	for i := range forestRoots {
		f.busy.Go(func() {
			r := f.source(fmt.Sprint("root ", i))
			time.Sleep(time.Duration(r.IntN(20_000)) * time.Millisecond)
			f.call(context.Background(), f.w.caller, nil, fmt.Sprint(i))
		})
	}
	f.busy.Wait()
	stop()
	chaos.Wait()
	time.Sleep(2 * calm) // what was lost ends
	f.empty()
	for _, h := range f.hosts {
		h.end()
	}
}

// empty says that nothing is left, at the servers and in the switch.
func (f *forest) empty() {
	f.mu.Lock()
	for r := range f.runs {
		f.errorf("the handler of %s, attempt %d, still runs; its context: %v", r.node.id, r.attempt, r.ctx.Err())
	}
	f.mu.Unlock()
	d, err := f.w.client.Admin().Diagnostics(context.Background(), 1)
	if err != nil {
		f.Fatal(err)
	}
	for _, q := range d.Queues {
		if q.Summary.Waiting+q.Summary.Leased != 0 {
			f.errorf("queue %s has %d messages that wait, and %d that are leased", q.Summary.Queue, q.Summary.Waiting, q.Summary.Leased)
		}
	}
	for _, s := range d.Sessions {
		if s.Leases+s.PendingRequests != 0 {
			f.errorf("session %s has %d leases and %d pending requests", s.Name, s.Leases, s.PendingRequests)
		}
	}
	if most := forestHosts + 1; len(d.Sessions) > most { // a caller that was away comes back with its next call
		f.errorf("there are %d sessions, at most %d should be", len(d.Sessions), most)
	}
}

// disturb cuts lines and kills servers until ctx ends; then all lines are joined.
func (f *forest) disturb(ctx context.Context) {
	r := f.source("chaos")
	for sleep(ctx, time.Duration(r.IntN(8000))*time.Millisecond) {
		i, long := r.IntN(forestHosts+1), time.Duration(r.IntN(15_000))*time.Millisecond
		f.mu.Lock()
		f.disturbed = time.Now()
		f.tally.Deaths++
		l := f.w.line
		if i < forestHosts {
			l = f.hosts[i].line
		}
		f.mu.Unlock()
		if i < forestHosts && r.IntN(3) == 0 {
			f.hosts[i].end()
			h := f.newHost()
			f.mu.Lock()
			f.hosts[i] = h
			f.mu.Unlock()
		} else {
			l.cut()
			sleep(ctx, long)
			l.join(f.w.sw.Conn())
		}
		f.mu.Lock()
		f.disturbed = time.Now()
		f.mu.Unlock()
	}
}

// operate has an operator cancel calls.
func (f *forest) operate(ctx context.Context) {
	r, admin := f.source("operator"), f.w.client.Admin()
	for sleep(ctx, time.Duration(1000+r.IntN(3000))*time.Millisecond) {
		var calls []string
		for c, err := range admin.Calls(ctx, client.CallQuery{}) {
			if err != nil {
				break // it is over
			}
			calls = append(calls, c.Call)
		}
		if len(calls) == 0 {
			continue
		}
		id := calls[r.IntN(len(calls))]
		is := func(n *node) bool { return n.message == id }
		below := f.below(is)
		if _, err := admin.CancelCall(ctx, id); err == nil {
			f.ended(below, is, "an operator's cancel")
		}
	}
}

// sleep reports whether ctx lets it sleep so long.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// A host is a server of all queues, whose handlers call on.
type host struct {
	client *client.Client
	line   *line
	caller *rpc.Caller
	stop   context.CancelFunc
	served sync.WaitGroup
}

func (f *forest) newHost() *host {
	h := &host{line: &line{conn: f.w.sw.Conn()}}
	c, err := client.New(client.Config{Conn: h.line, Name: "host"})
	if err != nil {
		f.Fatal(err)
	}
	h.client, h.caller = c, rpc.NewCaller(c)
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	for q := range forestQueues {
		h.served.Go(func() {
			_ = rpc.Serve(ctx, c, fmt.Sprint("q", q), f.handler(h), rpc.Concurrency(6), rpc.Drain(time.Second)) // its end is ours
		})
	}
	return h
}

// end ends a server: it drains for a second.
func (h *host) end() {
	h.stop()
	h.served.Wait()
	_ = h.caller.Close() // the client goes with it
	h.client.Close()
}
