package queue_test

import (
	"slices"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// apply does op, as State.Apply does. The error is one of the sentinels.
func (m *model) apply(now queue.Instant, op queue.Op) (outcome, error) {
	m.now, m.out = now, outcome{}
	err := m.do(op)
	return m.out, err
}

func (m *model) do(op queue.Op) error {
	switch op := op.(type) {
	case *queue.Tick:
		return m.tick()
	case *queue.Drain:
		m.draining = true
		return nil
	case *queue.Login:
		return m.login(op)
	case *queue.Detach:
		return m.detach(op)
	case *queue.ClosePull:
		return m.closePull(op)
	case *queue.Purge:
		return m.purge(op)
	case *queue.Synced:
		return m.syncedOp(op)
	case *queue.Fetched:
		return m.fetched(op)
	}
	if malformed(op) {
		return queue.ErrInvalid
	}
	return m.withSession(op)
}

// malformed reports what is wrong whoever asks; it does not renew a session.
func malformed(op queue.Op) bool {
	switch op := op.(type) {
	case *queue.Ack:
		return len(op.Leases) == 0 && op.Through == 0
	case *queue.Nack:
		return len(op.Leases) == 0 || op.Delay < 0 || op.Delay != 0 && op.Kind != queue.Retry
	case *queue.Extend:
		return len(op.Leases) == 0 || op.Lease != 0 && op.Lease < 100*time.Millisecond
	}
	return false
}

// withSession does the operations that need a session, and renew it.
func (m *model) withSession(op queue.Op) error {
	type verb struct {
		session queue.SessionID
		do      func(*mSession) error
	}
	var v verb
	switch op := op.(type) {
	case *queue.Renew:
		v = verb{op.Session, func(*mSession) error { return nil }}
	case *queue.Attach:
		v = verb{op.Session, func(s *mSession) error { return m.attach(s, op) }}
	case *queue.Logout:
		v = verb{op.Session, m.logout}
	case *queue.Create:
		v = verb{op.Session, func(s *mSession) error { return m.create(s, op) }}
	case *queue.Destroy:
		v = verb{op.Session, func(s *mSession) error { return m.destroyOp(s, op) }}
	case *queue.Send:
		v = verb{op.Session, func(s *mSession) error { return m.send(s, op) }}
	case *queue.Subscribe:
		v = verb{op.Session, func(s *mSession) error { return m.subscribe(s, op) }}
	case *queue.Unsubscribe:
		v = verb{op.Session, func(s *mSession) error { return m.unsubscribe(s, op) }}
	case *queue.Pull:
		v = verb{op.Session, func(s *mSession) error { return m.pullOp(s, op) }}
	case *queue.Ack:
		v = verb{op.Session, func(s *mSession) error { return m.ack(s, op) }}
	case *queue.Nack:
		v = verb{op.Session, func(s *mSession) error { return m.nack(s, op) }}
	case *queue.Extend:
		v = verb{op.Session, func(s *mSession) error { return m.extend(s, op) }}
	case *queue.Reply:
		v = verb{op.Session, func(s *mSession) error { return m.reply(s, op) }}
	case *queue.Cancel:
		v = verb{op.Session, func(s *mSession) error { return m.cancel(s, op) }}
	default:
		panic("the model does not know this operation")
	}
	s := m.sessions[v.session]
	if s == nil {
		return queue.ErrSessionEnded
	}
	if !s.attached {
		s.seen, s.lost = m.now, false
	}
	return v.do(s)
}

// tick does what is due, in the order of the deadlines.
func (m *model) tick() error {
	for {
		at, x, s := m.due()
		switch {
		case at == 0 || at > m.now:
			return nil
		case s != nil:
			m.endSession(s, queue.ErrSessionEnded, true)
		case x.state == queue.Leased && x.leasedTo > m.now:
			to := x.caller
			m.orphan(x)
			m.answer(to, &mMessage{corr: x.corr, fail: queue.ErrExpired})
		case x.state == queue.Leased:
			m.giveBack(x, true, 0, queue.ErrAttemptsExhausted)
		case x.expired(m.now):
			m.expire(x)
		default:
			x.state, x.back = queue.Waiting, 0
			m.dispatch(x.queue)
		}
	}
}

func (m *model) login(op *queue.Login) error {
	switch {
	case op.TTL != 0 && op.TTL < time.Second:
		return queue.ErrInvalid
	case m.draining:
		return queue.ErrShuttingDown
	case len(m.sessions) >= m.limits.Sessions:
		return queue.ErrLimitReached
	}
	s := &mSession{id: op.Session, ttl: 30 * time.Second, grace: 10 * time.Second, seen: m.now, producer: op.Producer}
	if op.TTL != 0 {
		s.ttl = op.TTL
	}
	if op.Grace != 0 {
		s.grace = op.Grace
	}
	m.sessions[s.id] = s
	return nil
}

// unbind stops pushing to the session's consumers.
func (s *mSession) unbind() {
	for _, c := range s.consumers {
		if c.push {
			c.push, c.sink = false, nil
			c.queue.line = without(c.queue.line, c)
		}
	}
}

func (m *model) attach(s *mSession, op *queue.Attach) error {
	if s.sink != nil && s.sink != op.Sink {
		m.out.sessionsEnded = append(m.out.sessionsEnded, queue.SessionEnded{Sink: s.sink, Session: s.id, Err: queue.ErrSuperseded})
		s.unbind()
	}
	s.attached, s.sink, s.lost = true, op.Sink, false
	return nil
}

func (m *model) detach(op *queue.Detach) error {
	s := m.sessions[op.Session]
	if s != nil && s.sink == op.Sink {
		s.unbind()
		s.attached, s.sink, s.lost, s.seen = false, nil, true, m.now
	}
	return nil
}

func (m *model) logout(s *mSession) error {
	m.endSession(s, queue.ErrSessionEnded, false)
	return nil
}

// endSession: consumers and temporary queues go, and deliveries return.
func (m *model) endSession(s *mSession, why error, counts bool) {
	delete(m.sessions, s.id)
	m.out.sessionsEnded = append(m.out.sessionsEnded, queue.SessionEnded{Sink: s.sink, Session: s.id, Err: why})
	for _, c := range s.consumers {
		if c.pull != nil {
			m.out.consumersEnded = append(m.out.consumersEnded, queue.ConsumerEnded{Sink: c.pull.sink, Consumer: c.id, Err: why})
		}
	}
	var served []*mQueue
	for _, c := range reversed(s.consumers) {
		served = append(served, c.queue)
		m.endConsumer(c)
	}
	for _, q := range reversed(s.temporary) {
		m.destroy(q)
	}
	for len(s.ending) > 0 {
		m.giveBack(s.ending[0].held[0], counts, 0, queue.ErrServerGone)
	}
	for _, q := range served {
		m.checkServed(q)
	}
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// endConsumer stops deliveries to c; what it holds stays.
func (m *model) endConsumer(c *mConsumer) {
	c.ended = true
	c.queue.line = without(c.queue.line, c)
	c.queue.consumers = without(c.queue.consumers, c)
	c.session.consumers = without(c.session.consumers, c)
	if len(c.held) > 0 {
		c.session.ending = append(c.session.ending, c)
	}
}

func (m *model) newQueue(name string, o queue.Options) *mQueue {
	def := queue.Options{Durability: o.Durability, MaxMessages: 1_000_000, MaxBytes: 1 << 30, MaxAge: o.MaxAge,
		Overflow: queue.Reject, MaxAttempts: 5, NoDeadLetter: o.NoDeadLetter, Lease: 30 * time.Second}
	if !o.NoDeadLetter {
		def.DeadLetterQueue = name + ".dead"
	}
	if o.Durability == queue.DefaultDurability {
		def.Durability = queue.Memory
	}
	if o.MaxMessages != 0 {
		def.MaxMessages = o.MaxMessages
	}
	if o.MaxBytes != 0 {
		def.MaxBytes = o.MaxBytes
	}
	if o.Overflow != 0 {
		def.Overflow = o.Overflow
	}
	if o.MaxAttempts != 0 {
		def.MaxAttempts = o.MaxAttempts
	}
	if o.DeadLetterQueue != "" {
		def.DeadLetterQueue = o.DeadLetterQueue
	}
	if o.Lease != 0 {
		def.Lease = o.Lease
	}
	q := &mQueue{name: name, opts: def}
	m.queues[name] = q
	return q
}

// mayMake says why a named queue can't be made.
func (m *model) mayMake(name string, o queue.Options) error {
	switch {
	case name == "" || len(name) > 255 || len(name) >= 4 && name[:4] == "tmp.", o.Lease != 0 && o.Lease < 100*time.Millisecond:
		return queue.ErrInvalid
	case o.Durability == queue.Durable && !m.limits.DurableAvailable:
		return queue.ErrNotDurable
	case len(m.queues) >= m.limits.Queues:
		return queue.ErrLimitReached
	}
	return nil
}

func (m *model) find(name string) (*mQueue, error) {
	if q := m.queues[name]; q != nil {
		return q, nil
	}
	if name == "" || len(name) > 255 {
		return nil, queue.ErrInvalid
	}
	return nil, queue.ErrQueueNotFound
}

func (m *model) create(s *mSession, op *queue.Create) error {
	if op.Temporary {
		if len(s.temporary) >= m.limits.TemporaryQueues || len(m.queues) >= m.limits.Queues {
			return queue.ErrLimitReached
		}
		q := m.newQueue(op.Queue, queue.Options{NoDeadLetter: true, MaxAttempts: queue.MaxAttempts, Lease: 12 * time.Hour})
		q.owner = s
		s.temporary = append(s.temporary, q)
		m.out.created, m.out.queue = true, q.name
		return nil
	}
	if q := m.queues[op.Queue]; q != nil && q.owner == nil {
		want, has := op.Options, q.opts
		differs := want.MaxMessages != 0 && want.MaxMessages != has.MaxMessages ||
			want.MaxBytes != 0 && want.MaxBytes != has.MaxBytes ||
			want.MaxAge != 0 && want.MaxAge != has.MaxAge ||
			want.Overflow != 0 && want.Overflow != has.Overflow ||
			want.MaxAttempts != 0 && want.MaxAttempts != has.MaxAttempts ||
			want.DeadLetterQueue != "" && want.DeadLetterQueue != has.DeadLetterQueue ||
			want.NoDeadLetter && !has.NoDeadLetter ||
			want.Lease != 0 && want.Lease != has.Lease ||
			want.Durability != 0 && want.Durability != has.Durability
		if differs {
			return queue.ErrQueueExists
		}
		m.out.queue, m.out.sync = q.name, q.id > m.synced
		return nil
	}
	if m.draining {
		return queue.ErrShuttingDown
	}
	if err := m.mayMake(op.Queue, op.Options); err != nil {
		return err
	}
	m.link(m.newQueue(op.Queue, op.Options))
	m.out.created, m.out.queue = true, op.Queue
	return nil
}

func (m *model) destroyOp(s *mSession, op *queue.Destroy) error {
	q, err := m.find(op.Queue)
	if err != nil {
		return err
	}
	if q.owner != nil && q.owner != s {
		return queue.ErrQueueNotYours
	}
	m.out.count = len(q.msgs)
	m.destroy(q)
	return nil
}

// destroy removes q with all in it. Requests whose replies were to come to q
// are withdrawn, or finish without a caller.
func (m *model) destroy(q *mQueue) {
	for _, c := range slices.Clone(q.consumers) {
		m.out.consumersEnded = append(m.out.consumersEnded, queue.ConsumerEnded{Sink: c.target(), Consumer: c.id, Err: queue.ErrQueueDestroyed})
		m.endConsumer(c)
	}
	waiting := m.requests(q)
	delete(m.queues, q.name)
	m.out.sync = m.out.sync || q.id != 0
	if q.owner != nil {
		q.owner.temporary = without(q.owner.temporary, q)
	}
	for _, x := range waiting {
		if x.state == queue.Leased {
			m.orphan(x)
		} else {
			x.caller = nil
			m.discard(x)
		}
	}
	for _, x := range slices.Clone(q.msgs) {
		if !x.spilled { // the others go unseen
			m.drop(x, queue.ErrQueueDestroyed)
		}
	}
}

func (m *model) purge(op *queue.Purge) error {
	q, err := m.find(op.Queue)
	if err != nil {
		return err
	}
	if q.owner != nil {
		return queue.ErrQueueNotYours
	}
	if len(op.IDs) == 0 {
		m.forgetSpilled(q)
	}
	for _, x := range slices.Clone(q.msgs) {
		all := len(op.IDs) == 0 && x.state != queue.Leased
		if !x.spilled && x.state != 0 && (all || slices.Contains(op.IDs, x.id)) {
			m.drop(x, queue.ErrPurged)
			m.out.count++
		}
	}
	m.purgeStored(q, op)
	if q.id != 0 && m.out.count > 0 {
		m.out.sync = true
		m.dispatch(q)
	}
	if m.out.count == 0 && len(op.IDs) > 0 {
		return queue.ErrMessageNotFound
	}
	return nil
}
