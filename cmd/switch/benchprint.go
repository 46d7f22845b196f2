package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// printBench writes the result.
func (sh *shell) printBench(r *benchResult) error {
	if sh.wantsJSON() {
		return sh.json(r)
	}
	t := sh.table("", "")
	count := func(name string, n uint64) { t.row(name, fmt.Sprint(n)) }
	t.row("bench", r.title())
	t.row("measured", fmt.Sprintf("%.1fs", r.Seconds))
	count("operations", r.Operations)
	t.row("per second", fmt.Sprintf("%.0f", r.PerSecond))
	t.row("MB per second", strconv.FormatFloat(r.MBPerS, 'f', 2, 64))
	for _, l := range []struct {
		name string
		us   float64
	}{{"p50", r.Latency.P50}, {"p90", r.Latency.P90}, {"p99", r.Latency.P99}, {"p99.9", r.Latency.P999}, {"max", r.Latency.Max}} {
		t.row(l.name, latencyText(int64(l.us*1e3)))
	}
	t.row("slower", fmt.Sprintf("%d than 1ms, %d than 10ms, %d than 100ms, %d than 1s", r.SlowerThan.MS1, r.SlowerThan.MS10, r.SlowerThan.MS100, r.SlowerThan.Second))
	if r.Parameters.Rate > 0 {
		count("late", r.Late)
		count("not begun", r.NotBegun)
	}
	r.countRows(count)
	for _, e := range r.Errors {
		t.row("error", fmt.Sprintf("%d %s", e.Count, e.Kind))
	}
	count("mismatches", r.Mismatches)
	t.row("CPU seconds", strconv.FormatFloat(r.CPUSeconds, 'f', 2, 64))
	return t.print()
}

// countRows are the rows that not every result has.
func (r *benchResult) countRows(count func(string, uint64)) {
	if r.Bench != benchRPC {
		count("receipts", r.Numbers.Receipts)
		count("arrived", r.Numbers.Arrived)
		count("redelivered", r.Numbers.Redelivered)
		count("lost", r.Lost)
	}
	if r.Dropped > 0 {
		count("dropped", r.Dropped)
	}
	if r.Interrupted {
		count("unfinished", r.Unfinished)
	}
}

// title says in one line what was measured.
func (r *benchResult) title() string {
	p := r.Parameters
	how := "as fast as it goes"
	if p.Rate > 0 {
		how = fmt.Sprintf("%d a second", p.Rate)
	}
	where := p.Durability.String()
	if r.Bench == benchRPC && p.Durability == 0 {
		where = "queue " + plain(p.Queue)
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s, %s", r.Bench, plural(p.Callers, "caller"), plural(p.Connections, "connection"), byteSize(p.Size), where, how)
}

// latencyText is a latency of so many nanoseconds, with two or three digits.
func latencyText(ns int64) string {
	v, unit := float64(ns)/1e3, "µs"
	switch {
	case ns >= int64(time.Second):
		v, unit = float64(ns)/1e9, "s"
	case ns >= int64(time.Millisecond):
		v, unit = float64(ns)/1e6, "ms"
	}
	decimals := 0
	switch {
	case v < 10 && unit != "µs":
		decimals = 2
	case v < 100:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + unit
}

// faults are what makes the exit code 1, in words; empty when there are none.
func (r *benchResult) faults() string {
	var all []string
	add := func(n uint64, what, more string) {
		if n > 0 {
			all = append(all, plural(n, what)+more)
		}
	}
	for _, e := range r.Errors {
		add(e.Count, "error", " "+e.Kind+", the first: "+e.First)
	}
	add(r.Mismatches, "answer", " not as it should be")
	add(r.Lost, "message", " lost: there was a receipt, and no delivery")
	add(r.Numbers.Twice, "message", " delivered twice under the first attempt")
	return strings.Join(all, "; ")
}
