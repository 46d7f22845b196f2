package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/d3b0a776/switch/client"
)

// A lane is a few producers and consumers with a queue of their own. A narrow
// lane has small queues, one after the other, each drained and judged by the
// model; a wide one has large queues with more under way, too much for the model.
type lane struct {
	name      string
	clock     *clock
	admin     *line
	producers []*producer
	consumers []*consumer
	messages  int // of each producer in each queue
	narrow    bool

	tally tally
}

// A tally is what became of a lane's histories.
type tally struct {
	queues, crashed  int // queues that were judged, and those of them that saw a crash
	events           int
	unknown          int // verdicts that were not found in time
	planted, noticed int // mutants
	parties          counts
}

func (a *tally) add(b tally) {
	a.queues += b.queues
	a.crashed += b.crashed
	a.events += b.events
	a.unknown += b.unknown
	a.planted += b.planted
	a.noticed += b.noticed
	a.parties.add(b.parties)
}

func newLane(t *testing.T, name string, d *daemon, c *clock, r *rand.Rand, narrow bool) *lane {
	l := &lane{name: name, clock: c, narrow: narrow, admin: newLine(t, d, c, name+"-admin")}
	credit, burst := 16, 4
	l.messages = 2000
	if narrow {
		credit, burst, l.messages = 1, 1, 12
	}
	for i := range 2 {
		p := fmt.Sprintf("%s-p%d", name, i)
		l.producers = append(l.producers, &producer{name: p, line: newLine(t, d, c, p), clock: c, burst: burst, random: fork(r)})
		s := fmt.Sprintf("%s-c%d", name, i)
		l.consumers = append(l.consumers, &consumer{name: s, line: newLine(t, d, c, s), clock: c, credit: credit, random: fork(r), releases: narrow})
	}
	return l
}

// run works through queues until ctx ends, and the last one to its end.
func (l *lane) run(ctx context.Context, t *testing.T) {
	for g := 0; ctx.Err() == nil && !t.Failed(); g++ {
		queue := fmt.Sprintf("%s-%d", l.name, g)
		h := &history{}
		l.work(ctx, t, queue, h)
		l.judge(t, queue, h.close(l.clock.all()))
	}
	for _, p := range l.producers {
		l.tally.parties.add(p.counts)
	}
	for _, c := range l.consumers {
		l.tally.parties.add(c.counts)
	}
}

// work fills and drains one queue.
func (l *lane) work(ctx context.Context, t *testing.T, queue string, h *history) {
	l.insist(t, "create "+queue, func(ctx context.Context) error {
		_, err := l.admin.Create(ctx, queue, client.QueueOptions{MaxAttempts: 1_000_000})
		return err
	})
	consuming, stop := context.WithCancel(context.Background())
	var producers, consumers sync.WaitGroup
	for _, c := range l.consumers {
		consumers.Go(func() { c.run(consuming, t, queue, h) })
	}
	for _, p := range l.producers {
		producers.Go(func() { p.run(ctx, t, queue, h, l.messages) })
	}
	producers.Wait()
	l.drain(t, queue, h)
	stop()
	consumers.Wait()
	l.insist(t, "destroy "+queue, func(ctx context.Context) error {
		_, err := l.admin.Destroy(ctx, queue)
		if client.ReasonOf(err) == "QUEUE_NOT_FOUND" {
			err = nil // it was destroyed, and the answer lost
		}
		return err
	})
}

// drain waits until the queue is empty.
func (l *lane) drain(t *testing.T, queue string, h *history) {
	var d client.QueueDescription
	tick := time.NewTicker(retryPause)
	defer tick.Stop()
	for over := time.Now().Add(patience); time.Now().Before(over); <-tick.C {
		call := l.clock.now()
		ctx, cancel := context.WithTimeout(context.Background(), sendBound)
		var err error
		d, err = l.admin.Admin().Describe(ctx, queue)
		cancel()
		if err == nil && d.Summary.Waiting+d.Summary.Leased == 0 {
			h.add(event{kind: drained, party: l.name, call: call, ret: l.clock.now(), sure: true})
			return
		}
	}
	t.Errorf("queue %s is not drained after %v: %+v, %+v", queue, patience, d.Summary, d.Consumers)
}

// insist repeats what an admin wants until it is done.
func (l *lane) insist(t *testing.T, what string, do func(context.Context) error) {
	for over := time.Now().Add(patience); ; time.Sleep(retryPause) {
		ctx, cancel := context.WithTimeout(context.Background(), sendBound)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(over) {
			t.Errorf("%s: %v", what, err)
			return
		}
	}
}

// judge checks one history, and whether the model would notice if it were bad.
func (l *lane) judge(t *testing.T, queue string, events []event) {
	l.tally.queues++
	l.tally.events += len(events)
	crash := find(events, func(e event) bool { return e.kind == crashed }) >= 0
	if crash {
		l.tally.crashed++
	}
	audit(t, queue, events)
	if !l.narrow {
		return
	}
	credit := len(l.consumers) * l.consumers[0].credit
	switch judge(events, credit) {
	case porcupine.Illegal:
		t.Errorf("queue %s: no queue that keeps its promises has this history:%s", queue, list(events))
	case porcupine.Unknown:
		l.tally.unknown++
	case porcupine.Ok:
		const samples = 3 // of each lane: each refutation costs a search through everything
		if crash && l.tally.planted < samples*len(mutants) {
			planted, noticed, missed := refuted(events, credit)
			l.tally.planted += planted
			l.tally.noticed += noticed
			for _, name := range missed {
				t.Errorf("queue %s: nobody noticed that %s:%s", queue, name, list(events))
			}
		}
	}
}
