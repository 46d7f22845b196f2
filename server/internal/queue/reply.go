package queue

import "slices"

// MaxFailureBytes bounds a handler's encoded failure: 16 KiB of details and a
// message of a few lines.
const MaxFailureBytes = 20 << 10

func (op *Reply) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	if n := len(op.Body); n > s.limits.PayloadBytes {
		return errorf(ErrPayloadTooLarge, "the reply is %d bytes: this switch takes at most %d", n, s.limits.PayloadBytes).with("limit", "max_payload_bytes")
	}
	if n := len(op.Failure); n > MaxFailureBytes {
		return errorf(ErrInvalid, "the failure takes %d bytes: at most %d", n, MaxFailureBytes)
	}
	if err := checkHeaders(op.Headers); err != nil {
		return err
	}
	m, err := s.leaseOf(sess, op.Lease)
	if err != nil {
		return err
	}
	if m.ReplyTo == "" {
		return errorf(ErrNoReplyTo, "message %s wants no reply; ack it", m.ID).with("queue", m.queue.Name)
	}
	if op.Parts != 0 && !m.Stream {
		return errorf(ErrNoStream, "message %s was sent without stream; leave parts out of its reply", m.ID).with("queue", m.queue.Name)
	}
	if fx.Broken = op.missing(m); fx.Broken != nil {
		s.drop(m, fx.Broken, fx)
		return nil
	}
	if m.keyed != nil {
		if err := s.roomOnDisk(m.queue.Options.Durability); err != nil {
			return err // the lease stays: it may be answered later
		}
		s.conclude(op, sess, m, fx)
		return nil
	}
	to := s.replyQueue(m)
	if to != nil {
		if err := s.roomOnDisk(to.Options.Durability); err != nil {
			return err // the lease stays: it may be answered later
		}
	}
	op.count(m, s.now)
	s.done(m, MessageReplied, fx)
	if to == nil {
		fx.ReplyQueueGone = true
		return nil
	}
	reply := s.newMessage()
	reply.setBody(op.Body, op.BodyLent, op.Buffer)
	reply.Headers, reply.CorrelationID, reply.Sender = op.Headers, m.CorrelationID, sess.Name
	if len(op.Failure) > 0 {
		reply.Failure = &Failure{Handler: op.Failure}
	}
	s.answer(to, reply, fx)
	return nil
}

// count has the service of m's holder know of a failure.
func (op *Reply) count(m *Message, now Instant) {
	if sv := m.holder.service; sv != nil && len(op.Failure) > 0 {
		sv.Stats.Failed++
		sv.fails(op.FailureText, now)
	}
}

// missing says which parts of m's reply did not get into its caller's inbox; nil when
// it has all. A part may be sent without waiting for its answer: then its sender replies
// before it knows that one was refused. A failure says more of what went wrong.
func (op *Reply) missing(m *Message) error {
	if op.Parts == 0 || len(op.Failure) > 0 || m.caller == nil || m.caller.inbox.Sent == op.Parts {
		return nil
	}
	return errorf(ErrStreamBroken, "the reply on queue %s comes after %d parts, of which the switch took %d: one was refused, and none after it can follow",
		quote(m.queue.Name), op.Parts, m.caller.inbox.Sent).with("queue", m.queue.Name)
}

// Undelivered is what the server of lease l is told when its reply, which was no
// error, did not get to the caller; nil when it did.
func (fx *Effects) Undelivered(l Lease) error {
	if fx.ReplyQueueGone {
		return ErrGone(l)
	}
	return fx.Broken
}

// ErrGone is what the server is told when Effects.ReplyQueueGone is set.
func ErrGone(l Lease) error {
	return errorf(ErrReplyQueueGone, "the caller of lease %d is gone, and its reply queue with it; the request is acked", l)
}

// replyQueue is where a reply to m goes; nil when nobody waits.
func (s *State) replyQueue(m *Message) *Queue {
	if m.caller != nil || m.ReplyTo == "" || m.callerGone {
		return m.caller
	}
	return s.queues[m.ReplyTo]
}

// answer puts a reply into its queue. Limits do not hold for replies: there is
// at most one for each request that was let in.
func (s *State) answer(to *Queue, reply *Message, fx *Effects) {
	reply.ID, reply.Sent, reply.maxAttempts = s.newID(), s.now, to.Options.MaxAttempts
	reply.Expires = expiry(s.now, 0, to.Options.MaxAge)
	to.counters.Sent++
	fx.Sync = fx.Sync || to.id != 0
	s.enqueue(reply, to, fx)
}

func (op *Cancel) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	r, err := s.queue(op.ReplyTo)
	if err != nil {
		return err
	}
	if r.Owner != sess {
		return errorf(ErrQueueNotYours, "queue %s is not a temporary queue of this session", quote(r.Name)).with("queue", r.Name)
	}
	if m := r.pending[op.CorrelationID]; m != nil {
		fx.Cancel = s.cancel(m, fx)
	} else if k := r.joined[op.CorrelationID]; k != nil {
		fx.Cancel = s.leave(k, r, op.CorrelationID, fx)
	}
	return nil
}

// cancel gives up a request for whose reply nobody waits any more. One that waits
// is withdrawn; who holds one that runs is told, and may finish it for nobody. What
// was called for it ends with it.
func (s *State) cancel(m *Message, fx *Effects) CancelState {
	children, id, state := s.takeChildren(m), m.ID, CancelWithdrawn
	if m.state == leased {
		state = CancelRunning
		s.giveUp(m, nil, fx)
	} else {
		s.discard(m, MessageCancelled, fx)
	}
	s.endChildren(children, id, fx)
	return state
}

// AnswerLost reports whether who repeats a request, which first made message id, would
// wait for nothing: an earlier life of the switch has ended it, and the answer is not
// here. The look at the answers is bounded: beyond lookBack that wait, it may be wrong.
func (s *State) AnswerLost(op *Send, id ID) bool {
	r := s.temporary[op.ReplyTo]
	return r != nil && id.Epoch != s.epoch && r.inbox == nil && r.pending[op.CorrelationID] == nil && r.joined[op.CorrelationID] == nil &&
		!r.hasReply(op.CorrelationID)
}

// hasReply says whether a reply to a request waits in q, or is on its way.
func (q *Queue) hasReply(correlationID string) bool {
	looked := 0
	for m := q.waiting.head; m != nil && looked < lookBack; m = m.next {
		if m.CorrelationID == correlationID {
			return true
		}
		looked++
	}
	for _, c := range q.consumers {
		for m := c.held.tail; m != nil && looked < lookBack; m = m.heldPrev {
			if m.CorrelationID == correlationID {
				return true
			}
			looked++
		}
	}
	return slices.ContainsFunc(q.returned, func(m *Message) bool { return m.CorrelationID == correlationID })
}

// givenUp is what a request that runs for nobody has on disk beyond the attempts that
// it may have: a restart ends it, and does not try it again.
const givenUp = 1

// giveUp tells who holds m that nobody waits for its reply any more, and the trace
// why.
func (s *State) giveUp(m *Message, why error, fx *Effects) {
	s.note(MessageAbandoned, m, why)
	s.settleCaller(m, fx)
	s.leaveParent(m)
	m.callerGone, m.untold = true, true
	m.holder.untold++
	if m.timer.at != m.leasedTo {
		s.timers.set(&m.timer, m.leasedTo, m)
	}
	if q := m.queue; q.id != 0 && s.stored[q.id] == q {
		m.attemptsStored = true
		fx.Changes = append(fx.Changes, Change{Kind: AttemptsCounted, Queue: q, Message: m, Attempts: m.maxAttempts + givenUp})
	}
	s.tellCancelled(m.holder, m, fx)
}

// tellCancelled tells c that m, which it holds, was cancelled: on its session's
// stream, or in the answer to its Pull. Without either it is told later.
func (s *State) tellCancelled(c *Consumer, m *Message, fx *Effects) {
	sink := c.Session.sink
	if c.pull != nil && !c.ended {
		sink = c.pull.sink
	}
	if sink == nil || s.sessions[c.Session.ID] != c.Session {
		return
	}
	fx.Cancelled = append(fx.Cancelled, Cancelled{sink, c.ID, m.lease, !m.untold})
	m.told()
}

// told notes that m's holder knows, or need not know, that m was cancelled.
func (m *Message) told() {
	if m.untold {
		m.untold = false
		m.holder.untold--
	}
}

// retell tells c of what it holds and was cancelled: of all of that, or of what it
// does not know.
func (s *State) retell(c *Consumer, all bool, fx *Effects) {
	for m := c.held.head; m != nil && (all || c.untold > 0); m = m.heldNext {
		if m.untold || all && m.callerGone {
			s.tellCancelled(c, m, fx)
		}
	}
}

// requests are the pending requests of a temporary queue, oldest first.
func (q *Queue) requests() []*Message {
	all := make([]*Message, 0, len(q.pending))
	for _, m := range q.pending {
		all = append(all, m)
	}
	sortByAge(all)
	return all
}

// Pending is one request of a session that waits for its reply.
type Pending struct {
	CorrelationID string
	ReplyTo       string
	Queue         string
	Running       bool // somebody holds its lease, or it was answered a moment ago
}

// Pending calls f for each request of the session that waits for its reply,
// oldest first within a reply queue, those with keys last.
func (sess *Session) Pending(f func(Pending)) {
	for _, q := range sess.temporary {
		for _, m := range q.requests() {
			f(Pending{m.CorrelationID, q.Name, m.queue.Name, m.state == leased})
		}
		for _, w := range q.waits() {
			m := w.call.request
			f(Pending{w.correlationID, q.Name, w.call.queue.Name, m == nil || m.state == leased})
		}
	}
}
