package queue

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestEpochs finds the start in which a sequence was given.
func TestEpochs(t *testing.T) {
	s := New(1, Limits{})
	if id := s.idOf(7); id != (ID{Epoch: 1, Sequence: 7}) {
		t.Errorf("in a first start 7 is %+v", id)
	}
	// The third gave nothing, so it begins where the fourth does.
	s.epochs = []Epoch{{10, 5}, {20, 9}, {30, 12}, {40, 12}, {50, 20}}
	for sequence, want := range map[uint64]uint64{5: 10, 8: 10, 9: 20, 11: 20, 12: 40, 19: 40, 20: 50, math.MaxUint64: 50} {
		if id := s.idOf(sequence); id != (ID{Epoch: want, Sequence: sequence}) {
			t.Errorf("%d is %+v, want epoch %d", sequence, id, want)
		}
	}
	for _, old := range []uint64{0, 1, 4} {
		if id := s.idOf(old); id != (ID{}) {
			t.Errorf("%d, older than all starts, is %+v", old, id)
		}
	}
}

// TestRuns compares the runs of a queue with a set of sequences.
func TestRuns(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		var q Queue
		naive, last := map[uint64]bool{}, uint64(0)
		for range 1 + r.IntN(6) {
			first := last + 2 + r.Uint64N(5)
			last = first + r.Uint64N(6)
			q.runs = append(q.runs, run{first, last})
			for at := first; at <= last; at++ {
				naive[at] = true
			}
		}
		for step := range 30 {
			at := r.Uint64N(last + 3)
			if r.IntN(5) > 0 {
				q.cut(at)
				delete(naive, at)
			} else {
				at /= 4
				q.trim(at)
				for i := range at + 1 {
					delete(naive, i)
				}
			}
			end := uint64(0)
			for i, r := range q.runs {
				if r.first > r.last || i > 0 && r.first <= end {
					t.Fatalf("seed %d, step %d: the runs are %v", seed, step, q.runs)
				}
				end = r.last
			}
			for at := range last + 3 {
				if q.spilledAt(at) != naive[at] {
					t.Fatalf("seed %d, step %d: %d is in %v: %v", seed, step, at, q.runs, naive[at])
				}
			}
		}
	}
}

// TestChain compares the chain with a list.
func TestChain(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var c chain
	var naive []*Message
	for step := range 20_000 {
		switch i := r.IntN(len(naive) + 1); {
		case len(naive) > 30 || i < len(naive) && r.IntN(2) == 0:
			i = min(i, len(naive)-1)
			c.remove(naive[i])
			naive = slices.Delete(naive, i, i+1)
		case i == 0:
			m := new(Message)
			c.insert(nil, m)
			naive = slices.Insert(naive, 0, m)
		default:
			m := new(Message)
			c.insert(naive[i-1], m)
			naive = slices.Insert(naive, i, m)
		}
		var there, back []*Message
		for m := c.head; m != nil; m = m.next {
			there = append(there, m)
		}
		for m := c.tail; m != nil; m = m.prev {
			back = append(back, m)
		}
		slices.Reverse(back)
		if !slices.Equal(there, naive) || !slices.Equal(back, naive) {
			t.Fatalf("seed %d, step %d: %d messages there and %d back, want %d", seed, step, len(there), len(back), len(naive))
		}
	}
}

// TestStoredFailures writes and reads each kind of failure.
func TestStoredFailures(t *testing.T) {
	failures := []*Failure{nil, {Handler: []byte("it broke")}, {Handler: []byte{0, 1, 0xff}}}
	for _, kind := range kinds {
		failures = append(failures, &Failure{Err: errorf(kind, "with €").with("queue", "q").with("empty", "")}, &Failure{Err: errorf(kind, "")})
	}
	for _, f := range failures {
		got := failureOf(StoredFailure(f))
		e, _ := errorOf(f)
		if g, ok := errorOf(got); ok && e != nil && g.Kind == e.Kind && g.Text == e.Text && slices.Equal(g.Meta, e.Meta) { //nolint:errorlint // the sentinel itself is kept
			continue
		}
		if e != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%+v became %+v", f, got)
		}
	}
	if !errors.Is(failureOf([]byte{switchSpeaks, 200}).Err, ErrInvalid) {
		t.Error("a kind of a later version is not read as some error")
	}
	names := map[string]bool{}
	for _, kind := range kinds {
		names[kind.Error()] = true
	}
	if len(names) != len(kinds) {
		t.Error("a sentinel is there twice")
	}
	// A store has these numbers.
	if kinds[0] != ErrInvalid || kinds[19] != ErrNoReplyTo || kinds[27] != ErrSuperseded || kinds[len(kinds)-1] != ErrCallCancelled || len(kinds) != 35 { //nolint:errorlint // the very sentinels
		t.Error("the list of kinds may only grow at its end: then say so here")
	}
}

// FuzzFailure reads anything as a failure: no panic, details in pairs, and what
// was read is written and read the same.
func FuzzFailure(f *testing.F) {
	for _, failure := range []*Failure{nil, {Handler: []byte("h")}, {Err: errorf(ErrExpired, "late").with("queue", "q")}} {
		f.Add(StoredFailure(failure))
	}
	f.Add([]byte{switchSpeaks, 3, 5, 'a'})
	f.Add([]byte{switchSpeaks, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{switchSpeaks, 3, 1, 'a', 1, 'k'})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := failureOf(b)
		if e, ok := errorOf(got); ok && len(e.Meta)%2 != 0 {
			t.Errorf("%x has the details %q, which are no pairs", b, e.Meta)
		}
		again := StoredFailure(got)
		if got2 := failureOf(again); !bytes.Equal(StoredFailure(got2), again) {
			t.Errorf("%x reads as %+v, which is written as %x, and that reads as %+v", b, got, again, got2)
		}
	})
}

// TestWindowsStored sends sequences that grow, jump and come late, stores what
// is dirty now and then, and restores it: what was stored is known.
func TestWindowsStored(t *testing.T) {
	steps := []uint64{0, 1, 1, 2, 3, 7, 60, 63, 64, 65, 4000, 4095, 4096, 4097, 10_000, 1 << 40}
	for _, base := range []uint64{1, 63, 64, 5000, math.MaxUint64 - 5000, math.MaxUint64 - 1} {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(base, seed))
			s := New(1, Limits{TraceEvents: 1, DurableAvailable: true})
			disk, sent, high := map[uint64]Window{}, map[uint64]uint64{}, uint64(0)
			var u Unsaved
			for step := range uint64(120) {
				sequence := max(base, high)
				if d := steps[r.IntN(len(steps))]; r.IntN(2) == 0 {
					sequence += min(d, math.MaxUint64-sequence)
				} else {
					sequence -= min(d, sequence-1)
				}
				first, err := s.repeated("p", sequence)
				if err == nil && first == 0 {
					s.sequence++
					s.remember("p", sequence, s.sequence, true)
					sent[sequence], high = s.sequence, max(high, sequence)
				}
				if r.IntN(3) == 0 || step == 119 {
					s.TakeUnsaved(&u)
					if len(u.Windows) > window/WindowSlots+1 {
						t.Fatalf("base %d, seed %d: %d windows are to be stored", base, seed, len(u.Windows))
					}
					for _, w := range u.Windows {
						disk[w.Part] = w
					}
				}
			}
			sameWindows(t, s, disk, sent, high)
		}
	}
}

// sameWindows restores what a disk has, and compares it with what was sent.
func sameWindows(t *testing.T, live *State, disk map[uint64]Window, sent map[uint64]uint64, high uint64) {
	t.Helper()
	k := &Kept{Sequence: live.sequence, Epochs: []Epoch{{1, 1}, {2, live.sequence + 1}}}
	for _, w := range disk {
		k.Windows = append(k.Windows, w)
	}
	slices.SortFunc(k.Windows, func(a, b Window) int { return int(min(1, max(-1, int64(a.Part)-int64(b.Part)))) })
	var fx Effects
	s, err := Restore(2, Limits{TraceEvents: 1, DurableAvailable: true}, 1, k, &fx)
	if err != nil {
		t.Fatal(err)
	}
	for sequence, message := range sent {
		got, err := s.repeated("p", sequence)
		if tooOld := high-sequence >= window; tooOld != (err != nil) || !tooOld && got != message {
			t.Fatalf("%d of %d is message %d after the restart (%v), and was %d", sequence, high, got, err, message)
		}
	}
	for sequence := high - min(high, window-1); sequence < high; sequence++ {
		if got, err := s.repeated("p", sequence); err != nil || got != sent[sequence] {
			t.Fatalf("%d of %d is message %d after the restart (%v), and was %d", sequence, high, got, err, sent[sequence])
		}
	}
	if s.HasUnsaved() {
		t.Fatal("what was restored is to be stored")
	}
}

// TestProducersRestored: who was silent longest is forgotten first, after a
// restart too, and then by the store.
func TestProducersRestored(t *testing.T) {
	limits := Limits{Producers: 2, ProducerSilence: time.Minute, DurableAvailable: true}
	k := &Kept{Sequence: 10, Epochs: []Epoch{{1, 1}, {2, 11}}}
	for i, name := range []string{"new", "old", "older"} {
		k.Windows = append(k.Windows, Window{Producer: name, Seen: Instant(100 - i), Messages: [WindowSlots]uint64{0, uint64(5 + i)}})
	}
	var fx Effects
	var u Unsaved
	s, err := Restore(2, limits, 200, k, &fx)
	if err != nil {
		t.Fatal(err)
	}
	s.TakeUnsaved(&u)
	if len(s.producers) != 2 || s.producers["older"] != nil || !slices.Equal(u.ProducersGone, []string{"older"}) {
		t.Errorf("%d producers are known, and %q are forgotten", len(s.producers), u.ProducersGone)
	}
	for _, op := range []Op{&Login{Session: 1, Producer: "another"}, &Create{Session: 1, Queue: "q", Options: Options{Durability: Durable}},
		&Send{Session: 1, Queue: "q", Sequence: 1}} {
		if err := s.Apply(300, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	s.TakeUnsaved(&u)
	if s.producers["old"] != nil || s.producers["new"] == nil || !slices.Equal(u.ProducersGone, []string{"old"}) || len(u.Windows) != 1 {
		t.Errorf("%q are forgotten, and %d windows are new", u.ProducersGone, len(u.Windows))
	}
}

// TestRestoreRefuses what contradicts itself.
func TestRestoreRefuses(t *testing.T) {
	queues := []KeptQueue{{ID: 3, Name: "q", Options: Options{Durability: Durable}, Messages: 1, Bytes: 4}}
	request := func(queue, sequence uint64, bytes int) KeptRequest {
		return KeptRequest{queue, Stored{Sequence: sequence, Body: make([]byte, bytes)}}
	}
	for what, k := range map[string]Kept{
		"a queue beyond the sequence":       {Sequence: 2, Queues: queues},
		"a queue without a number":          {Sequence: 9, Queues: []KeptQueue{{Name: "q"}}},
		"a name twice":                      {Sequence: 9, Queues: append(queues, KeptQueue{ID: 4, Name: "q"})},
		"a number twice":                    {Sequence: 9, Queues: append(queues, KeptQueue{ID: 3, Name: "p"})},
		"fewer than no messages":            {Sequence: 9, Queues: []KeptQueue{{ID: 1, Name: "q", Messages: -1}}},
		"a request in no queue":             {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(4, 5, 0)}},
		"more requests than messages":       {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(3, 4, 0), request(3, 5, 0)}},
		"more bytes than counted":           {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(3, 4, 5)}},
		"a request beyond the sequence":     {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(3, 10, 0)}},
		"a request older than its queue":    {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(3, 3, 0)}},
		"bytes without messages":            {Sequence: 9, Queues: []KeptQueue{{ID: 1, Name: "q", Bytes: 1}}},
		"a request twice":                   {Sequence: 9, Queues: []KeptQueue{{ID: 3, Name: "q", Messages: 2}}, Requests: []KeptRequest{request(3, 4, 0), request(3, 4, 0)}},
		"bytes left when all messages came": {Sequence: 9, Queues: queues, Requests: []KeptRequest{request(3, 4, 3)}},
	} {
		k.Epochs = []Epoch{{1, 1}, {2, k.Sequence + 1}}
		var fx Effects
		if s, err := Restore(2, Limits{DurableAvailable: true}, 1, &k, &fx); err == nil || s != nil {
			t.Errorf("%s was restored", what)
		}
	}
}
