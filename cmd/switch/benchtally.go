package main

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/d3b0a776/switch/client"
)

const (
	// What a histogram tells apart, in nanoseconds: from a tenth of a microsecond to
	// an hour, to three digits.
	finest  = int64(100 * time.Nanosecond)
	longest = int64(time.Hour)
	digits  = 3
)

// A tally counts what became of the operations. It is safe for concurrent use.
type tally struct {
	pace   *pace
	shards []tallyShard // more than one, so that callers don't wait for each other

	mismatches atomic.Uint64 // bodies that came back changed, and receipts for less than was asked
	unfinished atomic.Uint64 // cut off by an interrupt

	mu     sync.Mutex // guards what is below
	errors map[string]*benchError
}

type tallyShard struct {
	mu        sync.Mutex
	latency   *hdrhistogram.Histogram // of operations that began in the time measured
	completed uint64                  // in the time measured
}

// A benchError is one kind of error.
type benchError struct {
	Kind  string `json:"kind"` // the switch's reason, or the gRPC code
	Count uint64 `json:"count"`
	First string `json:"first"` // the text of the first one
}

func newTally(p *pace) *tally {
	t := &tally{pace: p, shards: make([]tallyShard, runtime.GOMAXPROCS(0)), errors: map[string]*benchError{}}
	for i := range t.shards {
		t.shards[i].latency = newHistogram()
	}
	return t
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(finest, longest, digits) }

// done counts an operation that is complete now. One of before the run, with a
// negative since, is not counted.
func (t *tally) done(shard int, since time.Duration) {
	now := t.pace.now()
	s := &t.shards[shard%len(t.shards)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if since >= 0 && t.pace.measured(now) {
		s.completed++
	}
	if t.pace.measured(since) {
		_ = s.latency.RecordValue(min(int64(now-since), longest)) // within its range
	}
}

// failed counts an error.
func (t *tally) failed(err error) {
	kind := client.ReasonOf(err)
	if kind == "" {
		kind = "LOCAL"
		if code, ok := codeOf(err); ok {
			kind = codeName(code)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.errors[kind] == nil {
		t.errors[kind] = &benchError{Kind: kind, First: err.Error()}
	}
	t.errors[kind].Count++
}

// kinds are the errors, the most frequent first; never nil.
func (t *tally) kinds() []benchError {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := []benchError{}
	for _, e := range t.errors {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b benchError) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// sum is what has been counted so far.
func (t *tally) sum() (latency *hdrhistogram.Histogram, completed uint64) {
	latency = newHistogram()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		latency.Merge(s.latency)
		completed += s.completed
		s.mu.Unlock()
	}
	return latency, completed
}
