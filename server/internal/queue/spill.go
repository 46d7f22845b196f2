package queue

import (
	"slices"
	"time"
)

// A durable queue keeps a window of its oldest messages in memory. What does not
// fit stays on disk alone: it is spilled, in runs of sequences, and comes back
// by Load and Fetched before it is needed. Requests with a caller who waits in
// person, or which require a consumer, are never spilled: somebody may have to
// be told of them at any time.

const (
	// messageCost is what a message takes beside its body: the struct, its place
	// in maps and heaps, small strings.
	messageCost = 512
	// A queue's window may take 1/windowShare of the memory budget, all windows
	// together 1/allWindowsShare.
	windowShare     = 8
	allWindowsShare = 2
	// lowWindow is when a window is filled again, loadMessages and loadBytes how
	// much one Load brings at most.
	lowWindow    = 512
	loadMessages = 1024
	loadBytes    = 1 << 20
	// What is loaded of a queue that nobody serves yet: enough to look at.
	idleMessages = 16
	idleBytes    = 64 << 10
	// sweepMessages is how many messages one Load looks at for expired ones.
	sweepMessages = 4096
)

// run is a range of sequences that hold spilled messages of one queue. Not
// every sequence in it is one.
type run struct{ first, last uint64 }

// Load asks for stored messages of a queue. Exactly one Fetched must follow.
type Load struct {
	Queue    uint64
	From, To uint64  // sequences
	Messages int     // at most so many
	Bytes    int     // stop once the bodies are so large
	Expired  Instant // not zero: bring only those that expire up to then
}

// Stored is a message as it stands in a store.
type Stored struct {
	Sequence        uint64
	Body            []byte
	Headers         []Header
	CorrelationID   string
	ReplyTo         string
	Sender          string
	Sent            Instant
	Expires         Instant
	Attempts        int
	MaxAttempts     int
	RequireConsumer bool
	Stream          bool
	Parent          ID
	StartBy         Instant
	Failure         []byte // as StoredFailure wrote it
}

// Fetched answers a Load.
type Fetched struct {
	Load     Load
	Through  uint64   // everything up to here was looked at
	Messages []Stored // in order; what they hold is kept
	Earliest Instant  // with Load.Expired: of those that stay; zero: none expires
}

// spills reports whether m, new in a durable queue, stays on disk alone.
func (s *State) spills(m *Message) bool {
	q, cost := m.queue, len(m.Body)+messageCost
	return !m.request && (len(q.runs) > 0 || q.resident+cost > s.limits.MemoryBytes/windowShare || cost > s.room())
}

// room is what durable queues may still take in memory; below one for nothing.
func (s *State) room() int {
	return s.limits.MemoryBytes/allWindowsShare - s.resident - s.reserved
}

// spill counts m, which is stored, and lets go of it. Before is the queue's
// newest message before m. A run never spans one that is not spilled: while the
// removal of that one is on its way to the disk, a Load would bring it back.
func (s *State) spill(m *Message, before uint64) {
	q, at := m.queue, m.ID.Sequence
	if n := len(q.runs); n > 0 && q.runs[n-1].last == before {
		q.runs[n-1].last = at
	} else {
		q.runs = append(q.runs, run{at, at})
	}
	q.spilled++
	q.spilledBytes += len(m.Body)
	if m.Expires != 0 && (q.timer.at == 0 || m.Expires < q.timer.at) {
		s.timers.set(&q.timer, m.Expires, q)
	}
	s.retired = append(s.retired, m)
}

// inMemory counts n messages more in memory for q, of some bytes.
func (s *State) inMemory(q *Queue, n, bytes int) {
	s.bytes += bytes
	if q.id != 0 {
		q.resident += bytes + n*messageCost
		s.resident += bytes + n*messageCost
	}
}

// onDisk reports whether the message that is delivered next has to be loaded.
func (q *Queue) onDisk() bool {
	if len(q.runs) == 0 || len(q.returned) > 0 {
		return false
	}
	return q.waiting.head == nil || q.runs[0].first < q.waiting.head.ID.Sequence
}

// spilledAt reports whether a message of this sequence would be on disk alone.
func (q *Queue) spilledAt(sequence uint64) bool {
	_, found := q.runOf(sequence)
	return found
}

func (q *Queue) runOf(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(q.runs, sequence, func(r run, at uint64) int {
		switch {
		case r.last < at:
			return -1
		case r.first > at:
			return 1
		default:
			return 0
		}
	})
}

// readAhead asks for the next messages of q when its window runs low and
// somebody needs them.
func (s *State) readAhead(q *Queue, fx *Effects) {
	if q.loading || len(q.runs) == 0 || q.erased > s.synced {
		return // Fetched or Synced looks again
	}
	messages, bytes := s.wants(q)
	switch r := q.runs[0]; {
	case messages == 0:
		s.sweepOn(q, fx)
	case r.first <= s.synced: // else Synced looks again
		q.reserved = messages*messageCost + bytes
		s.reserved += q.reserved
		s.load(q, Load{Queue: q.id, From: r.first, To: min(r.last, s.synced), Messages: messages, Bytes: bytes}, fx)
	}
}

// wants says how much of q should be loaded now.
func (s *State) wants(q *Queue) (messages, bytes int) {
	needed := len(q.consumers) > 0 && q.onDisk() || q.overflows()
	switch {
	case needed, len(q.consumers) > 0 && q.counts[waiting] <= lowWindow && q.resident < s.limits.MemoryBytes/windowShare:
		messages, bytes = loadMessages, loadBytes
	case q.counts[waiting] == 0:
		messages, bytes = idleMessages, idleBytes
	default:
		return 0, 0
	}
	messages, bytes = min(messages, q.spilled), max(1, min(bytes, q.spilledBytes))
	switch room := s.room(); {
	case messages*messageCost+bytes <= room:
	case room >= 2*messageCost:
		messages, bytes = min(messages, room/2/messageCost), min(bytes, room/2)
	case needed:
		messages, bytes = 1, 1 // one message always comes
	default:
		return 0, 0
	}
	return messages, bytes
}

func (s *State) load(q *Queue, l Load, fx *Effects) {
	q.loading = true
	fx.Loads = append(fx.Loads, l)
}

// loaded says that q waits for no Load any more.
func (s *State) loaded(q *Queue) {
	s.reserved -= q.reserved
	q.loading, q.reserved = false, 0
}

func (op *Fetched) apply(s *State, fx *Effects) error {
	q := s.stored[op.Load.Queue]
	if q == nil {
		return nil // it was destroyed meanwhile
	}
	s.loaded(q)
	if op.Load.Expired != 0 {
		op.sweep(s, q, fx)
	} else {
		op.fill(s, q)
	}
	s.unspilled(q)
	if q.overflows() {
		s.makeRoom(q, 0, 0, fx)
	}
	s.dispatch(q, fx)
	return nil
}

// unspilled notes that q may have no spilled message any more.
func (s *State) unspilled(q *Queue) {
	if q.spilled == 0 {
		q.runs, q.sweepNext = nil, 0
		s.timers.stop(&q.timer)
	}
}

// fill puts what was loaded into the window.
func (op *Fetched) fill(s *State, q *Queue) {
	after := q.waiting.tail
	for after != nil && after.ID.Sequence > op.Load.From {
		after = after.prev
	}
	for i := range op.Messages {
		if st := &op.Messages[i]; q.spilledAt(st.Sequence) {
			m := s.restored(q, st)
			q.waiting.insert(after, m)
			m.seated, m.state = true, waiting
			q.counts[waiting]++
			after = m
			s.timers.set(&m.timer, m.waitsUntil(), m)
		}
	}
	q.trim(op.Through)
}

// restored is a message that was spilled, counted as one in memory.
func (s *State) restored(q *Queue, st *Stored) *Message {
	m := s.message(Message{ID: s.idOf(st.Sequence), Body: st.Body, Headers: st.Headers, CorrelationID: st.CorrelationID,
		ReplyTo: st.ReplyTo, Sender: st.Sender, Sent: st.Sent, Expires: st.Expires, Attempts: st.Attempts,
		maxAttempts: st.MaxAttempts, requireConsumer: st.RequireConsumer, attemptsStored: st.Attempts > 0,
		Stream: st.Stream, startBy: st.StartBy, Failure: failureOf(st.Failure), queue: q})
	q.spilled--
	q.spilledBytes -= len(m.Body)
	s.inMemory(q, 1, len(m.Body))
	return m
}

// trim takes everything up to a sequence out of q's runs.
func (q *Queue) trim(through uint64) {
	for len(q.runs) > 0 && q.runs[0].last <= through {
		q.runs = q.runs[1:]
	}
	if len(q.runs) > 0 && q.runs[0].first <= through {
		q.runs[0].first = through + 1
	}
}

// due looks for expired messages among the spilled ones of q.
func (q *Queue) due(s *State, fx *Effects) {
	s.timers.stop(&q.timer)
	switch {
	case len(q.runs) == 0:
	case q.sweepNext != 0: // it may be past what is due now
		s.timers.set(&q.timer, s.now.Add(sweepPause), q)
	default:
		q.sweepNext, q.sweepEarliest = q.runs[0].first, 0
		s.readAhead(q, fx)
	}
}

// sweepPause is how long a queue rests between two looks at its spilled
// messages: each look reads all of them.
const sweepPause = time.Second

// sweepOn goes on with the look at q's spilled messages, if one is under way.
func (s *State) sweepOn(q *Queue, fx *Effects) {
	last := q.runs[len(q.runs)-1].last
	switch {
	case q.sweepNext == 0:
	case q.sweepNext <= min(last, s.synced):
		s.load(q, Load{Queue: q.id, From: q.sweepNext, To: min(last, s.synced), Messages: sweepMessages, Bytes: loadBytes, Expired: s.now}, fx)
	default: // it is over
		q.sweepNext = 0
		next := q.sweepEarliest
		if last > s.synced {
			next = s.now // some were not there yet
		}
		if next = max(next, s.now.Add(sweepPause)); (q.sweepEarliest != 0 || last > s.synced) && (q.timer.at == 0 || next < q.timer.at) {
			s.timers.set(&q.timer, next, q)
		}
	}
}

// sweep ends spilled messages that have expired, and looks on.
func (op *Fetched) sweep(s *State, q *Queue, fx *Effects) {
	if op.Earliest != 0 && (q.sweepEarliest == 0 || op.Earliest < q.sweepEarliest) {
		q.sweepEarliest = op.Earliest
	}
	q.sweepNext = op.Through + 1
	if len(op.Messages) > 0 { // until that is synced nothing is loaded: they would come again
		s.sequence++
		q.erased = s.sequence
		s.awaitSync(q)
	}
	for i := range op.Messages {
		if m := s.pick(q, &op.Messages[i]); m != nil {
			s.expire(m, fx)
		}
	}
}

// pick brings one spilled message into memory, to be ended at once; nil when it
// is not spilled.
func (s *State) pick(q *Queue, st *Stored) *Message {
	if !q.spilledAt(st.Sequence) {
		return nil
	}
	m := s.restored(q, st)
	m.seated = true
	s.put(m, waiting)
	return m
}

// cut takes one sequence out of q's runs.
func (q *Queue) cut(sequence uint64) {
	i, found := q.runOf(sequence)
	if !found {
		return
	}
	var rest []run
	if r := q.runs[i]; r.first < sequence {
		rest = append(rest, run{r.first, sequence - 1})
	}
	if r := q.runs[i]; sequence < r.last {
		rest = append(rest, run{sequence + 1, r.last})
	}
	q.runs = slices.Replace(q.runs, i, i+1, rest...)
}

// overflows reports whether q holds more than it may, and drops its oldest.
func (q *Queue) overflows() bool {
	return q.Options.Overflow == DropOldest && (q.count() > q.Options.MaxMessages || q.bytes > q.Options.MaxBytes)
}

// Spilled are those of ids that may stand in q's store alone.
func (q *Queue) Spilled(ids []ID) (sequences []uint64) {
	for _, id := range ids {
		if q.spilledAt(id.Sequence) {
			sequences = append(sequences, id.Sequence)
		}
	}
	return sequences
}
