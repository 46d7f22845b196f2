package queue

import "time"

// EventKind says what a trace event tells.
type EventKind uint8

// The events.
const (
	_ EventKind = iota
	MessageSent
	MessageDelivered
	MessageAcked
	MessageReplied
	MessageReturned
	MessageDead
	MessageExpired
	MessageCancelled
	MessageDropped
	QueueCreated
	QueueDestroyed
	SessionBegan
	SessionOver
	MessageAbandoned // nobody waits for it any more; who holds it is told
)

// prefixBytes is how much of a payload the trace keeps: enough to recognise a
// message, too little to leak one.
const prefixBytes = 48

// Event is one entry of the flight recorder.
type Event struct {
	Number        uint64 // rising by one
	At            Instant
	Kind          EventKind
	Sender        string // the session's name that sent or caused it
	Queue         string
	Receiver      string // the session's name that received or held it
	Message       ID
	CorrelationID string
	ReplyTo       string
	Attempt       int
	Bytes         int
	Took          time.Duration // for what ends a delivery
	Err           error         // why, where there is a why
	Ahead         int           // of MessageSent: how many were in the queue before it

	prefix    [prefixBytes]byte
	prefixLen uint8
}

// Prefix is the beginning of the payload.
func (e *Event) Prefix() []byte { return e.prefix[:e.prefixLen] }

// Trace is the flight recorder: a ring of the last events.
type Trace struct {
	events []Event
	last   uint64 // number of the newest
	next   int    // where the next one goes: last+1 modulo, without the division
}

func newTrace(n int) Trace { return Trace{events: make([]Event, n), next: 1 % n} }

// Last is the number of the newest event; zero when there is none.
func (t *Trace) Last() uint64 { return t.last }

// After copies events after a number into buf, oldest first, until one of them
// is full or ends. Missed is how many were overwritten.
func (t *Trace) After(n uint64, buf []Event) (got int, missed uint64) {
	if kept := uint64(len(t.events)); t.last > kept && n < t.last-kept {
		missed = t.last - kept - n
		n = t.last - kept
	}
	for n < t.last && got < len(buf) {
		n++
		buf[got] = t.events[n%uint64(len(t.events))]
		got++
	}
	return got, missed
}

// slot is the place of the next event, which is numbered and dated. Else it is still
// the one that it replaces.
func (t *Trace) slot(now Instant) *Event {
	e := &t.events[t.next]
	t.last++
	if t.next++; t.next == len(t.events) {
		t.next = 0
	}
	e.Number, e.At = t.last, now
	return e
}

// Trace is the flight recorder.
func (s *State) Trace() *Trace { return &s.trace }

// record notes an event that is about no message.
func (s *State) record(e Event) {
	slot := s.trace.slot(s.now)
	e.Number, e.At = slot.Number, slot.At
	*slot = e
}

// note notes what happened to m, as m is now, and why; nil for no reason. It
// writes in place: a call makes six events.
func (s *State) note(kind EventKind, m *Message, why error) {
	e := s.trace.slot(s.now)
	e.Kind, e.Queue, e.Sender, e.Receiver = kind, m.queue.Name, m.Sender, ""
	e.Message, e.CorrelationID, e.ReplyTo = m.ID, m.CorrelationID, m.ReplyTo
	e.Attempt, e.Bytes, e.Took, e.Err, e.Ahead = m.Attempts, len(m.Body), 0, why, 0
	if kind == MessageSent {
		e.Ahead = m.queue.count()
	}
	if m.holder != nil {
		e.Receiver = m.holder.Session.Name
		if kind != MessageDelivered {
			e.Took = s.now.Sub(m.leasedAt)
		}
		if sv := m.holder.service; sv != nil && kind != MessageAbandoned {
			sv.count(kind, e.Took, why, s.now)
		}
	}
	if len(m.Body) >= prefixBytes {
		e.prefix, e.prefixLen = [prefixBytes]byte(m.Body), prefixBytes // without a call
	} else {
		e.prefixLen = uint8(copy(e.prefix[:], m.Body))
	}
}
