package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The resolution of latencies: from 100 ns to a minute with three digits.
const (
	shortestLatency = 100
	longestLatency  = int64(time.Minute)
	latencyDigits   = 3
)

// An operation does one thing, number n of its worker, and checks its outcome.
type operation func(ctx context.Context, n uint64) error

// A loop runs workers that each do one operation after the other.
type loop struct {
	phase atomic.Int32
	stop  context.CancelCauseFunc // the first error ends all
	wg    sync.WaitGroup
	spans []*hdrhistogram.Histogram // one for each worker, its own until wg is done
}

const (
	phaseWarm int32 = iota
	phaseWindow
	phaseOver
)

// runLoop runs the operations for the job's warm-up and window.
func runLoop(ctx context.Context, j job, pids map[string]int, operations []operation) (*sample, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l := &loop{stop: stop}
	for _, do := range operations {
		span := hdrhistogram.New(shortestLatency, longestLatency, latencyDigits)
		l.spans = append(l.spans, span)
		// A worker ends after the window, or with an error.
		l.wg.Go(func() { l.work(ctx, do, span) })
	}
	s, err := l.window(ctx, j, pids)
	l.phase.Store(phaseOver)
	l.wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return s, l.sum(s)
}

// work records what completes within the window.
func (l *loop) work(ctx context.Context, do operation, span *hdrhistogram.Histogram) {
	for n := uint64(0); l.phase.Load() != phaseOver; n++ {
		began := time.Now()
		if err := do(ctx, n); err != nil {
			l.stop(err)
			return
		}
		if l.phase.Load() == phaseWindow {
			_ = span.RecordValue(min(int64(time.Since(began)), longestLatency)) // always in range
		}
	}
}

func (l *loop) window(ctx context.Context, j job, pids map[string]int) (*sample, error) {
	if err := sleep(ctx, j.Warm); err != nil {
		return nil, err
	}
	m, err := startMeter(pids)
	if err != nil {
		return nil, err
	}
	l.phase.Store(phaseWindow)
	if err := sleep(ctx, j.Window); err != nil {
		return nil, err
	}
	l.phase.Store(phaseOver)
	s := &sample{Bytes: j.BodyBytes}
	return s, m.stop(s)
}

// sum counts what all workers did.
func (l *loop) sum(s *sample) error {
	all := l.spans[0]
	for _, span := range l.spans[1:] {
		all.Merge(span)
	}
	s.Operations = all.TotalCount()
	if s.Operations == 0 {
		return errors.New("nothing completed in the window")
	}
	micros := func(percent float64) float64 { return float64(all.ValueAtPercentile(percent)) / 1e3 }
	s.P50, s.P99 = micros(50), micros(99)
	return nil
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
