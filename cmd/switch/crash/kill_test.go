package crash_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// TestKilledAtAnyMoment kills the switch with SIGKILL again and again under 8
// producers and 8 consumers, each time a moment after it listens, and starts it
// on the same directory and port. Whatever was acknowledged must come out, once,
// in order; see audit_test.go and model_test.go for what exactly.
func TestKilledAtAnyMoment(t *testing.T) {
	r := random(t)
	cycles := long(2000, 100)
	if raceEnabled {
		cycles /= 4 // each takes longer
	}
	d := newDaemon(t)
	d.start(t)
	c := newClock()
	lanes := []*lane{newLane(t, "wide", d, c, r, false)}
	for i := range 3 {
		lanes = append(lanes, newLane(t, fmt.Sprintf("narrow%d", i), d, c, r, true))
	}
	working, stop := context.WithCancel(context.Background())
	defer stop()
	var work sync.WaitGroup
	for _, l := range lanes {
		work.Go(func() { l.run(working, t) })
	}
	began := time.Now()
	var down, longest time.Duration
	for i := 0; i < cycles && !t.Failed(); i++ {
		time.Sleep(between(r, 5*time.Millisecond, 150*time.Millisecond))
		over := c.crash()
		at := time.Now()
		d.kill(t)
		d.start(t)
		over()
		took := time.Since(at)
		down, longest = down+took, max(longest, took)
	}
	stop()
	work.Wait()
	d.kill(t)
	d.start(t)
	wantNoQueues(t, d)
	var all tally
	for _, l := range lanes {
		all.add(l.tally)
	}
	t.Logf("%d cycles in %.1f s; from SIGKILL to listening %v on average, %v at most",
		cycles, time.Since(began).Seconds(), (down / time.Duration(cycles)).Round(time.Millisecond), longest.Round(time.Millisecond))
	t.Logf("%d queues, %d of them through a crash, %d events; %+v", all.queues, all.crashed, all.events, all.parties)
	t.Logf("%d verdicts unknown; %d mutants planted, %d noticed", all.unknown, all.planted, all.noticed)
	if all.unknown*50 > all.queues {
		t.Errorf("%d of %d histories have no verdict: more than 2 %%", all.unknown, all.queues)
	}
	if all.crashed == 0 || all.planted == 0 {
		t.Error("no history saw a crash: nothing was tested")
	}
	if all.noticed == 0 && all.planted > 0 {
		t.Errorf("none of %d mutants was noticed in time", all.planted)
	}
}

// wantNoQueues checks that no queue is back that was destroyed.
func wantNoQueues(t *testing.T, d *daemon) {
	t.Helper()
	for q, err := range d.client(t, "lister").Admin().List(t.Context(), client.ListQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("queue %s was destroyed, and is there with %d messages", q.Queue, q.Waiting)
	}
}
