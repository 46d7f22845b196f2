package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be a child, as the command is.
func TestMain(m *testing.M) {
	if isChild() {
		os.Exit(childMain())
	}
	os.Exit(m.Run())
}

// natsBuildTime is how long the test waits for nats-server to be built: a second
// or two when its packages have been compiled before.
const natsBuildTime = 15 * time.Second

// TestWorks runs every work for a moment, on what needs only Go, and looks whether
// the samples make sense.
func TestWorks(t *testing.T) {
	dir := t.TempDir()
	p := smallPlan(dir)
	found, err := goBuildSwitch(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p.binaries = map[string]string{programSwitch: found}
	ctx, cancel := context.WithTimeout(t.Context(), natsBuildTime)
	defer cancel()
	nats, err := goBuild(ctx, "", filepath.Join(dir, programNATS), "github.com/nats-io/nats-server/v2")
	if err == nil {
		p.binaries[programNATS] = nats
		p.peers = append(p.peers, "nats", "jetstream-memory", "jetstream-file")
	}
	var report bytes.Buffer
	if err := measure(t.Context(), p, &report); err != nil {
		t.Fatal(err)
	}
	records, err := readJournal(p.out)
	if err != nil {
		t.Fatal(err)
	}
	samples := newReport(records).samples
	for _, w := range works(p) {
		for _, r := range w.runs {
			t.Run(w.name+"/"+subject{r.peer, r.size}.String(), func(t *testing.T) {
				if !p.includes(w, r.peer) {
					t.Skipf("%s was not built in %v, or needs Debian's package: %s is not measured", peerNamed(r.peer).program, natsBuildTime, r.peer)
				}
				of := samples[w.name][subject{r.peer, r.size}]
				if len(of) != p.rounds {
					t.Fatalf("%d samples, want %d", len(of), p.rounds)
				}
				checkSane(t, p, of[0])
			})
		}
		if !strings.Contains(report.String(), strings.ToUpper(w.title[:1])+w.title[1:]) {
			t.Errorf("the report has no table for %q", w.title)
		}
	}
}

func smallPlan(dir string) *plan {
	return &plan{rounds: 1, duration: 100 * time.Millisecond, backlog: 500, out: filepath.Join(dir, "out.jsonl"),
		peers: []string{"switch", "switch-durable", "relay", "relay-durable"},
		scale: scale{Queues: 500, Clients: 20, Connections: 50, ManyQueues: 500, Consumers: 20}}
}

func checkSane(t *testing.T, p *plan, s *sample) {
	t.Helper()
	if !s.measured() {
		t.Fatalf("it was not measured: %s%s", s.Missing, s.Failed)
	}
	if f := s.Footprint; f != nil {
		if f.StartMillis <= 0 || f.IdleMiB < 1 || f.IdleMiB > 1000 {
			t.Errorf("footprint %+v", *f)
		}
		return
	}
	if s.Operations < 1 || s.Seconds < p.duration.Seconds() || s.Seconds > 20*p.duration.Seconds() {
		t.Errorf("%d operations in %v s, with a window of %v", s.Operations, s.Seconds, p.duration)
	}
	if s.P50 > s.P99 || s.P99 > 1e6*callTimeout.Seconds() {
		t.Errorf("p50 %v µs, p99 %v µs", s.P50, s.P99)
	}
	if _, ok := s.CPU[cpuBroker]; !ok || len(s.CPU) < 2 {
		t.Errorf("CPU of %v", s.CPU)
	}
	for role, seconds := range s.CPU { // all threads together use no more than all cores, and a tick at each end
		if most := s.Seconds*64 + 2.0/ticks; seconds < 0 || seconds > most {
			t.Errorf("%s: %v CPU-s in %v s", role, seconds, s.Seconds)
		}
	}
}

// TestCallsBite gives the caller what it must not accept.
func TestCallsBite(t *testing.T) {
	echo := func(_ context.Context, request []byte) ([]byte, error) { return slices.Clone(request), nil }
	for name, c := range map[string]struct {
		do   call
		want error
	}{
		"echo":    {echo, nil},
		"short":   {func(_ context.Context, r []byte) ([]byte, error) { return r[1:], nil }, errMismatch},
		"nothing": {func(context.Context, []byte) ([]byte, error) { return nil, nil }, errMismatch},
		"another": {func(_ context.Context, r []byte) ([]byte, error) {
			other := slices.Clone(r)
			other[8]++
			return other, nil
		}, errMismatch},
	} {
		err := callOperation(c.do, newPayload(1, smallBody))(t.Context(), 7)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if told := parseComplaint(mustJSON(t, err)); err != nil && !errors.Is(told, errMismatch) {
			t.Errorf("%s: on the other side of a pipe it is %v", name, told)
		}
	}
}

func TestLedgerBites(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []uint64
		total   int64
		want    error
	}{
		"a gap":     {[]uint64{2, 0, 1, 200}, 4, errMismatch},
		"in order":  {[]uint64{0, 1, 2}, 3, nil},
		"any order": {[]uint64{2, 0, 1}, 3, nil},
		"twice":     {[]uint64{0, 1, 1}, 3, errMismatch},
		"lost":      {[]uint64{0, 2}, 3, errMismatch},
		"too many":  {[]uint64{0, 1, 2}, 2, errMismatch},
		"garbled":   {[]uint64{0, math.MaxUint64}, 1, errMismatch},
	} {
		var l ledger
		body := newPayload(0, smallBody)
		for _, n := range c.numbers {
			body.number(n)
			l.arrive(body)
		}
		if err := l.check(c.total); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestFrames(t *testing.T) {
	frames := []frame{
		{queue: []byte("a"), replyTo: []byte("b"), number: 1 << 40, body: []byte("body")},
		{queue: []byte("c"), body: []byte{}},
	}
	var batch []byte
	for _, f := range frames {
		batch = appendFrame(batch, f)
	}
	for _, want := range frames {
		f, n, err := parseFrame(batch)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.queue) != string(want.queue) || string(f.replyTo) != string(want.replyTo) || f.number != want.number || string(f.body) != string(want.body) {
			t.Errorf("%+v, want %+v", f, want)
		}
		batch = batch[n:]
	}
	if len(batch) > 0 {
		t.Errorf("%d bytes are left", len(batch))
	}
	for cut := 1; cut < 5; cut++ {
		whole := appendFrame(nil, frames[0])
		if _, _, err := parseFrame(whole[:len(whole)-cut]); err == nil {
			t.Errorf("a frame that lacks %d bytes was read", cut)
		}
	}
}
