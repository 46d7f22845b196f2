package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCargo(t *testing.T) {
	c, other := newCargo(100), newCargo(100)
	body, next := make([]byte, 100), make([]byte, 100)
	c.fill(body, 7, time.Second)
	c.fill(next, 8, time.Second)
	if n, since, ok := c.read(body); n != 7 || since != time.Second || !ok {
		t.Errorf("%d, %v, %v", n, since, ok)
	}
	if string(body[cargoHead:]) == string(next[cargoHead:]) {
		t.Error("two bodies differ in their heads alone")
	}
	for what, b := range map[string][]byte{
		"short": body[:99], "long": append(body[:100:100], 0), "empty": {},
		"mixed up": append(append([]byte{}, body[:cargoHead]...), next[cargoHead:]...),
	} {
		if _, _, ok := c.read(b); ok {
			t.Errorf("a body that is %s is taken", what)
		}
	}
	if _, _, ok := other.read(body); ok {
		t.Error("a body of another run is taken")
	}
	for i := range body {
		body[i]++
		n, since, ok := c.read(body)
		if ok && n == 7 && since == time.Second {
			t.Errorf("a change of byte %d goes unnoticed", i)
		}
		body[i]--
	}
}

func TestLedger(t *testing.T) {
	var l ledger
	for _, n := range []uint64{1, 2, 3, 1000} {
		l.receipt(n)
	}
	if !l.arrive(5, 1) || !l.arrive(2, 1) || !l.arrive(3, 2) || l.arrive(3, 3) || l.arrive(2, 1) {
		t.Error("what is first is not told from what is not")
	}
	l.receipt(5) // after it has arrived
	if open, _ := l.missing(); open != 2 {
		t.Errorf("%d missing, want 1 and 1000", open)
	}
	if got, want := l.sum(), (numbers{Receipts: 5, Arrived: 3, Redelivered: 2, Twice: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestPace: one caller, ten operations a second, and one of them takes 450 ms.
// Those that were due meanwhile count from when they were.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(benchPlan{Rate: 10, Warmup: 200 * time.Millisecond, Duration: time.Second})
		p.begin()
		var took []time.Duration
		for {
			n, since, ok := p.next()
			if !ok {
				break
			}
			if n == 5 {
				time.Sleep(450 * time.Millisecond)
			}
			took = append(took, (p.now() - since).Truncate(time.Millisecond))
		}
		want := []time.Duration{0, 0, 0, 0, 450, 350, 250, 150, 50, 0, 0, 0}
		if len(took) != len(want) {
			t.Fatalf("%v", took)
		}
		for i := range want {
			if took[i] != want[i]*time.Millisecond {
				t.Errorf("operation %d took %v, want %v ms", i+1, took[i], want[i])
			}
		}
		if p.late.Load() != 4 || p.notBegun() != 0 {
			t.Errorf("%d late, %d not begun", p.late.Load(), p.notBegun())
		}
	})
}

// TestPaceAfterOverload: what the warm-up did not manage is no debt of what is
// measured.
func TestPaceAfterOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(benchPlan{Rate: 10, Warmup: 550 * time.Millisecond, Duration: time.Second})
		p.begin()
		p.next()
		time.Sleep(570 * time.Millisecond)
		if n, since, ok := p.next(); n != 7 || since != 600*time.Millisecond || !ok {
			t.Errorf("%d, %v, %v", n, since, ok)
		}
	})
}

// TestPaceEnds: what was due and had no caller is counted, also after an
// interrupt.
func TestPaceEnds(t *testing.T) {
	for halt, want := range map[time.Duration]uint64{0: 9, 700 * time.Millisecond: 4} {
		synctest.Test(t, func(t *testing.T) {
			p := newPace(benchPlan{Rate: 10, Warmup: 200 * time.Millisecond, Duration: time.Second})
			p.begin()
			for range 3 { // at 0, 100 and 200 ms
				p.next()
			}
			if halt > 0 {
				time.Sleep(halt - p.now())
				p.halt(p.now())
			} else {
				time.Sleep(2 * time.Second)
			}
			if _, _, ok := p.next(); ok || p.notBegun() != want {
				t.Errorf("%d not begun, want %d", p.notBegun(), want)
			}
		})
	}
}

// TestTally: what began in the warm-up is not counted, and what was completed
// after the end is no part of the speed.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(benchPlan{Warmup: time.Second, Duration: time.Second})
		c := newTally(p)
		c.done(0, -1) // the one before all others
		p.begin()
		time.Sleep(1500 * time.Millisecond)
		c.done(0, 500*time.Millisecond)
		c.done(1, 1400*time.Millisecond)
		time.Sleep(time.Second)
		c.done(2, 1900*time.Millisecond)
		c.done(3, 2100*time.Millisecond)
		latency, completed := c.sum()
		if latency.TotalCount() != 2 || completed != 2 || latency.Max() < int64(600*time.Millisecond) {
			t.Errorf("%d counted, %d completed, max %v", latency.TotalCount(), completed, time.Duration(latency.Max()))
		}
	})
}

func TestBenchProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := &benchRun{sh: &shell{err: &out, errTerm: true}, plan: benchPlan{Bench: benchRPC, Warmup: time.Second, Duration: 2 * time.Second}}
		b.pace = newPace(b.plan)
		b.tally = newTally(b.pace)
		b.pace.begin()
		done := make(chan struct{})
		go func() { // one operation, halfway
			defer close(done)
			time.Sleep(1500 * time.Millisecond)
			b.tally.done(0, 1500*time.Millisecond-time.Microsecond)
		}()
		b.watch(t.Context())
		<-done
		const want = "\rbench rpc: warm-up\rbench rpc: 1.0s of 2.0s, 1/s, p50 1.0µs, p99 1.0µs\r"
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q, want %q…", out.String(), want)
		}
		out.Reset()
		b.sh.errTerm = false
		b.show(&progress{sh: b.sh})
		if out.Len() > 0 {
			t.Errorf("off a terminal: %q", out.String())
		}
	})
}

func TestLatencyText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0µs", 9300: "9.3µs", 812 * time.Microsecond: "812µs", 4131 * time.Microsecond: "4.13ms",
		41310 * time.Microsecond: "41.3ms", 413 * time.Millisecond: "413ms", 1210 * time.Millisecond: "1.21s", 75 * time.Second: "75.0s",
	} {
		if got := latencyText(int64(d)); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
