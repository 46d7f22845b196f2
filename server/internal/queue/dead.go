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
	err := errorf(ErrExpired, "the message expired on queue %s after %v", quote(m.queue.Name), m.Expires.Sub(m.Sent)).with("queue", m.queue.Name)
	m.queue.counters.Expired++
	s.lose(m, MessageExpired, err, fx)
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
	s.enqueue(s.message(Message{ID: s.newID(), Body: m.Body, Headers: hs, CorrelationID: m.CorrelationID,
		Sender: m.Sender, Sent: s.now, Expires: expiry(s.now, 0, d.Options.MaxAge), maxAttempts: d.Options.MaxAttempts}), d, fx)
}

// lose ends a message without success: its caller is told at once.
func (s *State) lose(m *Message, kind EventKind, why error, fx *Effects) {
	s.note(kind, m, why)
	to := s.replyQueue(m)
	c := m.holder
	s.remove(m, fx)
	if to != nil {
		s.answer(to, s.message(Message{CorrelationID: m.CorrelationID, Failure: &Failure{Err: why}, Sender: "switch"}), fx)
	}
	if c != nil {
		s.wake(c, fx)
	}
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
	s.each(q, func(m *Message) {
		if wanted[m.ID] || len(op.IDs) == 0 && m.state != leased {
			s.drop(m, why, fx)
			fx.Count++
		}
	})
	if fx.Count == 0 && len(op.IDs) > 0 {
		return errorf(ErrMessageNotFound, "queue %s holds no message %s; it may be done", quote(q.Name), op.IDs[0]).with("queue", q.Name)
	}
	return nil
}
