package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const (
	// errorPause is how long a caller does nothing after an error, so that a switch
	// that refuses, or is away, is not hammered.
	errorPause = 10 * time.Millisecond
	// cutPatience is how long what is under way may take after an interrupt.
	cutPatience = time.Second
)

// A benchRun is one bench, from the first connection to the last.
type benchRun struct {
	// Set at construction.
	sh    *shell
	plan  benchPlan
	cargo *cargo

	// Set before the load begins.
	clients []*client.Client // the callers'
	others  []*client.Client // of who serves them
	made    bool             // the queue is ours to destroy
	pace    *pace
	tally   *tally
	load    benchLoad
}

// measure runs the bench. The result is nil when there is nothing to tell.
func (b *benchRun) measure(c *cli.Context) (*benchResult, error) {
	ctx := c.Context
	if err := b.connect(c); err != nil {
		return nil, err
	}
	if err := b.createQueue(ctx); err != nil {
		return nil, err
	}
	b.newLoad()
	if err := b.load.open(ctx); err != nil {
		return nil, err
	}
	if err := b.probe(ctx); err != nil {
		return nil, err
	}
	return b.drive(ctx)
}

// connect makes all connections.
func (b *benchRun) connect(c *cli.Context) error {
	others := 1
	if b.plan.Bench == benchPipe {
		others = b.plan.Connections
	}
	for i := range b.plan.Connections + others {
		cl, err := b.sh.dial(c, nil)
		if err != nil {
			return err
		}
		if i < b.plan.Connections {
			b.clients = append(b.clients, cl)
		} else {
			b.others = append(b.others, cl)
		}
	}
	return nil
}

// probe does one operation before all others, so that what can't work is said at
// once, by its own exit code.
func (b *benchRun) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.plan.Timeout)
	defer cancel()
	err := b.load.once(ctx, b.hand(0), 0, -1)
	switch {
	case errors.Is(err, client.ErrNoConsumer):
		return &worded{err, fmt.Sprintf("nobody serves %s\nto serve it, type: %s serve %s --echo", plain(b.plan.Queue), b.sh.name, quoteWord(b.plan.Queue))}
	case err == nil && b.tally.mismatches.Load() > 0:
		return fmt.Errorf("the first reply of %s differs from its request; bench needs an echo there\nto have one, type: %s serve %s --echo",
			plain(b.plan.Queue), b.sh.name, quoteWord(b.plan.Queue))
	}
	return err
}

// hand makes the hand of a number.
func (b *benchRun) hand(i int) *benchHand {
	return &benchHand{client: b.clients[i%len(b.clients)], shard: i, body: make([]byte, b.plan.Size)}
}

// drive lets the callers work for as long as the plan says.
func (b *benchRun) drive(ctx context.Context) (*benchResult, error) {
	ops, cut := context.WithCancel(context.WithoutCancel(ctx)) // so that an interrupt lets operations end
	defer cut()
	b.pace.begin()
	var working sync.WaitGroup
	for i := range b.plan.InFlight {
		working.Go(func() { b.work(ops, b.hand(i)) }) // the callers
	}
	cpu := b.watch(ctx)
	b.pace.halt(b.pace.now())
	idle := make(chan struct{}) // closed when no caller works any more
	go func() {                 // ends with the last caller, which its timeout or cut ends
		working.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		waitFor(idle, cutPatience)
	case <-time.After(b.plan.Timeout + cutPatience): // they have timeouts of their own
	}
	cut()
	<-idle
	res := b.result(cpu)
	err := b.load.settle(ctx, res)
	res.finish(ctx, b)
	return res, err
}

// waitFor waits for a channel to be closed, but not for ever.
func waitFor(closed <-chan struct{}, patience time.Duration) {
	select {
	case <-closed:
	case <-time.After(patience):
	}
}

// work is one caller.
func (b *benchRun) work(ctx context.Context, h *benchHand) {
	for {
		n, since, ok := b.pace.next()
		if !ok {
			return
		}
		op, cancel := context.WithTimeout(ctx, b.plan.Timeout)
		err := b.load.once(op, h, n, since)
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			b.tally.unfinished.Add(1)
		default:
			b.tally.failed(err)
			b.pace.sleep(errorPause)
		}
	}
}

// watch waits for the end of the time to measure, or for an interrupt, and shows
// how it goes. It gives the CPU time that this process took in the time measured.
func (b *benchRun) watch(ctx context.Context) time.Duration {
	p := &progress{sh: b.sh}
	defer p.end()
	cpu := cpuTime()
	for end := b.pace.end(); ; b.show(p) {
		now := b.pace.now()
		next := min(now.Truncate(time.Second)+time.Second, end)
		if now < b.pace.from {
			next = min(next, b.pace.from)
		}
		select {
		case <-time.After(next - now):
		case <-ctx.Done():
			if b.pace.now() < b.pace.from {
				return 0
			}
			return cpuTime() - cpu
		}
		if next == end {
			return cpuTime() - cpu
		}
		if next == b.pace.from {
			cpu = cpuTime()
		}
	}
}

// show tells how far the run is.
func (b *benchRun) show(p *progress) {
	if !b.sh.errTerm {
		return
	}
	gone := b.pace.now() - b.pace.from
	if gone < 100*time.Millisecond { // too little to say anything
		p.show(fmt.Sprintf("bench %s: warm-up", b.plan.Bench))
		return
	}
	latency, completed := b.tally.sum()
	p.show(fmt.Sprintf("bench %s: %s of %s, %.0f/s, p50 %s, p99 %s", b.plan.Bench, brief(gone), brief(b.plan.Duration),
		float64(completed)/gone.Seconds(), latencyText(latency.ValueAtPercentile(50)), latencyText(latency.ValueAtPercentile(99))))
}

// close ends what the run has made. The error tells what is left behind.
func (b *benchRun) close(ctx context.Context) error {
	if b.load != nil {
		b.load.close()
	}
	err := b.destroyQueue(ctx)
	var closing sync.WaitGroup
	for _, cl := range append(b.clients, b.others...) {
		closing.Go(func() { _ = cl.Close() }) // it has nothing to add
	}
	closing.Wait()
	return err
}
