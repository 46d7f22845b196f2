package main

import (
	"math"
	"sync/atomic"
	"time"
)

// timerSlack is how late a timer may wake a caller without the switch being
// blamed. On Linux Go's timers are up to 1 ms late in a process that idles, and
// more when the machine is busy.
const timerSlack = 2 * time.Millisecond

// A pace says when operations begin. All instants are since the start of the
// run. Its methods are safe for concurrent use.
type pace struct {
	// Set at construction.
	made  time.Time
	every float64       // nanoseconds between two operations; zero: as fast as it goes
	from  time.Duration // the end of the warm-up
	stop  chan struct{} // closed by halt

	start atomic.Int64  // since made, a time.Duration; until begin far in the future
	until atomic.Int64  // a time.Duration: no operation begins then or later
	taken atomic.Uint64 // numbers that were given away; the first is 1
	begun atomic.Uint64 // operations that were due, and began, in the time measured
	late  atomic.Uint64 // that began in the time measured, later than due by more than timerSlack
}

func newPace(p benchPlan) *pace {
	c := &pace{made: time.Now(), from: p.Warmup, stop: make(chan struct{})}
	c.start.Store(math.MaxInt64 / 2)
	c.until.Store(int64(p.Warmup + p.Duration))
	if p.Rate > 0 {
		c.every = float64(time.Second) / float64(p.Rate)
	}
	return c
}

// begin starts the run. Before that all instants are negative.
func (c *pace) begin() { c.start.Store(int64(time.Since(c.made))) }

func (c *pace) now() time.Duration { return time.Since(c.made) - time.Duration(c.start.Load()) }

// end is the end of the time measured.
func (c *pace) end() time.Duration { return time.Duration(c.until.Load()) }

// measured reports whether what began at an instant counts.
func (c *pace) measured(at time.Duration) bool { return at >= c.from && at < c.end() }

// halt lets no further operation begin. It is called once.
func (c *pace) halt(at time.Duration) {
	c.until.Store(min(c.until.Load(), int64(at)))
	close(c.stop)
}

// next waits until the next operation is due, and gives its number and the
// instant that its latency counts from; ok is false when the run is over.
func (c *pace) next() (n uint64, since time.Duration, ok bool) {
	now := c.now()
	if now >= c.end() {
		return 0, 0, false
	}
	if c.every == 0 {
		return c.taken.Add(1), now, true
	}
	n = c.take(now)
	due := time.Duration(float64(n-1) * c.every)
	if due >= c.end() || due > now && !c.sleep(due-now) {
		return 0, 0, false
	}
	since = due
	if due > now {
		if now = c.now(); now-due <= timerSlack {
			since = now
		}
	}
	if c.measured(due) {
		c.begun.Add(1)
		if now-due > timerSlack {
			c.late.Add(1)
		}
	}
	return n, since, true
}

// take gives away a number. What was due in the warm-up and did not begin there
// is left out, so that what is measured begins without a debt.
func (c *pace) take(now time.Duration) uint64 {
	if now >= c.from {
		warm := c.dueBefore(c.from)
		for taken := c.taken.Load(); taken < warm && !c.taken.CompareAndSwap(taken, warm); {
			taken = c.taken.Load()
		}
	}
	return c.taken.Add(1)
}

// dueBefore counts the operations that are due before an instant.
func (c *pace) dueBefore(at time.Duration) uint64 { return uint64(math.Ceil(float64(at) / c.every)) }

// sleep waits; it is false when the run is over before that.
func (c *pace) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.stop:
		return false
	}
}

// notBegun counts the operations that were due in the time measured and had no
// caller.
func (c *pace) notBegun() uint64 {
	if c.every == 0 || c.end() <= c.from {
		return 0
	}
	due, begun := c.dueBefore(c.end())-c.dueBefore(c.from), c.begun.Load()
	return due - min(due, begun)
}
