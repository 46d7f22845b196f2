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

	leasedAt  Instant
	prefix    [prefixBytes]byte
	prefixLen uint8
}

// Prefix is the beginning of the payload.
func (e *Event) Prefix() []byte { return e.prefix[:e.prefixLen] }

// Trace is the flight recorder: a ring of the last events.
type Trace struct {
	events []Event
	last   uint64 // number of the newest
}

func newTrace(n int) Trace { return Trace{events: make([]Event, n)} }

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

// Trace is the flight recorder.
func (s *State) Trace() *Trace { return &s.trace }

func (s *State) record(e Event) {
	s.trace.last++
	e.Number, e.At = s.trace.last, s.now
	if e.leasedAt != 0 {
		e.Took = s.now.Sub(e.leasedAt)
	}
	s.trace.events[e.Number%uint64(len(s.trace.events))] = e
}

// event describes m as it is now.
func (m *Message) event(kind EventKind) Event {
	e := Event{Kind: kind, Sender: m.Sender, Queue: m.queue.Name, Message: m.ID, CorrelationID: m.CorrelationID,
		ReplyTo: m.ReplyTo, Attempt: m.Attempts, Bytes: len(m.Body)}
	if m.holder != nil {
		e.Receiver = m.holder.Session.Name
		if kind != MessageDelivered {
			e.leasedAt = m.leasedAt
		}
	}
	e.prefixLen = uint8(copy(e.prefix[:], m.Body))
	return e
}
