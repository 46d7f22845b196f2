package queue

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// TestTimers compares the heap with a list that is searched each time, while time goes
// on and what is due is set again, stopped, or forgotten.
func TestTimers(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	all := make([]timer, 50)
	naive := map[*timer]Instant{}
	least := func() Instant {
		least := Instant(math.MaxInt64)
		for _, at := range naive {
			least = min(least, at)
		}
		return least
	}
	var h timers
	now := Instant(1)
	for step := range 50_000 {
		tm, at := &all[r.IntN(len(all))], now+Instant(r.IntN(30))
		switch r.IntN(8) {
		case 0:
			h.drop(tm)
			delete(naive, tm)
		case 1:
			h.set(tm, 0, nil)
			delete(naive, tm)
		case 2:
			now += Instant(r.IntN(10))
			for tm, due := h.first(now); tm != nil; tm, due = h.first(now) {
				if due && (tm.at != naive[tm] || tm.at != least()) {
					t.Fatalf("seed %d, step %d: the timer of %d is due at %d, the first one is that of %d", seed, step, naive[tm], tm.at, least())
				}
				if due && r.IntN(2) == 0 {
					naive[tm] = now + 1 + Instant(r.IntN(30))
					h.set(tm, naive[tm], nil)
				} else if due {
					delete(naive, tm)
					h.stop(tm)
				}
				h.settle(tm)
			}
			if least() <= now {
				t.Fatalf("seed %d, step %d: nothing is due at %d, want the timer of %d", seed, step, now, least())
			}
		default:
			h.set(tm, at, nil)
			naive[tm] = at
		}
		if err := h.check(); err != nil || h.running != len(naive) {
			t.Fatalf("seed %d, step %d: %d timers, want %d: %v", seed, step, h.running, len(naive), err)
		}
		if next := h.next(); next > least() || (next == 0) != (len(naive) == 0) {
			t.Fatalf("seed %d, step %d: the first is at %d, want %d at the latest", seed, step, next, least())
		}
	}
}

// TestWindow compares a producer's window with a map of all it ever sent:
// growing, jumping by more than the window, and at the ends of the numbers.
func TestWindow(t *testing.T) {
	steps := []uint64{0, 1, 1, 1, 2, 3, 7, 8, 9, 100, 4094, 4095, 4096, 4097, 10_000, 1 << 40}
	for _, base := range []uint64{1, 20, 5000, 1 << 50, math.MaxUint64 - 5000, math.MaxUint64} {
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(base, seed))
			s := New(0, Limits{TraceEvents: 1})
			sent, high := map[uint64]uint64{}, uint64(0)
			for step := range uint64(300) {
				sequence := max(base, high)
				if d := steps[r.IntN(len(steps))]; r.IntN(2) == 0 {
					sequence += min(d, math.MaxUint64-sequence)
				} else {
					sequence -= min(d, sequence-1)
				}
				first, err := s.repeated("p", sequence)
				tooOld := sequence < high && high-sequence >= 4096
				switch {
				case (err != nil) != tooOld:
					t.Fatalf("base %d, seed %d, step %d: %d after %d: %v", base, seed, step, sequence, high, err)
				case !tooOld && first != sent[sequence]:
					t.Fatalf("base %d, seed %d, step %d: %d after %d was message %d, want %d", base, seed, step, sequence, high, first, sent[sequence])
				case !tooOld && first == 0:
					high, sent[sequence] = max(high, sequence), step+1
					s.remember("p", sequence, step+1, false)
				}
			}
		}
	}
}

// TestReturned compares the heap of returned messages with a sorted list.
func TestReturned(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var heap returned
	var naive []*Message
	for step := range 20_000 {
		if len(naive) == 0 || len(naive) < 40 && r.IntN(2) == 0 {
			m := &Message{ID: ID{Sequence: r.Uint64()}}
			heap.push(m)
			naive = append(naive, m)
		} else {
			i := r.IntN(len(naive))
			heap.remove(naive[i])
			naive = slices.Delete(naive, i, i+1)
		}
		if len(heap) != len(naive) {
			t.Fatalf("seed %d, step %d: %d messages, want %d", seed, step, len(heap), len(naive))
		}
		if len(naive) == 0 {
			continue
		}
		oldest := slices.MinFunc(naive, func(a, b *Message) int {
			if a.ID.Before(b.ID) {
				return -1
			}
			return 1
		})
		if heap[0] != oldest {
			t.Fatalf("seed %d, step %d: the first is %v, want %v", seed, step, heap[0].ID, oldest.ID)
		}
	}
}

// TestBorrowed overwrites the strings of an operation after Apply, as a codec
// does that reads in place. Only what an Op says it keeps may be kept.
func TestBorrowed(t *testing.T) {
	buffer := make([]byte, 0, 1000)
	borrow := func(s string) string {
		n := len(buffer)
		buffer = append(buffer, s...)
		return unsafe.String(&buffer[n], len(s))
	}
	s := New(0, Limits{})
	var fx Effects
	apply := func(op Op) {
		t.Helper()
		if err := s.Apply(1, op, &fx); err != nil {
			t.Fatal(err)
		}
		clear(buffer)
		buffer = buffer[:0]
	}
	apply(&Login{Session: 1})
	apply(&Create{Session: 1, Queue: "answers"})
	apply(&Send{Session: 1, Queue: borrow("q"), Create: true, CreateOptions: Options{DeadLetterQueue: borrow("grave")},
		CorrelationID: "1", ReplyTo: borrow("answers"), Producer: borrow("producer"), Sequence: 1})
	apply(&Subscribe{Session: 1, Queue: borrow("p"), Create: true, CreateOptions: Options{DeadLetterQueue: borrow("tomb")}})
	apply(&Send{Session: 1, Queue: "q", Producer: "producer", Sequence: 1})
	if !fx.Duplicate {
		t.Error("the producer's name was kept without a copy")
	}
	q, p := s.queues["q"], s.queues["p"]
	if q == nil || q.Name != "q" || q.Options.DeadLetterQueue != "grave" || q.first().ReplyTo != "answers" {
		t.Errorf("Send kept what it had borrowed: %+v", q)
	}
	if p == nil || p.Name != "p" || p.Options.DeadLetterQueue != "tomb" {
		t.Errorf("Subscribe kept what it had borrowed: %+v", p)
	}
}

// TestOpIsNotChanged uses one Send for two sessions: an Op is data, and Apply
// leaves it as it is.
func TestOpIsNotChanged(t *testing.T) {
	s := New(0, Limits{})
	var fx Effects
	for _, op := range []Op{&Login{Session: 1, Producer: "a"}, &Login{Session: 2, Producer: "b"}, &Create{Session: 1, Queue: "q"}} {
		if err := s.Apply(1, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	op := &Send{Queue: "q", Sequence: 1}
	for op.Session = 1; op.Session <= 2; op.Session++ {
		if err := s.Apply(1, op, &fx); err != nil || fx.Duplicate {
			t.Errorf("session %d: %v, duplicate %v", op.Session, err, fx.Duplicate)
		}
	}
}

// TestWindowOfTheSilent restores what a producer sent so long ago that the next one to
// send has it forgotten: until then it is whole.
func TestWindowOfTheSilent(t *testing.T) {
	s := New(0, Limits{ProducerSilence: time.Second})
	s.now = Instant(time.Hour)
	s.restoreWindow(&Window{Producer: "p", Seen: 1, Messages: [WindowSlots]uint64{5: 50, 6: 60}})
	for sequence, message := range map[uint64]uint64{5: 50, 6: 60, 7: 0} {
		if first, err := s.repeated("p", sequence); first != message || err != nil {
			t.Errorf("sequence %d is message %d (%v), want %d", sequence, first, err, message)
		}
	}
	s.remember("q", 1, 70, false)
	if first, err := s.repeated("p", 5); first != 0 || err != nil {
		t.Errorf("sequence 5 of who is forgotten is message %d (%v)", first, err)
	}
}

// TestTraceOverwrites reads a ring that has gone round.
func TestTraceOverwrites(t *testing.T) {
	s := New(0, Limits{TraceEvents: 4})
	for range 10 {
		s.record(Event{Kind: SessionBegan})
	}
	buf := make([]Event, 3)
	for _, c := range []struct {
		after, first uint64
		got          int
		missed       uint64
	}{{0, 7, 3, 6}, {5, 7, 3, 1}, {6, 7, 3, 0}, {8, 9, 2, 0}, {9, 10, 1, 0}, {10, 0, 0, 0}} {
		got, missed := s.Trace().After(c.after, buf)
		if got != c.got || missed != c.missed || got > 0 && buf[0].Number != c.first {
			t.Errorf("after %d: %d events from %d, %d missed; want %+v", c.after, got, buf[0].Number, missed, c)
		}
	}
	if s.Trace().Last() != 10 {
		t.Errorf("the last event is %d, want 10", s.Trace().Last())
	}
}

// TestTimersAreBounded ends more messages than memory is kept of, long before their
// times: what is left in the heap is of memory that is kept, and goes with the next Tick.
func TestTimersAreBounded(t *testing.T) {
	s := New(0, Limits{})
	var fx Effects
	apply := func(now Instant, op Op) {
		t.Helper()
		if err := s.Apply(now, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	apply(1, &Login{Session: 1})
	apply(1, &Attach{Session: 1, Sink: 1})
	apply(1, &Create{Session: 1, Queue: "q"})
	apply(1, &Subscribe{Session: 1, Queue: "q", Credit: maxFree, Sink: 1})
	consumer := fx.Consumer.ID
	for range 3 {
		for range 3 * maxFree {
			apply(1, &Send{Session: 1, Queue: "q", Timeout: time.Hour})
		}
		apply(1, &Purge{Queue: "q"}) // what waits
		apply(1, &Ack{Session: 1, Consumer: consumer, Through: s.lastLease})
		apply(1, &Retell{Session: 1}) // what was acked is memory again
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if n := len(s.timers.slots); n != maxFree+1 || s.NextDeadline() != 0 {
			t.Errorf("%d timers are in the heap, want those of %d free messages and of the session; the next is due at %d", n, maxFree, s.NextDeadline())
		}
	}
	now := 1 + Instant(time.Minute)
	for range maxFree/tickBatch + 1 {
		apply(now, &Tick{}) // as the engine's timer does, which was set before
	}
	if n := len(s.timers.slots); n != 0 {
		t.Errorf("%d timers are in the heap, and none is set: the next one would look overdue", n)
	}
	apply(now, &Send{Session: 1, Queue: "q", Timeout: 2 * time.Hour})
	apply(now, &Extend{Session: 1, Leases: []Lease{s.lastLease}, Lease: 3 * time.Hour})
	apply(s.NextDeadline(), &Tick{}) // when the lease was to end at first
	if n := len(s.timers.slots); n != 1 || s.NextDeadline() != now.Add(3*time.Hour) {
		t.Errorf("%d timers are in the heap, and the next is due at %d; want that of the lease", n, s.NextDeadline())
	}
}

// TestTickIsBounded gives one Tick more than it may do at once.
func TestTickIsBounded(t *testing.T) {
	s := New(0, Limits{})
	var fx Effects
	apply := func(now Instant, op Op) {
		t.Helper()
		if err := s.Apply(now, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	apply(1, &Login{Session: 1, TTL: time.Hour})
	apply(1, &Create{Session: 1, Queue: "q"})
	for range 2500 {
		apply(1, &Send{Session: 1, Queue: "q", Timeout: time.Second})
	}
	now := Instant(1).Add(time.Second)
	for _, left := range []int{1500, 500, 0} {
		if next := s.NextDeadline(); next > now {
			t.Fatalf("the next deadline is %d, want one that is due at %d", next, now)
		}
		apply(now, &Tick{})
		if n := s.queues["q"].count(); n != left {
			t.Errorf("%d messages are left, want %d", n, left)
		}
	}
	if next := s.NextDeadline(); next <= now {
		t.Errorf("the next deadline is %d, want one after %d", next, now)
	}
}
