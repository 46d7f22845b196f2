package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// grace is how long a measurement may take beyond warm-up, window and what it
// makes, before it counts as failed.
const grace = 90 * time.Second

// measure carries out a plan, and writes its report.
func measure(ctx context.Context, p *plan, report io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "switch-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	with, err := findPrograms(ctx, p, dir)
	if err != nil {
		return err
	}
	out, err := openJournal(p.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	if err := out.write(record{Header: newPreface(ctx, p, with)}); err != nil {
		return err
	}
	r := &runner{plan: p, with: with, out: out}
	if err := r.all(ctx); err != nil {
		return err
	}
	if err := out.write(record{Footer: &footer{Load: loadAverage()}}); err != nil {
		return err
	}
	if err := writeReport(report, out.records); err != nil {
		return err
	}
	if r.failed > 0 {
		return fmt.Errorf("%d measurements have failed", r.failed)
	}
	return nil
}

// A runner goes through the works.
type runner struct {
	plan   *plan
	with   programs
	out    *journal
	failed int
}

// all runs each work round by round, and in each round each system.
func (r *runner) all(ctx context.Context) error {
	for _, w := range works(r.plan) {
		for round := 1; round <= r.plan.rounds; round++ {
			for _, of := range w.runs {
				if !r.plan.includes(w, of.peer) {
					continue
				}
				if err := r.one(ctx, w, of, round); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// one takes a sample. A mismatch is an error, and so is the end of ctx; what else
// goes wrong is noted in the sample, and the run goes on.
func (r *runner) one(ctx context.Context, w *work, of run, round int) error {
	on := peerNamed(of.peer)
	s := &sample{Missing: r.with.missing[on.program]}
	if s.Missing == "" {
		var err error
		if s, err = r.sample(ctx, on, of); err != nil {
			if errors.Is(err, errMismatch) || ctx.Err() != nil {
				return fmt.Errorf("%s on %s: %w", w.name, on.name, err)
			}
			s = &sample{Failed: err.Error()}
			r.failed++
		}
	}
	s.Work, s.Peer, s.Size, s.Round = w.name, of.peer, of.size, round
	progress(s, r.plan.rounds)
	return r.out.write(record{Sample: s})
}

func (r *runner) sample(ctx context.Context, on *peer, of run) (*sample, error) {
	limit := grace + r.plan.warm() + fanInWindows*r.plan.duration + time.Duration(r.plan.backlog)*makeTime + 2*startTime
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := openStage(ctx, r.plan, on, r.with)
	if err != nil {
		return nil, err
	}
	defer s.close()
	taken, err := of.measure(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.complaints())
	}
	return taken, nil
}

// progress prints a line for each sample.
func progress(s *sample, rounds int) {
	text := ""
	switch {
	case s.Missing != "":
		text = s.Missing
	case s.Failed != "":
		text = "FAILED: " + s.Failed
	case s.Footprint != nil:
		f := s.Footprint
		text = fmt.Sprintf("start %.0f ms, idle %.1f MiB, queue %.2f KiB, client %.1f KiB", f.StartMillis, f.IdleMiB, f.QueueKiB, f.ClientKiB)
	default:
		text = fmt.Sprintf("%9.0f/s  CPU-s/100k %s", s.rate(), cpuText([]*sample{s}))
		if s.P50 > 0 {
			text += fmt.Sprintf("  p50 %.0f µs  p99 %.0f µs", s.P50, s.P99)
		}
	}
	fmt.Fprintf(os.Stderr, "%d/%d %-16s %-26s %s\n", s.Round, rounds, s.Work, subject{s.Peer, s.Size}, text)
}
