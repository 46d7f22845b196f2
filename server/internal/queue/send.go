package queue

import (
	"strings"
	"time"
)

func (op *Send) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	if err := op.check(s); err != nil {
		return err
	}
	if op.Key != "" {
		if first, err := op.joins(s, sess, fx); !first || err != nil {
			return err
		}
	}
	if op.Sequence != 0 {
		if repeated, err := op.repeated(s, sess, fx); repeated || err != nil {
			return err
		}
	}
	q, isNew, err := op.target(s, sess)
	if err != nil {
		return err
	}
	caller, err := op.caller(s, sess)
	if err != nil {
		return err
	}
	parent, err := op.parent(s, sess, caller)
	if err != nil {
		return err
	}
	if err := op.admit(s, q, caller != nil || op.RequireConsumer || op.Key != "" || op.StartWithin != 0); err != nil {
		return err
	}
	if op.Key != "" {
		if err := op.admitKey(s, q, caller); err != nil {
			return err
		}
	}
	if isNew {
		s.link(q, sess.Name, fx)
		fx.Created = true
	}
	op.put(s, sess, q, caller, parent, fx)
	return nil
}

// producer is the one that the sequence counts for.
func (op *Send) producer(sess *Session) string {
	if op.Producer == "" {
		return sess.producer
	}
	return op.Producer
}

// repeated answers a Send that was sent before.
func (op *Send) repeated(s *State, sess *Session, fx *Effects) (bool, error) {
	first, err := s.sentBefore(op.producer(sess), op.Sequence)
	if err != nil || first == 0 {
		return false, err
	}
	fx.ID, fx.Duplicate = s.idOf(first), true
	fx.Sync = first > s.synced && s.limits.DurableAvailable
	if q := s.queues[op.Queue]; q != nil {
		q.counters.Repeats++
		fx.Queue = q
		fx.Sync = fx.Sync && q.id != 0
	}
	return true, nil
}

// sentBefore is repeated for a producer that may not be named.
func (s *State) sentBefore(producer string, sequence uint64) (uint64, error) {
	if producer == "" {
		return 0, errorf(ErrInvalid, "sequence %d has no producer; name one here or at Login", sequence)
	}
	return s.repeated(producer, sequence)
}

// check looks at the fields alone.
func (op *Send) check(s *State) error {
	if n := len(op.Body); n > s.limits.PayloadBytes {
		return errorf(ErrPayloadTooLarge, "the body is %d bytes: this switch takes at most %d", n, s.limits.PayloadBytes).with("limit", "max_payload_bytes")
	}
	if err := checkHeaders(op.Headers); err != nil {
		return err
	}
	if err := checkName("correlation_id", op.CorrelationID); err != nil {
		return err
	}
	if err := inRange("timeout_ms", op.Timeout, time.Millisecond, MaxTimeout); err != nil {
		return err
	}
	if err := inRange("start_ms", op.StartWithin, time.Millisecond, MaxTimeout); err != nil {
		return err
	}
	if err := inRange("max_attempts", op.MaxAttempts, 1, MaxAttempts); err != nil {
		return err
	}
	if err := checkProducer(op.Producer); err != nil {
		return err
	}
	if op.Stream && op.ReplyTo == "" {
		return errorf(ErrInvalid, "a stream needs a reply_to: a temporary queue for the parts of its reply")
	}
	if op.ReplyTo != "" && op.CorrelationID == "" {
		return errorf(ErrInvalid, "reply_to %s needs a correlation_id to tell its replies apart", quote(op.ReplyTo))
	}
	if op.Key != "" || op.KeyTTL != 0 {
		if err := op.checkKey(); err != nil {
			return err
		}
	}
	if s.draining {
		return errShuttingDown()
	}
	return nil
}

func checkHeaders(hs []Header) error {
	if len(hs) > MaxHeaders {
		return errorf(ErrInvalid, "%d headers: at most %d", len(hs), MaxHeaders)
	}
	size := 0
	for _, h := range hs {
		size += len(h.Key) + len(h.Value)
		if err := checkName("header name", h.Key); err != nil {
			return err
		}
		if h.Key == "" || strings.HasPrefix(h.Key, HeaderPrefix) {
			return errorf(ErrInvalid, "header name %s: names are not empty and do not begin with %q, which marks the switch's own", quote(h.Key), HeaderPrefix)
		}
	}
	if size > MaxHeaderBytes {
		return errorf(ErrInvalid, "headers of %d bytes: at most %d in all", size, MaxHeaderBytes)
	}
	return nil
}

// target finds the queue, or a new one that is not linked yet.
func (op *Send) target(s *State, sess *Session) (q *Queue, isNew bool, err error) {
	q, err = s.queueAgain(&sess.sendsTo, op.Queue)
	switch {
	case err != nil && op.Create:
		q, err = s.newQueue(op.Queue, op.CreateOptions)
		return q, true, err
	case err == nil && q.Owner != nil && q.Owner != sess:
		return nil, false, errQueueNotYours(q)
	}
	return q, false, err
}

// caller finds the temporary queue for the reply; nil when no reply is wanted,
// or it goes to a named queue, where nobody waits in person.
func (op *Send) caller(s *State, sess *Session) (*Queue, error) {
	if op.ReplyTo == "" {
		return nil, nil
	}
	r, err := s.queueAgain(&sess.repliesTo, op.ReplyTo)
	switch {
	case err != nil:
		return nil, err
	case r.Owner == nil && op.Stream:
		return s.freeInbox(sess, op.ReplyTo) // which says why not
	case r.Owner == nil:
		return nil, nil
	case r.Owner != sess:
		return nil, errQueueNotYours(r)
	case r.pending[op.CorrelationID] != nil || r.joined[op.CorrelationID] != nil:
		return nil, errCorrelationInUse(r, op.CorrelationID)
	case op.Stream || r.inbox != nil:
		return s.freeInbox(sess, op.ReplyTo)
	}
	return r, nil
}

func errCorrelationInUse(r *Queue, correlationID string) error {
	return errorf(ErrCorrelationInUse, "a request with correlation_id %s is pending; use another", quote(correlationID)).with("queue", r.Name)
}

// admit says whether q takes the message. Memory bounds what stays in memory:
// a durable queue takes what it can put on disk alone.
func (op *Send) admit(s *State, q *Queue, request bool) error {
	if op.RequireConsumer && len(q.consumers) == 0 {
		return errNoConsumer(q)
	}
	n, o := len(op.Body), &q.Options
	if err := s.roomOnDisk(o.Durability); err != nil {
		q.counters.Refused++
		return err
	}
	if n > o.MaxBytes {
		q.counters.Refused++
		return errorf(ErrQueueFull, "the body is %d bytes, and queue %s takes %d in all; raise max_bytes", n, quote(q.Name), o.MaxBytes).with("queue", q.Name).with("limit", "max_bytes")
	}
	if s.bytes+n > s.limits.MemoryBytes && (request || o.Durability != Durable) && !op.makesRoom(q, s.bytes+n-s.limits.MemoryBytes) {
		q.counters.Refused++
		return errorf(ErrLimitReached, "messages take %d bytes, and the switch has memory for %d; retry later", s.bytes, s.limits.MemoryBytes).with("limit", "memory").with("queue", q.Name)
	}
	over := q.count()+1 > o.MaxMessages || q.bytes+n > o.MaxBytes
	if !over || o.Overflow == DropOldest && op.couldDrop(q) {
		return nil
	}
	q.counters.Refused++
	if q.count()+1 > o.MaxMessages {
		return errorf(ErrQueueFull, "queue %s is full (%d messages); retry later or raise max_messages", quote(q.Name), o.MaxMessages).with("queue", q.Name).with("limit", "max_messages")
	}
	return errorf(ErrQueueFull, "queue %s is full (%d of %d bytes); retry later or raise max_bytes", quote(q.Name), q.bytes, o.MaxBytes).with("queue", q.Name).with("limit", "max_bytes")
}

// makesRoom reports whether dropping the oldest messages of q, a memory queue,
// frees n bytes.
func (op *Send) makesRoom(q *Queue, n int) bool {
	return q.Options.Overflow == DropOldest && q.Options.Durability != Durable && q.bytes-q.leasedBytes() >= n
}

// couldDrop reports whether dropping everything that waits makes room.
func (op *Send) couldDrop(q *Queue) bool {
	return q.counts[leased]+q.counts[delayed]+1 <= q.Options.MaxMessages &&
		q.leasedBytes()+len(op.Body) <= q.Options.MaxBytes
}

// leasedBytes are the body bytes that an overflow can't drop.
func (q *Queue) leasedBytes() int {
	n := 0
	for m := q.out.head; m != nil; m = m.next {
		n += len(m.Body)
	}
	return n
}

// put enqueues the message that was admitted.
func (op *Send) put(s *State, sess *Session, q, caller *Queue, parent *Message, fx *Effects) {
	s.makeRoom(q, 1, len(op.Body), fx)
	if parent != nil && (parent.state == gone || parent.callerGone) {
		parent = nil // it has made room, or went with what did
	}
	m := s.newMessage()
	m.ID, m.Sent, m.Sender = s.newID(), s.now, sess.Name
	m.setBody(op.Body, op.BodyLent, op.Buffer)
	m.Headers, m.CorrelationID = op.Headers, op.CorrelationID
	m.requireConsumer, m.maxAttempts = op.RequireConsumer, q.Options.MaxAttempts
	if op.MaxAttempts != 0 {
		m.maxAttempts = op.MaxAttempts
	}
	switch {
	case op.Key != "":
		k := s.newKeyed(op, sess, q, m, fx)
		m.ReplyTo = DetachedReplyTo
		if caller != nil {
			m.ReplyTo = caller.Name
			s.await(k, caller, m.CorrelationID)
		}
	case caller != nil:
		m.ReplyTo, m.caller = caller.Name, caller
		caller.pending[m.CorrelationID] = m
		if !op.Parent.IsZero() {
			s.adopt(m, parent, op.Parent)
		}
		if op.Stream {
			m.Stream = true
			openStream(m)
		}
	case op.ReplyTo != "":
		m.ReplyTo = strings.Clone(op.ReplyTo)
	}
	m.Expires = expiry(s.now, op.Timeout, q.Options.MaxAge)
	if op.StartWithin != 0 {
		m.startBy = s.now.Add(op.StartWithin)
	}
	if op.Sequence != 0 {
		s.remember(op.producer(sess), op.Sequence, m.ID.Sequence, q.id != 0)
	}
	fx.ID, fx.Queue = m.ID, q
	fx.Sync = fx.Sync || q.id != 0
	q.counters.Sent++
	s.enqueue(m, q, fx)
}

// expiry is the earlier of a timeout and a queue's max age; zero for neither.
func expiry(now Instant, timeout, age time.Duration) Instant {
	if age != 0 && (timeout == 0 || age < timeout) {
		timeout = age
	}
	if timeout == 0 {
		return 0
	}
	return now.Add(timeout)
}

// makeRoom drops the oldest waiting messages until some more, of n bytes, fit.
// What is on disk alone is dropped once it is loaded.
func (s *State) makeRoom(q *Queue, more, n int, fx *Effects) {
	if q.Options.Overflow != DropOldest {
		return
	}
	for q.first() != nil && (q.count()+more > q.Options.MaxMessages || q.bytes+n > q.Options.MaxBytes || q.id == 0 && s.bytes+n > s.limits.MemoryBytes) {
		m := q.first()
		s.drop(m, errorf(ErrDropped, "queue %s was full and dropped its oldest message", quote(q.Name)).with("queue", q.Name), fx)
	}
}

// enqueue puts a new message at the end of q.
func (s *State) enqueue(m *Message, q *Queue, fx *Effects) {
	m.queue = q
	q.bytes += len(m.Body)
	s.note(MessageSent, m, nil)
	if q.id != 0 {
		before := q.last
		s.store(m, fx)
		if s.spills(m) {
			s.spill(m, before)
			s.readAhead(q, fx)
			return
		}
	}
	s.inMemory(q, 1, len(m.Body))
	s.put(m, waiting)
	ends := m.waitsUntil()
	if ends == 0 || len(q.runs) > 0 || q.ready.head == nil || q.first() != m { // most often it goes at once
		s.timers.set(&m.timer, ends, m)
		s.dispatch(q, fx)
		return
	}
	s.dispatch(q, fx)
	if m.state == waiting {
		s.timers.set(&m.timer, ends, m)
	}
}

// put gives m, which is nowhere, its place in its queue. Waiting again means
// among the returned; a first time is at the end.
func (s *State) put(m *Message, to messageState) {
	q := m.queue
	switch {
	case to != waiting:
		q.out.push(m)
	case m.seated:
		q.returned.push(m)
	default:
		q.waiting.push(m)
		m.seated = true
	}
	if to != leased && m.requireConsumer {
		q.requiring++
	}
	m.state = to
	q.counts[to]++
}

// lift takes m out of its place, and stops its timer.
func (s *State) lift(m *Message) {
	q := m.queue
	switch {
	case m.state != waiting:
		q.out.remove(m)
	case m.place != 0:
		q.returned.remove(m)
	default:
		q.waiting.remove(m)
	}
	if m.state != leased && m.requireConsumer {
		q.requiring--
	}
	s.timers.stop(&m.timer)
	q.counts[m.state]--
	m.state = gone
}

// remove takes m out of its queue for good. The caller wakes who held it.
func (s *State) remove(m *Message, fx *Effects) {
	if m.state == leased {
		s.unlease(m)
	} else {
		s.lift(m)
	}
	m.queue.bytes -= len(m.Body)
	s.inMemory(m.queue, -1, -len(m.Body))
	if m.Part != 0 {
		s.tookPart(m, fx)
	}
	s.unstore(m, fx)
	s.settleCaller(m, fx)
	if m.kin != nil {
		s.leaveTree(m)
	}
	s.retired = append(s.retired, m)
}

// settleCaller takes m out of its caller's pending requests, or ends its keyed
// call, which was not answered.
func (s *State) settleCaller(m *Message, fx *Effects) {
	if m.keyed != nil {
		s.unanswered(m.keyed, fx)
	}
	if m.caller != nil {
		if m.Stream {
			m.caller.inbox.of.end()
		}
		delete(m.caller.pending, m.CorrelationID)
		m.caller = nil
	}
}
