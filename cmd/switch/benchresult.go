package main

import (
	"context"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A benchResult is what bench has measured, as a document. Times of a latency
// are microseconds.
type benchResult struct {
	Bench       string        `json:"bench"`
	Parameters  benchPlan     `json:"parameters"`
	Versions    benchVersions `json:"versions"`
	Started     time.Time     `json:"started"` // the time measured
	Seconds     float64       `json:"seconds"` // of it
	Interrupted bool          `json:"interrupted"`

	Operations uint64  `json:"operations"` // that began in the time measured and were completed
	PerSecond  float64 `json:"per_second"` // completed in the time measured
	MBPerS     float64 `json:"mb_per_second"`
	CPUSeconds float64 `json:"cpu_seconds"` // of the bench itself

	Latency     latencies    `json:"latency_us"`
	Percentiles []percentile `json:"percentiles"` // of the whole histogram
	SlowerThan  slower       `json:"slower_than"`
	Late        uint64       `json:"late"`      // began more than 2 ms after they were due; with a rate
	NotBegun    uint64       `json:"not_begun"` // were due and had no caller; with a rate

	// Of the whole run, warm-up and first operation among it.
	Numbers    numbers      `json:"numbers"`   // zero for rpc
	Dropped    uint64       `json:"dropped"`   // by the queue of send in memory, as it was told to
	ReadBack   bool         `json:"read_back"` // send's queue was
	Lost       uint64       `json:"lost"`      // receipts without a delivery
	Mismatches uint64       `json:"mismatches"`
	Unfinished uint64       `json:"unfinished"` // cut off by the interrupt
	Errors     []benchError `json:"errors"`
}

// benchVersions say what was measured with what.
type benchVersions struct {
	Client string `json:"client"`
	Server string `json:"server"`
	Go     string `json:"go"`
}

// numbers are what a ledger counts.
type numbers struct {
	Receipts    uint64 `json:"receipts"`
	Arrived     uint64 `json:"arrived"`     // different ones
	Redelivered uint64 `json:"redelivered"` // attempts after a message's first; no fault
	Twice       uint64 `json:"twice"`       // that were in the queue twice
}

func (l *ledger) sum() numbers {
	l.mu.Lock()
	defer l.mu.Unlock()
	return numbers{Receipts: l.sent, Arrived: l.arrived, Redelivered: l.again, Twice: l.twice}
}

// latencies are the usual points of a distribution, in microseconds.
type latencies struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// A percentile says how many operations took at most so long.
type percentile struct {
	Percentile float64 `json:"percentile"`
	US         float64 `json:"us"`
	Count      int64   `json:"count"`
}

// slower counts the operations that took longer.
type slower struct {
	MS1    int64 `json:"1ms"`
	MS10   int64 `json:"10ms"`
	MS100  int64 `json:"100ms"`
	Second int64 `json:"1s"`
}

// result is what the callers have seen; the load has more to tell.
func (b *benchRun) result(cpu time.Duration) *benchResult {
	build := thisBuild()
	return &benchResult{
		Bench: b.plan.Bench, Parameters: b.plan,
		Versions:   benchVersions{Client: build.Version, Server: b.clients[0].ServerVersion(), Go: build.Go},
		Started:    time.Now().Add(b.pace.from - b.pace.now()).UTC().Truncate(time.Millisecond),
		Seconds:    max(0, b.pace.end()-b.pace.from).Seconds(),
		CPUSeconds: cpu.Seconds(),
		Late:       b.pace.late.Load(), NotBegun: b.pace.notBegun(),
	}
}

// finish fills in what has been counted, when nothing more is to come.
func (r *benchResult) finish(ctx context.Context, b *benchRun) {
	latency, completed := b.tally.sum()
	r.Interrupted = ctx.Err() != nil
	r.Operations = uint64(latency.TotalCount())
	if r.Seconds > 0 {
		r.PerSecond = round(float64(completed)/r.Seconds, 1)
		r.MBPerS = round(float64(completed)*float64(b.plan.Size)/1e6/r.Seconds, 3)
	}
	r.describe(latency)
	r.Mismatches = b.tally.mismatches.Load()
	r.Unfinished = b.tally.unfinished.Load()
	r.Errors = b.tally.kinds()
}

// describe takes what it tells from the histogram.
func (r *benchResult) describe(h *hdrhistogram.Histogram) {
	r.Percentiles = []percentile{}
	if h.TotalCount() == 0 {
		return
	}
	at := func(p float64) float64 { return micros(h.ValueAtPercentile(p)) }
	r.Latency = latencies{
		Min: micros(h.Min()), Mean: micros(int64(h.Mean())),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: micros(h.Max()),
	}
	for _, p := range h.CumulativeDistributionWithTicks(1) {
		if p.Count > 0 {
			r.Percentiles = append(r.Percentiles, percentile{round(p.Quantile, 6), micros(p.ValueAt), p.Count})
		}
	}
	for _, bar := range h.Distribution() {
		for limit, n := range map[time.Duration]*int64{
			time.Millisecond: &r.SlowerThan.MS1, 10 * time.Millisecond: &r.SlowerThan.MS10,
			100 * time.Millisecond: &r.SlowerThan.MS100, time.Second: &r.SlowerThan.Second,
		} {
			if bar.From >= int64(limit) {
				*n += bar.Count
			}
		}
	}
}

// micros are the microseconds of so many nanoseconds.
func micros(ns int64) float64 { return round(float64(ns)/1e3, 1) }

func round(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}
