package crash_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A key is what a message is known by outside of the switch: the producer and
// its number. It is in the body, and it is the idempotency key.
type key struct {
	producer string
	number   uint64
}

// body is what the message of a key carries, of very different lengths.
func (k key) body() []byte {
	return fmt.Appendf(nil, "%s/%d/%s", k.producer, k.number, strings.Repeat("x", int(k.number*37%1500)))
}

// keyOf reads a body.
func keyOf(body []byte) (key, error) {
	parts := strings.SplitN(string(body), "/", 3)
	if len(parts) != 3 {
		return key{}, fmt.Errorf("nobody has sent %q", body)
	}
	n, err := strconv.ParseUint(parts[1], 10, 64)
	k := key{parts[0], n}
	if err != nil || string(k.body()) != string(body) {
		return key{}, fmt.Errorf("nobody has sent %q", body)
	}
	return k, nil
}

func (k key) String() string { return fmt.Sprintf("%s/%d", k.producer, k.number) }

// What happens to a queue, as those outside see it.
type kind int

const (
	sent      kind = iota // a Send, with all its retries
	delivered             // a delivery, received by its consumer
	acked                 // an Ack
	released              // a Release: the message goes back to its place
	crashed               // the end of a life, to the beginning of the next
	drained               // the switch said that the queue is empty, and that this is on disk
)

var kindNames = []string{"sent", "delivered", "acked", "released", "crashed", "drained"}

func (k kind) String() string { return kindNames[k] }

// An event is one of these. It happened at some moment between call and ret, in
// nanoseconds of the run.
type event struct {
	kind      kind
	key       key
	id        string // of the message; empty: not known
	lease     uint64
	party     string // who saw it
	call, ret int64
	// sure says that the switch confirmed it. What is not sure may have happened or
	// not; a sure ack is on disk.
	sure bool
}

func (e event) String() string {
	s := fmt.Sprintf("%9.3f..%9.3f ms %s %s", float64(e.call)/1e6, float64(e.ret)/1e6, e.party, e.kind)
	if e.kind != crashed && e.kind != drained {
		s += fmt.Sprintf(" %s id=%s lease=%d sure=%t", e.key, e.id, e.lease, e.sure)
	}
	return s
}

// never is the ret of what has not come to its end.
const never = int64(1) << 62

// A history collects the events of one queue.
type history struct {
	mu     sync.Mutex
	events []event
	closed bool
}

func (h *history) add(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.events = append(h.events, e)
	}
}

// close takes the history, with those crashes that fell into its time. What
// happens later is in no history.
func (h *history) close(crashes []event) []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return complete(h.events, crashes)
}

// complete sorts what was seen, adds the crashes, and settles what was unsure.
func complete(seen, crashes []event) []event {
	events := slices.Clone(seen)
	var begin, end int64 = never, 0
	for _, e := range events {
		begin, end = min(begin, e.call), max(end, e.ret)
	}
	for _, c := range crashes {
		if c.ret > begin && c.call < end {
			events = append(events, c)
		}
	}
	events = settle(events)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.call, b.call) })
	return events
}

// settle bounds the Sends that have no answer: one whose message was delivered
// had happened by then; one whose message never was, though the queue is
// drained, never happened, or was lost, which is no breach as nobody was told.
func settle(events []event) []event {
	first := map[key]int64{}
	for _, e := range events {
		if at, seen := first[e.key]; e.kind == delivered && (!seen || e.ret < at) {
			first[e.key] = e.ret
		}
	}
	kept := events[:0]
	for _, e := range events {
		if e.kind == sent && !e.sure {
			at, seen := first[e.key]
			if !seen {
				continue
			}
			e.ret = max(at, e.call)
		}
		kept = append(kept, e)
	}
	return kept
}

// A clock tells the nanoseconds of the run, and notes the crashes.
type clock struct {
	zero time.Time

	mu      sync.Mutex
	crashes []event
}

func newClock() *clock { return &clock{zero: time.Now()} }

func (c *clock) now() int64 { return int64(time.Since(c.zero)) }

// crash notes the end of a life, which happens between now and the call of what
// it returns.
func (c *clock) crash() (over func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.crashes)
	c.crashes = append(c.crashes, event{kind: crashed, party: "disaster", call: c.now(), ret: never})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.crashes[i].ret = c.now()
	}
}

// all are the crashes so far.
func (c *clock) all() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.crashes)
}

// crashBefore is the beginning of the last crash before a moment; zero if there
// was none.
func (c *clock) crashBefore(at int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, crash := range slices.Backward(c.crashes) {
		if crash.call <= at {
			return crash.call
		}
	}
	return 0
}
