package queue

import (
	"slices"
	"time"
)

// Consumer is one subscription of one session to one queue.
type Consumer struct {
	ID      ConsumerID
	Session *Session
	Queue   *Queue
	Credit  int // how many deliveries it will hold
	Lease   time.Duration

	creditBytes int
	holding     int // deliveries
	heldBytes   int
	held        heldList // in the order of their leases
	untold      int      // of what it holds: cancelled, and it does not know
	ended       bool     // no further deliveries; what it holds stays
	service     *Service // what it says that it is; nil: nothing

	// Where deliveries go: pushed to sink, or pulled by one Pull; else nowhere.
	sink any
	push bool
	pull *demand

	ready              bool // in Queue.ready
	readyPrev, readyTo *Consumer
}

// Holding is how many deliveries c holds.
func (c *Consumer) Holding() int { return c.holding }

// demand is what a Pull may still take, shared by its consumers.
type demand struct {
	sink     any
	messages int
	bytes    int
	taken    int
}

// open reports whether c can be given a delivery of some size.
func (c *Consumer) open() bool {
	return !c.ended && (c.push || c.pull != nil && c.pull.messages > 0) && c.holding < c.Credit
}

// fits reports whether c, which is open, can be given n body bytes. One
// delivery always fits.
func (c *Consumer) fits(n int) bool {
	if c.holding > 0 && c.heldBytes+n > c.creditBytes {
		return false
	}
	return c.pull == nil || c.pull.taken == 0 || n <= c.pull.bytes
}

func (op *Subscribe) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	for _, err := range []error{
		inRange("credit", op.Credit, 1, MaxCredit),
		inRange("credit_bytes", op.CreditBytes, 1, MaxCreditBytes),
		inRange("lease_ms", op.Lease, MinLease, MaxLease),
	} {
		if err != nil {
			return err
		}
	}
	if op.Consumer != 0 {
		return op.resume(s, sess, fx)
	}
	if err := op.checkService(s, nil); err != nil {
		return err
	}
	if s.draining {
		return errShuttingDown()
	}
	if n := len(sess.consumers); n >= s.limits.Consumers {
		return errorf(ErrLimitReached, "the session has %d consumers, as many as it may; unsubscribe some", n).with("limit", "consumers")
	}
	q, err := s.queue(op.Queue)
	if err != nil && op.Create {
		if err := s.roomForNew(op.CreateOptions); err != nil {
			return err
		}
		q, err = s.make(op.Queue, op.CreateOptions, sess.Name, fx)
		fx.Created = err == nil
	}
	if err != nil {
		return err
	}
	if q.Owner != nil && q.Owner != sess {
		return errQueueNotYours(q)
	}
	sess.lastConsumer++
	c := &Consumer{ID: sess.lastConsumer, Session: sess, Queue: q, Credit: DefaultCredit, creditBytes: DefaultCreditBytes,
		Lease: q.Options.Lease}
	op.tune(c)
	s.describe(c, op)
	sess.consumers = append(sess.consumers, c)
	q.consumers = append(q.consumers, c)
	q.served, q.unserved = true, 0
	s.changed(sess)
	fx.Queue, fx.Consumer = q, c
	s.wake(c, fx)
	return nil
}

// tune sets what the Op sets.
func (op *Subscribe) tune(c *Consumer) {
	if op.Credit != 0 {
		c.Credit = op.Credit
	}
	if op.CreditBytes != 0 {
		c.creditBytes = op.CreditBytes
	}
	if op.Lease != 0 {
		c.Lease = op.Lease
	}
	if op.Sink != nil {
		c.sink, c.push, c.pull = op.Sink, true, nil
	}
}

// resume binds an existing consumer to a sink and repeats what it missed.
func (op *Subscribe) resume(s *State, sess *Session, fx *Effects) error {
	c, err := sess.consumer(op.Consumer)
	if err != nil {
		return err
	}
	if err := op.checkService(s, c.service); err != nil {
		return err
	}
	op.tune(c)
	s.describe(c, op)
	s.changed(sess)
	fx.Queue, fx.Consumer = c.Queue, c
	if op.AfterLease != 0 {
		c.repeat(op.AfterLease, fx)
	}
	s.retell(c, true, fx)
	s.wake(c, fx)
	return nil
}

// repeat delivers again what c holds beyond a lease.
func (c *Consumer) repeat(after Lease, fx *Effects) {
	for m := c.held.head; m != nil; m = m.heldNext {
		if m.lease > after {
			m.repeated = true
			fx.Deliveries = append(fx.Deliveries, Delivery{c.target(), c, m, m.lease})
		}
	}
}

func (c *Consumer) target() any {
	if c.pull != nil {
		return c.pull.sink
	}
	return c.sink
}

func (op *Unsubscribe) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	c, err := sess.consumer(op.Consumer)
	if err != nil {
		return err
	}
	s.end(c)
	s.checkServed(c.Queue, fx)
	return nil
}

// end takes c off its queue and its session. What it holds stays.
func (s *State) end(c *Consumer) {
	c.ended = true
	c.Queue.ready.remove(c)
	remove := func(list []*Consumer) []*Consumer {
		i := slices.Index(list, c)
		return slices.Delete(list, i, i+1)
	}
	c.Queue.consumers = remove(c.Queue.consumers)
	c.Session.consumers = remove(c.Session.consumers)
	if len(c.Queue.consumers) == 0 {
		c.Queue.unserved = s.now
	}
	s.changed(c.Session)
	s.servicesBytes -= c.service.size()
	c.service = nil // nobody asks any more
	if c.holding > 0 {
		c.Session.ending = append(c.Session.ending, c)
	}
}

// checkServed fails the requests that will not wait for a server once q has
// none.
func (s *State) checkServed(q *Queue, fx *Effects) {
	if len(q.consumers) > 0 || q.requiring == 0 {
		return
	}
	err := errNoConsumer(q)
	s.each(q, func(m *Message) {
		if m.requireConsumer && m.state != leased {
			s.drop(m, err, fx)
		}
	})
}

func errNoConsumer(q *Queue) *Error {
	return errorf(ErrNoConsumer, "nobody serves queue %s; start a server, or send without require_consumer", quote(q.Name)).with("queue", q.Name)
}

func (op *Pull) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	for _, err := range []error{
		inRange("max_messages", op.Messages, 1, MaxTransfer),
		inRange("max_bytes", op.Bytes, 1, MaxTransferBytes),
	} {
		if err != nil {
			return err
		}
	}
	var cs []*Consumer
	for _, id := range op.Consumers {
		c, err := sess.consumer(id)
		if err != nil {
			return err
		}
		cs = append(cs, c)
	}
	if len(op.Consumers) == 0 {
		cs = slices.DeleteFunc(slices.Clone(sess.consumers), func(c *Consumer) bool { return c.push })
	}
	if len(cs) == 0 {
		return errorf(ErrConsumerNotFound, "the session has no consumer to transfer for; subscribe first")
	}
	// Behind the one that was served last, so that a full queue starves no other.
	if i := slices.IndexFunc(cs, func(c *Consumer) bool { return c.ID == sess.pulled }); i >= 0 {
		cs = slices.Concat(cs[i+1:], cs[:i+1])
	}
	d := &demand{sink: op.Sink, messages: max(1, op.Messages), bytes: op.Bytes}
	if d.bytes == 0 {
		d.bytes = DefaultTransferBytes
	}
	sess.pulls++
	sess.schedule(s)
	for _, c := range cs {
		c.pull, c.push, c.sink = d, false, nil
		if op.AfterLease != 0 {
			c.repeat(op.AfterLease, fx)
		}
		s.retell(c, op.AfterLease != 0, fx)
	}
	if len(fx.Deliveries) > 0 {
		d.messages = 0 // what was lost comes alone, so that the answer stays small
	}
	for _, c := range cs {
		s.wake(c, fx)
	}
	return nil
}

func (op *ClosePull) apply(s *State, fx *Effects) error {
	sess := s.sessions[op.Session]
	if sess == nil {
		return nil // it took its pulls with it
	}
	for _, c := range sess.consumers {
		if c.pull != nil && c.pull.sink == op.Sink {
			c.pull = nil
			c.Queue.ready.remove(c)
		}
	}
	sess.pulls--
	sess.seen = s.now
	sess.schedule(s)
	for _, l := range op.Release {
		if m := s.leases.get(l); m != nil && m.holder.Session == sess && !m.repeated {
			s.giveBack(m, comeback{}, fx)
		}
	}
	for _, l := range op.Untold {
		if m := s.leases.get(l); m != nil && m.holder.Session == sess && m.callerGone && !m.untold {
			m.untold = true
			m.holder.untold++
		}
	}
	return nil
}

// wake puts c in line if it can take something, and serves its queue.
func (s *State) wake(c *Consumer, fx *Effects) {
	if c.open() {
		c.Queue.ready.push(c)
	} else {
		c.Queue.ready.remove(c)
	}
	s.dispatch(c.Queue, fx)
}

// dispatch gives waiting messages to ready consumers, oldest message to
// longest idle consumer, until either runs out.
func (s *State) dispatch(q *Queue, fx *Effects) {
	for !s.draining || q.Owner != nil {
		c, m := q.ready.head, q.first()
		if c == nil || m == nil {
			break
		}
		switch {
		case m.overdue(s.now):
			s.expire(m, fx)
		case q.id != 0 && m.ID.Sequence > s.synced:
			return // Synced comes back
		case q.awaits > s.synced:
			return // and here too
		case !c.open() || !c.fits(len(m.Body)):
			q.ready.remove(c)
		default:
			s.deliver(m, c, fx)
			if !c.open() {
				q.ready.remove(c)
			} else if c != q.ready.tail {
				q.ready.remove(c)
				q.ready.push(c)
			}
		}
	}
	if len(q.runs) > 0 {
		s.readAhead(q, fx)
	}
}

// readyList is the line of consumers that can take a delivery.
type readyList struct{ head, tail *Consumer }

func (l *readyList) push(c *Consumer) {
	if c.ready {
		return
	}
	c.ready, c.readyPrev = true, l.tail
	if l.tail == nil {
		l.head = c
	} else {
		l.tail.readyTo = c
	}
	l.tail = c
}

func (l *readyList) remove(c *Consumer) {
	if !c.ready {
		return
	}
	if c.readyPrev == nil {
		l.head = c.readyTo
	} else {
		c.readyPrev.readyTo = c.readyTo
	}
	if c.readyTo == nil {
		l.tail = c.readyPrev
	} else {
		c.readyTo.readyPrev = c.readyPrev
	}
	c.ready, c.readyPrev, c.readyTo = false, nil, nil
}

// heldList is what a consumer holds, in the order of the leases.
type heldList struct{ head, tail *Message }

func (l *heldList) push(m *Message) {
	m.heldPrev = l.tail
	if l.tail == nil {
		l.head = m
	} else {
		l.tail.heldNext = m
	}
	l.tail = m
}

func (l *heldList) remove(m *Message) {
	if m.heldPrev == nil {
		l.head = m.heldNext
	} else {
		m.heldPrev.heldNext = m.heldNext
	}
	if m.heldNext == nil {
		l.tail = m.heldPrev
	} else {
		m.heldNext.heldPrev = m.heldPrev
	}
	m.heldNext, m.heldPrev = nil, nil
}
