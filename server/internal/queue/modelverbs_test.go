package queue_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

func (m *model) send(s *mSession, op *queue.Send) error {
	producer := op.Producer
	if producer == "" {
		producer = s.producer
	}
	switch {
	case len(op.Body) > m.limits.PayloadBytes:
		return queue.ErrPayloadTooLarge
	case op.ReplyTo != "" && op.CorrelationID == "", op.Timeout < 0, op.Timeout > 30*24*time.Hour, op.MaxAttempts < 0:
		return queue.ErrInvalid
	case m.draining:
		return queue.ErrShuttingDown
	case op.Sequence != 0 && producer == "":
		return queue.ErrInvalid
	}
	if repeated, err := m.repeated(producer, op); repeated || err != nil {
		return err
	}
	q, err := m.find(op.Queue)
	isNew := err != nil && op.Create
	if isNew {
		if err = m.mayMake(op.Queue, op.CreateOptions); err == nil {
			q = m.newQueue(op.Queue, op.CreateOptions)
			delete(m.queues, op.Queue) // until it is sure
		}
	}
	if err != nil {
		return err
	}
	if q.owner != nil && q.owner != s {
		return queue.ErrQueueNotYours
	}
	caller, err := m.caller(s, op)
	if err != nil {
		return err
	}
	if err := m.admit(q, op, caller != nil || op.RequireConsumer); err != nil {
		return err
	}
	m.queues[q.name] = q
	if isNew {
		m.link(q)
	}
	m.makeRoom(q, len(op.Body))
	x := &mMessage{id: m.newID(), body: op.Body, corr: op.CorrelationID, replyTo: op.ReplyTo, caller: caller,
		maxAttempts: op.MaxAttempts, require: op.RequireConsumer}
	if op.Sequence != 0 {
		m.remember(producer, op.Sequence, x.id, q.id != 0)
	}
	m.out.id, m.out.queue, m.out.created = x.id, q.name, isNew
	m.out.sync = m.out.sync || q.id != 0
	m.enqueue(x, q, op.Timeout)
	return nil
}

// repeated looks for an earlier Send of the same sequence.
func (m *model) repeated(producer string, op *queue.Send) (bool, error) {
	i := slices.IndexFunc(m.producers, func(p *mProducer) bool { return p.name == producer })
	if op.Sequence == 0 || i < 0 || op.Sequence > m.producers[i].high {
		return false, nil
	}
	p := m.producers[i]
	if p.high-op.Sequence >= 4096 {
		return false, queue.ErrSequenceTooOld
	}
	first := p.sent[op.Sequence]
	if first == 0 {
		return false, nil
	}
	m.out.id, m.out.duplicate, m.out.sync = m.idOf(first), true, m.limits.DurableAvailable && first > m.synced
	if q := m.queues[op.Queue]; q != nil && q.owner == nil {
		q.counters.Repeats++
		m.out.queue = q.name
		m.out.sync = m.out.sync && q.id != 0
	}
	return true, nil
}

func (m *model) remember(name string, sequence uint64, id queue.ID, durable bool) {
	p := m.rememberAt(name, sequence, id.Sequence, m.now)
	if durable {
		p.disk[sequence] = true
	}
}

func (m *model) rememberAt(name string, sequence, message uint64, seen queue.Instant) *mProducer {
	p := &mProducer{name: name, sent: map[uint64]uint64{}, disk: map[uint64]bool{}}
	if i := slices.IndexFunc(m.producers, func(p *mProducer) bool { return p.name == name }); i >= 0 {
		p = m.producers[i]
		m.producers = without(m.producers, p)
	} else if len(m.producers) >= m.limits.Producers {
		m.producers = m.producers[1:]
	}
	m.producers = slices.DeleteFunc(m.producers, func(p *mProducer) bool { return m.now.Sub(p.seen) > m.limits.ProducerSilence })
	p.high, p.seen = max(p.high, sequence), seen
	p.sent[sequence] = message
	m.producers = append(m.producers, p)
	return p
}

// caller finds the temporary queue in which the sender waits for the reply.
func (m *model) caller(s *mSession, op *queue.Send) (*mQueue, error) {
	if op.ReplyTo == "" {
		return nil, nil
	}
	r, err := m.find(op.ReplyTo)
	switch {
	case err != nil || r.owner == nil:
		return nil, err
	case r.owner != s:
		return nil, queue.ErrQueueNotYours
	case m.pending(r, op.CorrelationID) != nil:
		return nil, queue.ErrCorrelationInUse
	}
	return r, nil
}

func (m *model) admit(q *mQueue, op *queue.Send, request bool) error {
	if op.RequireConsumer && len(q.consumers) == 0 {
		return queue.ErrNoConsumer
	}
	n := len(op.Body)
	all, stuck := q.bytes()
	// What waits can be dropped, if that is enough.
	drops := q.opts.Overflow == queue.DropOldest
	frees := drops && q.opts.Durability != queue.Durable && m.bytes()-all+stuck+n <= m.limits.MemoryBytes
	makesRoom := drops && len(q.msgs)-q.in(queue.Waiting) < q.opts.MaxMessages && stuck+n <= q.opts.MaxBytes
	var err error
	switch {
	case n > q.opts.MaxBytes:
		err = queue.ErrQueueFull
	case m.bytes()+n > m.limits.MemoryBytes && (request || q.opts.Durability != queue.Durable) && !frees:
		err = queue.ErrLimitReached
	case m.overQueue(q, n) && !makesRoom:
		err = queue.ErrQueueFull
	}
	if err != nil {
		q.counters.Refused++
	}
	return err
}

func (s *mSession) consumer(id queue.ConsumerID) *mConsumer {
	for _, c := range s.consumers {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (m *model) subscribe(s *mSession, op *queue.Subscribe) error {
	switch {
	case op.Credit < 0 || op.Credit > 65536 || op.CreditBytes < 0 || op.Lease != 0 && op.Lease < 100*time.Millisecond:
		return queue.ErrInvalid
	case op.Consumer != 0:
		return m.resume(s, op)
	case wrongService(op):
		return queue.ErrInvalid
	case m.draining:
		return queue.ErrShuttingDown
	case len(s.consumers) >= m.limits.Consumers:
		return queue.ErrLimitReached
	}
	q, err := m.find(op.Queue)
	if err != nil && op.Create {
		if err = m.mayMake(op.Queue, op.CreateOptions); err == nil {
			q = m.newQueue(op.Queue, op.CreateOptions)
			m.link(q)
			m.out.created = true
		}
	}
	if err != nil {
		return err
	}
	if q.owner != nil && q.owner != s {
		return queue.ErrQueueNotYours
	}
	s.lastConsumer++
	c := &mConsumer{id: s.lastConsumer, session: s, queue: q, credit: 1, creditBytes: 64 << 20, lease: q.opts.Lease}
	c.tune(op)
	s.consumers = append(s.consumers, c)
	q.consumers = append(q.consumers, c)
	m.out.queue, m.out.consumer = q.name, c.id
	m.wake(c)
	return nil
}

func (c *mConsumer) tune(op *queue.Subscribe) {
	if op.Credit != 0 {
		c.credit = op.Credit
	}
	if op.CreditBytes != 0 {
		c.creditBytes = op.CreditBytes
	}
	if op.Lease != 0 {
		c.lease = op.Lease
	}
	if op.Service != "" && c.service == "" {
		c.stats = queue.ServiceStats{Delivered: uint64(len(c.held))}
	}
	c.service = cmp.Or(op.Service, c.service)
	if op.Sink != nil {
		c.sink, c.push, c.pull = op.Sink, true, nil
	}
}

// wrongService reports whether op describes no service that there can be.
func wrongService(op *queue.Subscribe) bool {
	return len(op.ServiceInfo) > 16<<10 || op.Service == "" && len(op.ServiceInfo) > 0
}

func (m *model) resume(s *mSession, op *queue.Subscribe) error {
	c := s.consumer(op.Consumer)
	if c == nil {
		return queue.ErrConsumerNotFound
	}
	if wrongService(op) {
		return queue.ErrInvalid
	}
	c.tune(op)
	m.out.queue, m.out.consumer = c.queue.name, c.id
	m.repeat(c, op.AfterLease)
	m.retell(c, true)
	m.wake(c)
	return nil
}

// repeat delivers again what c holds beyond a lease.
func (m *model) repeat(c *mConsumer, after queue.Lease) {
	for _, x := range c.held {
		if after != 0 && x.lease > after {
			m.out.deliveries = append(m.out.deliveries, delivery{c.target(), c, x, x.lease})
		}
	}
}

// orphan takes the caller of a leased request away, and tells its holder.
func (m *model) orphan(x *mMessage) {
	x.caller, x.callerGone, x.untold = nil, true, true
	x.recorded = x.maxAttempts + 1
	m.tell(x)
}

// tell tells the holder of x that its caller is gone, if that can be told now.
func (m *model) tell(x *mMessage) {
	c := x.holder
	sink := c.session.sink
	if c.pull != nil && !c.ended {
		sink = c.pull.sink
	}
	if sink != nil && m.sessions[c.session.id] == c.session {
		m.out.cancelled = append(m.out.cancelled, queue.Cancelled{Sink: sink, Consumer: c.id, Lease: x.lease, Again: !x.untold})
		x.untold = false
	}
}

// retell tells c of what it holds without a caller: all, or what it does not know.
func (m *model) retell(c *mConsumer, all bool) {
	for _, x := range c.held {
		if x.callerGone && (all || x.untold) {
			m.tell(x)
		}
	}
}

func (m *model) unsubscribe(s *mSession, op *queue.Unsubscribe) error {
	c := s.consumer(op.Consumer)
	if c == nil {
		return queue.ErrConsumerNotFound
	}
	m.endConsumer(c)
	m.checkServed(c.queue)
	return nil
}

func (m *model) pullOp(s *mSession, op *queue.Pull) error {
	if op.Messages < 0 || op.Messages > 1024 || op.Bytes < 0 {
		return queue.ErrInvalid
	}
	var cs []*mConsumer
	for _, id := range op.Consumers {
		c := s.consumer(id)
		if c == nil {
			return queue.ErrConsumerNotFound
		}
		cs = append(cs, c)
	}
	for _, c := range s.consumers {
		if len(op.Consumers) == 0 && !c.push {
			cs = append(cs, c)
		}
	}
	if len(cs) == 0 {
		return queue.ErrConsumerNotFound
	}
	for i, c := range cs { // behind the one that was served last
		if c.id == s.pulled {
			cs = append(append([]*mConsumer{}, cs[i+1:]...), cs[:i+1]...)
			break
		}
	}
	p := &mPull{sink: op.Sink, messages: max(1, op.Messages), bytes: op.Bytes}
	if p.bytes == 0 {
		p.bytes = 3 << 20
	}
	s.pulls = append(s.pulls, op.Sink)
	for _, c := range cs {
		c.pull, c.push, c.sink = p, false, nil
		m.repeat(c, op.AfterLease)
		m.retell(c, op.AfterLease != 0)
	}
	if len(m.out.deliveries) > 0 {
		p.messages = 0
	}
	for _, c := range cs {
		m.wake(c)
	}
	return nil
}

func (m *model) closePull(op *queue.ClosePull) error {
	s := m.sessions[op.Session]
	if s == nil {
		return nil
	}
	for _, c := range s.consumers {
		if c.pull != nil && c.pull.sink == op.Sink {
			c.pull = nil
			c.queue.line = without(c.queue.line, c)
		}
	}
	s.pulls, s.seen = without(s.pulls, op.Sink), m.now
	return nil
}

// leases does f for each lease that s holds; a single refusal is the error.
func (m *model) leases(s *mSession, leases []queue.Lease, f func(*mMessage)) error {
	for _, l := range leases {
		x := m.lookup(l)
		var err error
		switch {
		case x == nil:
			err = queue.ErrLeaseGone
		case x.holder.session != s:
			err = queue.ErrLeaseNotYours
		default:
			f(x)
			m.out.count++
			continue
		}
		if len(leases) == 1 {
			return err
		}
		m.out.refused = append(m.out.refused, refused{l, err})
	}
	return nil
}

func (m *model) done(x *mMessage) {
	x.queue.counters.Acked++
	m.discard(x)
}

func (m *model) ack(s *mSession, op *queue.Ack) error {
	c := s.consumer(op.Consumer)
	for _, e := range s.ending {
		if e.id == op.Consumer {
			c = e
		}
	}
	if op.Through != 0 && c == nil {
		return queue.ErrConsumerNotFound
	}
	done := func(x *mMessage) {
		m.count(x, acked)
		m.done(x)
	}
	if err := m.leases(s, op.Leases, done); err != nil {
		return err
	}
	for op.Through != 0 && len(c.held) > 0 && c.held[0].lease <= op.Through {
		done(c.held[0])
		m.out.count++
	}
	m.out.sync = m.out.sync || op.Sync
	return nil
}

func (m *model) nack(s *mSession, op *queue.Nack) error {
	return m.leases(s, op.Leases, func(x *mMessage) {
		switch op.Kind {
		case queue.Retry:
			m.giveBack(x, true, op.Delay, queue.ErrAttemptsExhausted)
		case queue.Release:
			m.giveBack(x, false, 0, nil)
		case queue.Refuse:
			m.die(x, queue.ErrRejected)
		}
	})
}

func (m *model) extend(s *mSession, op *queue.Extend) error {
	return m.leases(s, op.Leases, func(x *mMessage) {
		d := op.Lease
		if d == 0 {
			d = x.holder.lease
		}
		x.leasedTo = m.now.Add(d)
		if x.callerGone {
			x.untold = false
			m.out.callersGone = append(m.out.callersGone, x.lease)
		}
	})
}

func (m *model) reply(s *mSession, op *queue.Reply) error {
	x := m.lookup(op.Lease)
	switch {
	case len(op.Body) > m.limits.PayloadBytes:
		return queue.ErrPayloadTooLarge
	case x == nil:
		return queue.ErrLeaseGone
	case x.holder.session != s:
		return queue.ErrLeaseNotYours
	case x.replyTo == "":
		return queue.ErrNoReplyTo
	}
	to := m.replyQueue(x)
	if len(op.Failure) > 0 {
		x.holder.stats.Failed++
	}
	m.count(x, replied)
	m.done(x)
	if to == nil {
		m.out.replyQueueGone = true
		return nil
	}
	m.answer(to, &mMessage{body: op.Body, corr: x.corr, handler: string(op.Failure)})
	return nil
}

func (m *model) cancel(s *mSession, op *queue.Cancel) error {
	r, err := m.find(op.ReplyTo)
	if err != nil {
		return err
	}
	if r.owner != s {
		return queue.ErrQueueNotYours
	}
	x := m.pending(r, op.CorrelationID)
	switch {
	case x == nil:
	case x.state == queue.Leased:
		m.out.cancel = queue.CancelRunning
		m.orphan(x)
	default:
		m.out.cancel = queue.CancelWithdrawn
		m.discard(x)
	}
	return nil
}
