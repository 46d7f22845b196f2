package queue

import (
	"slices"
	"strconv"
	"time"
)

// deliver leases m, the first of its queue, to c, which is open.
func (s *State) deliver(m *Message, c *Consumer, fx *Effects) {
	q := m.queue
	s.lift(m)
	m.Attempts++
	q.counters.Delivered++
	if m.Attempts > 1 {
		q.counters.Redelivered++
	}
	s.lastLease++
	m.lease, m.holder, m.leasedAt, m.leasedTo = s.lastLease, c, s.now, s.now.Add(c.Lease)
	s.put(m, leased)
	s.leases.put(m.lease, m)
	c.held.push(m)
	c.holding++
	c.heldBytes += len(m.Body)
	c.Session.leases++
	if q.Owner == nil {
		s.held++
	}
	if c.pull != nil {
		c.pull.messages--
		c.pull.taken++
		c.pull.bytes -= len(m.Body)
		c.Session.pulled = c.ID
	}
	s.timers.set(&m.timer, m.heldUntil(), m)
	if m.startBy != 0 && m.Attempts == 1 && q.id != 0 { // a restart is not to say that nobody began it
		m.attemptsStored = true
		fx.Changes = append(fx.Changes, Change{Kind: AttemptsCounted, Queue: q, Message: m, Attempts: m.Attempts})
	}
	fx.Deliveries = append(fx.Deliveries, Delivery{c.target(), c, m, m.lease})
	s.note(MessageDelivered, m, nil)
}

// unlease ends m's lease and takes it out of its queue's order. The caller
// puts it somewhere, and wakes the consumer that held it.
func (s *State) unlease(m *Message) *Consumer {
	c := m.holder
	m.told()
	s.lift(m)
	s.leases.remove(m.lease)
	c.held.remove(m)
	c.holding--
	c.heldBytes -= len(m.Body)
	c.Session.leases--
	if c.Queue.Owner == nil {
		s.held--
	}
	if c.ended && c.holding == 0 {
		i := slices.Index(c.Session.ending, c)
		c.Session.ending = slices.Delete(c.Session.ending, i, i+1)
	}
	m.lease, m.holder, m.leasedAt, m.leasedTo, m.repeated = 0, nil, 0, 0, false
	return c
}

// leaseOf finds the message of a lease that sess holds.
func (s *State) leaseOf(sess *Session, l Lease) (*Message, error) {
	m := s.leases.get(l)
	if m == nil {
		return nil, errorf(ErrLeaseGone, "lease %d has ended: it was acked or nacked, or its time was up; the message may be with another consumer", l).
			with("lease", strconv.FormatUint(uint64(l), 10))
	}
	if m.holder.Session != sess {
		return nil, errorf(ErrLeaseNotYours, "lease %d belongs to another session", l).
			with("lease", strconv.FormatUint(uint64(l), 10))
	}
	return m, nil
}

// forLeases does f for each lease of the session, and collects refusals. A
// single lease's refusal is the Op's error.
func (s *State) forLeases(id SessionID, leases []Lease, fx *Effects, f func(*Message)) error {
	sess, err := s.session(id)
	if err != nil {
		return err
	}
	if len(leases) > MaxLeases {
		return errorf(ErrInvalid, "%d leases in one request: at most %d", len(leases), MaxLeases)
	}
	for _, l := range leases {
		m, err := s.leaseOf(sess, l)
		switch {
		case err == nil:
			f(m)
			fx.Count++
		case len(leases) == 1:
			return err
		default:
			fx.Refused = append(fx.Refused, Refusal{l, err})
		}
	}
	return nil
}

func (op *Ack) apply(s *State, fx *Effects) error {
	if len(op.Leases) == 0 && op.Through == 0 {
		return errNoLeases()
	}
	var through *Consumer
	if op.Through != 0 {
		sess, err := s.session(op.Session)
		if err != nil {
			return err
		}
		if through, err = sess.anyConsumer(op.Consumer); err != nil {
			return err
		}
	}
	err := s.forLeases(op.Session, op.Leases, fx, func(m *Message) { s.done(m, MessageAcked, fx) })
	if err != nil {
		return err
	}
	fx.Sync = fx.Sync || op.Sync
	if through == nil {
		return nil
	}
	for m := through.held.head; m != nil && m.lease <= op.Through; m = through.held.head {
		s.done(m, MessageAcked, fx)
		fx.Count++
	}
	return nil
}

func errNoLeases() error {
	return errorf(ErrInvalid, "the request names no lease; name at least one")
}

// anyConsumer finds a consumer of the session, also one that has ended and
// still holds leases.
func (sess *Session) anyConsumer(id ConsumerID) (*Consumer, error) {
	for _, c := range sess.ending {
		if c.ID == id {
			return c, nil
		}
	}
	return sess.consumer(id)
}

// done ends a leased message for good.
func (s *State) done(m *Message, kind EventKind, fx *Effects) {
	m.queue.counters.Acked++
	s.discard(m, kind, fx)
}

func (op *Extend) apply(s *State, fx *Effects) error {
	if err := inRange("lease_ms", op.Lease, MinLease, MaxLease); err != nil {
		return err
	}
	if len(op.Leases) == 0 {
		return errNoLeases()
	}
	return s.forLeases(op.Session, op.Leases, fx, func(m *Message) {
		d := op.Lease
		if d == 0 {
			d = m.holder.Lease
		}
		m.leasedTo = s.now.Add(d)
		s.timers.set(&m.timer, m.heldUntil(), m)
		if m.callerGone {
			m.told()
			fx.CallersGone = append(fx.CallersGone, m.lease)
		}
	})
}

func (op *Nack) apply(s *State, fx *Effects) error {
	if len(op.Leases) == 0 {
		return errNoLeases()
	}
	if len(op.Cause) > MaxCauseBytes {
		return errorf(ErrInvalid, "cause is %d bytes: at most %d", len(op.Cause), MaxCauseBytes)
	}
	if err := inRange("delay_ms", op.Delay, 0, MaxDelay); err != nil {
		return err
	}
	if op.Delay != 0 && op.Kind != Retry {
		return errorf(ErrInvalid, "delay_ms goes with retry only; leave it out")
	}
	return s.forLeases(op.Session, op.Leases, fx, func(m *Message) {
		switch op.Kind {
		case Retry:
			s.giveBack(m, comeback{counts: true, delay: op.Delay, why: errNacked(m, op.Cause)}, fx)
		case Release:
			s.giveBack(m, comeback{}, fx)
		case Refuse:
			s.die(m, errRejected(m, op.Cause), fx)
		}
	})
}

// comeback says how a leased message returns to its queue.
type comeback struct {
	counts bool // the attempt counts; at the last one the message dies
	delay  time.Duration
	why    error // for what dies, and for the trace; nil: it was given back
	kind   error // what the trace calls it if it does not die; nil: nothing
}

// returned is why a message is back, for the trace: nothing is exhausted yet.
func (how *comeback) returned() error {
	if how.why == nil {
		return nil
	}
	return &Error{Kind: how.kind, Text: how.why.Error()}
}

// giveBack ends m's lease and puts it back to its place, or lets it die.
func (s *State) giveBack(m *Message, how comeback, fx *Effects) {
	switch {
	case m.expired(s.now):
		s.expire(m, fx)
		return
	case m.begun():
		s.drop(m, errStreamBroken(m, how.why), fx)
		return
	case how.counts && m.Attempts >= m.maxAttempts:
		s.die(m, how.why, fx)
		return
	case m.callerGone:
		// Nobody waits for it any more; it is not tried again.
		s.discard(m, MessageCancelled, fx)
		return
	}
	s.note(MessageReturned, m, how.returned())
	if how.counts && m.queue.id != 0 {
		m.attemptsStored = true
		fx.Changes = append(fx.Changes, Change{Kind: AttemptsCounted, Queue: m.queue, Message: m, Attempts: m.Attempts})
	}
	c := s.unlease(m)
	if !how.counts {
		m.Attempts--
	}
	if how.delay > 0 {
		s.put(m, delayed)
		back := s.now.Add(how.delay)
		if m.Expires != 0 {
			back = min(back, m.Expires) // its caller is told in time
		}
		s.timers.set(&m.timer, back, m)
	} else {
		s.comeBack(m)
	}
	s.wake(c, fx)
	if m.requireConsumer && m.state != leased {
		s.checkServed(m.queue, fx)
	}
}

// comeBack puts m, which was out, among the waiting: to its place.
func (s *State) comeBack(m *Message) {
	s.put(m, waiting)
	s.timers.set(&m.timer, m.waitsUntil(), m)
}

// due does what m's deadline means in its state.
func (m *Message) due(s *State, fx *Effects) {
	switch {
	case m.state == leased && m.leasedTo > s.now:
		s.abort(m, errExpired(m), fx)
	case m.state == leased:
		s.giveBack(m, comeback{counts: true, why: errLeaseOver(m), kind: ErrLeaseGone}, fx)
	case m.overdue(s.now):
		s.expire(m, fx)
	default: // delayed
		s.lift(m)
		s.comeBack(m)
		s.dispatch(m.queue, fx)
	}
}

func errNacked(m *Message, cause string) error {
	if cause == "" {
		cause = "no cause given"
	}
	return errorf(ErrAttemptsExhausted, "attempt %d of %d on queue %s failed (%s)", m.Attempts, m.maxAttempts, quote(m.queue.Name), cause).
		with("queue", m.queue.Name).with("cause", cause)
}

func errRejected(m *Message, cause string) error {
	if cause == "" {
		cause = "no cause given"
	}
	return errorf(ErrRejected, "the server of queue %s rejected the message (%s)", quote(m.queue.Name), cause).
		with("queue", m.queue.Name).with("cause", cause)
}

func errLeaseOver(m *Message) error {
	return errorf(ErrAttemptsExhausted, "attempt %d of %d on queue %s failed: its lease of %v ended without an ack",
		m.Attempts, m.maxAttempts, quote(m.queue.Name), m.leasedTo.Sub(m.leasedAt)).with("queue", m.queue.Name)
}

func errServerGone(m *Message) error {
	return errorf(ErrServerGone, "attempt %d of %d on queue %s was lost: the session of its server %s ended",
		m.Attempts, m.maxAttempts, quote(m.queue.Name), quote(m.holder.Session.Name)).with("queue", m.queue.Name)
}
