package queue

import (
	"strconv"
	"strings"
)

// deadSuffix ends the name of a dead-letter queue that nobody named.
const deadSuffix = ".dead"

// Headers that the switch sets on a dead letter.
const (
	HeaderDeadQueue    = HeaderPrefix + "dead-queue"    // where it died
	HeaderDeadReason   = HeaderPrefix + "dead-reason"   // why, for people
	HeaderDeadAttempts = HeaderPrefix + "dead-attempts" // how often it was tried
	HeaderDeadID       = HeaderPrefix + "dead-id"       // its id there
)

// expire ends a message whose time is up. It is not dead-lettered: it is late,
// not poisonous.
func (s *State) expire(m *Message, fx *Effects) {
	err := errExpired(m)
	if !m.expired(s.now) {
		err = errorf(ErrNotStarted, "nobody began the request on queue %s within %v; start a server, or let it wait longer", quote(m.queue.Name), m.startBy.Sub(m.Sent)).with("queue", m.queue.Name)
	}
	m.queue.counters.Expired++
	s.lose(m, MessageExpired, err, fx)
}

func errExpired(m *Message) *Error {
	return errorf(ErrExpired, "the message expired on queue %s after %v", quote(m.queue.Name), m.Expires.Sub(m.Sent)).with("queue", m.queue.Name)
}

// drop ends a message that an overflow, an operator or its queue's end removed.
func (s *State) drop(m *Message, why error, fx *Effects) {
	m.queue.counters.Dropped++
	s.lose(m, MessageDropped, why, fx)
}

// die ends a message that can't be handled, and keeps it in the dead-letter
// queue.
func (s *State) die(m *Message, why error, fx *Effects) {
	q := m.queue
	q.counters.Dead++
	attempts := m.Attempts
	s.lose(m, MessageDead, why, fx)
	if q.Options.NoDeadLetter {
		return
	}
	d := s.queues[q.Options.DeadLetterQueue]
	if d == nil {
		var err error
		d, err = s.make(q.Options.DeadLetterQueue, Options{Durability: q.Options.Durability, Overflow: DropOldest, MaxAttempts: MaxAttempts, NoDeadLetter: true}, "switch", fx)
		if err != nil { // no room for one more queue: counted above, and traced
			return
		}
	}
	hs := make([]Header, 0, len(m.Headers)+4)
	for _, h := range m.Headers { // those of an earlier death make room
		if !strings.HasPrefix(h.Key, HeaderPrefix) {
			hs = append(hs, h)
		}
	}
	hs = append(hs,
		Header{HeaderDeadQueue, q.Name},
		Header{HeaderDeadReason, why.Error()},
		Header{HeaderDeadAttempts, strconv.Itoa(attempts)},
		Header{HeaderDeadID, m.ID.String()})
	s.makeRoom(d, 1, len(m.Body), fx)
	d.counters.Sent++
	s.enqueue(s.message(Message{ID: s.newID(), Body: m.KeepBody(), Headers: hs, CorrelationID: m.CorrelationID,
		Sender: m.Sender, Sent: s.now, Expires: expiry(s.now, 0, d.Options.MaxAge), maxAttempts: d.Options.MaxAttempts}), d, fx)
}

// lose ends a message without success: its caller is told at once, and what was
// called for it ends too.
func (s *State) lose(m *Message, kind EventKind, why error, fx *Effects) {
	s.note(kind, m, why)
	to, children, id := s.replyQueue(m), s.takeChildren(m), m.ID
	var waiters []waiter
	if m.keyed != nil {
		waiters = m.keyed.waiters
	}
	c := m.holder
	s.remove(m, fx)
	s.fail(waiters, why, fx)
	if to != nil {
		s.answer(to, s.message(Message{CorrelationID: m.CorrelationID, Failure: &Failure{Err: why}, Sender: "switch"}), fx)
	}
	if c != nil {
		s.wake(c, fx)
	}
	s.endChildren(children, id, fx)
}

// discard ends a message of which nobody needs to be told.
func (s *State) discard(m *Message, kind EventKind, fx *Effects) {
	s.note(kind, m, nil)
	c := m.holder
	s.remove(m, fx)
	if c != nil {
		s.wake(c, fx)
	}
}

func (op *Purge) apply(s *State, fx *Effects) error {
	q, err := s.queue(op.Queue)
	if err != nil {
		return err
	}
	if q.Owner != nil {
		return errorf(ErrQueueNotYours, "queue %s is temporary: its replies are its owner's", quote(q.Name)).with("queue", q.Name)
	}
	wanted := make(map[ID]bool, len(op.IDs))
	for _, id := range op.IDs {
		wanted[id] = true
	}
	why := errorf(ErrPurged, "an operator took the message off queue %s", quote(q.Name)).with("queue", q.Name)
	if len(op.IDs) == 0 {
		s.dropRuns(q, why, fx)
	}
	s.each(q, func(m *Message) {
		if wanted[m.ID] || len(op.IDs) == 0 && m.state != leased {
			s.drop(m, why, fx)
			fx.Count++
		}
	})
	for i := range op.Stored {
		if st := &op.Stored[i]; wanted[s.idOf(st.Sequence)] {
			s.dropStored(q, st, why, fx)
		}
	}
	if q.id != 0 && fx.Count > 0 {
		fx.Sync = true
		s.unspilled(q)
		s.dispatch(q, fx) // what lies behind the spilled ones may be next
	}
	if fx.Count == 0 && len(op.IDs) > 0 {
		return errorf(ErrMessageNotFound, "queue %s holds no message %s; it may be done", quote(q.Name), op.IDs[0]).with("queue", q.Name)
	}
	return nil
}

// dropRuns drops all spilled messages of q, unseen.
func (s *State) dropRuns(q *Queue, why error, fx *Effects) {
	if q.spilled == 0 {
		return
	}
	for _, r := range q.runs {
		fx.Changes = append(fx.Changes, Change{Kind: RunGone, Queue: q, First: r.first, Last: r.last})
	}
	s.record(Event{Kind: MessageDropped, Queue: q.Name, Bytes: q.spilledBytes, Err: why})
	q.counters.Dropped += uint64(q.spilled)
	fx.Count += q.spilled
	q.bytes -= q.spilledBytes
	q.runs, q.spilled, q.spilledBytes = nil, 0, 0
	s.uncounted(q)
}

// dropStored drops a spilled message of q. One that has expired is left to the
// sweep: what was read of the disk may be older than the last one.
func (s *State) dropStored(q *Queue, st *Stored, why error, fx *Effects) {
	if st.Expires != 0 && st.Expires <= s.now {
		return
	}
	if m := s.pick(q, st); m != nil {
		q.cut(st.Sequence)
		s.drop(m, why, fx)
		fx.Count++
	}
}
