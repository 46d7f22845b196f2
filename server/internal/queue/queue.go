package queue

import (
	"slices"
	"strings"
	"time"
)

// Queue is one queue with its messages and consumers.
type Queue struct {
	Name    string
	Owner   *Session // of a temporary queue; nil for a named one
	Options Options
	Made    Instant

	waiting  chain    // first deliveries, in the order of their Sends
	returned returned // redeliveries, all older than waiting
	out      chain    // leased and delayed, in the order in which they left
	counts   [messages]int
	bytes    int
	disk
	requiring int // waiting and delayed messages that need a consumer

	consumers []*Consumer // by subscription, oldest first
	ready     readyList   // those that can take a delivery now, longest idle first
	served    bool        // it has had a consumer
	unserved  Instant     // since when it has none; zero: it has one, or never had
	destroyed bool

	// pending are the requests whose reply goes to this temporary queue, by
	// correlation id.
	pending map[string]*Message
	joined  map[string]*Keyed // the same, of calls with a key; nil until there is one
	keys    map[string]*Keyed // of a named queue, by key; nil until there is one
	// inbox is the half of a stream whose parts come to this temporary queue.
	inbox    *Half
	awaits   uint64 // nothing is delivered before this sequence is synced: see State.begin
	counters Counters
}

// disk is what a durable queue has beside its messages in memory (spill.go).
type disk struct {
	id           uint64 // on disk; zero: the queue is in memory
	last         uint64 // sequence of its newest message
	erased       uint64 // nothing is loaded before this sequence is synced
	waitsSync    bool   // it is in State.unsynced
	dirty        bool   // it is in State.dirt
	loading      bool   // a Load is under way
	reserved     int    // what that may bring into memory
	runs         []run  // where its spilled messages are, oldest first
	spilled      int
	spilledBytes int
	resident     int     // what its messages take in memory
	earliest     Instant // no message expires before; zero: none expires
	// The look for expired messages among the spilled ones.
	timer         timer
	sweepNext     uint64 // sequence; zero: none is under way
	sweepEarliest Instant
}

// Counters count since the queue was made.
type Counters struct {
	Sent, Delivered, Acked, Redelivered      uint64
	Expired, Dead, Dropped, Refused, Repeats uint64
}

// Temporary reports whether a session owns q.
func (q *Queue) Temporary() bool { return q.Owner != nil }

func (q *Queue) count() int {
	return q.counts[waiting] + q.counts[delayed] + q.counts[leased] + q.spilled
}

// first is the message that is delivered next; nil also while that is on disk.
func (q *Queue) first() *Message {
	switch {
	case len(q.returned) > 0:
		return q.returned[0]
	case q.onDisk():
		return nil
	}
	return q.waiting.head
}

func (op *Create) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	if op.Temporary {
		fx.Queue, err = s.makeTemporary(sess, op.Queue, op.Options)
		fx.Created = err == nil
		return err
	}
	if q := s.queues[op.Queue]; q != nil {
		if f := q.Options.conflict(op.Options); f != "" {
			return errorf(ErrQueueExists, "queue %s exists with another %s; leave it out, or destroy the queue first", quote(op.Queue), f).
				with("queue", op.Queue).with("option", f)
		}
		fx.Queue = q
		fx.Sync = q.id > s.synced
		return nil
	}
	if s.draining {
		return errShuttingDown()
	}
	if err := s.roomForNew(op.Options); err != nil {
		return err
	}
	fx.Queue, err = s.make(op.Queue, op.Options, sess.Name, fx)
	fx.Created = err == nil
	return err
}

// make makes a named queue that does not exist.
func (s *State) make(name string, o Options, by string, fx *Effects) (*Queue, error) {
	q, err := s.newQueue(name, o)
	if err == nil {
		s.link(q, by, fx)
	}
	return q, err
}

// newQueue is a queue that is not in the state yet.
func (s *State) newQueue(name string, o Options) (*Queue, error) {
	if err := s.makeable(name, o); err != nil {
		return nil, err
	}
	name = strings.Clone(name)
	o.DeadLetterQueue = strings.Clone(o.DeadLetterQueue)
	return &Queue{Name: name, Options: o.withDefaults(name, &s.limits), Made: s.now}, nil
}

func (s *State) link(q *Queue, by string, fx *Effects) {
	s.queues[q.Name] = q
	if q.Options.Durability == Durable {
		s.sequence++
		q.id = s.sequence
		s.stored[q.id] = q
		s.counted(q)
		fx.Changes = append(fx.Changes, Change{Kind: QueueStored, Queue: q})
		fx.Sync = true
	}
	s.record(Event{Kind: QueueCreated, Queue: q.Name, Sender: by})
}

// makeable says why a queue can't be made.
func (s *State) makeable(name string, o Options) error {
	if err := checkQueueName(name); err != nil {
		return err
	}
	if strings.HasPrefix(name, TemporaryPrefix) {
		return errorf(ErrInvalid, "queue name %s begins with %q, which names temporary queues; choose another", quote(name), TemporaryPrefix)
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.DeadLetterQueue == "" && !o.NoDeadLetter && len(name)+len(deadSuffix) > MaxNameBytes {
		return errorf(ErrInvalid, "queue name %s leaves no room for %q behind it; shorten it, or set dead_letter_queue or no_dead_letter", quote(name), deadSuffix)
	}
	if o.Durability == Durable && !s.limits.DurableAvailable {
		return errorf(ErrNotDurable, "queue %s cannot be durable: the switch has no data directory; ask for memory", quote(name)).with("queue", name)
	}
	return s.roomForQueue()
}

func (s *State) roomForQueue() error {
	if n := len(s.queues) + len(s.temporary); n >= s.limits.Queues {
		return errorf(ErrLimitReached, "there are %d queues, as many as the switch may have; destroy some", n).with("limit", "queues")
	}
	return nil
}

func (s *State) makeTemporary(sess *Session, name string, want Options) (*Queue, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	if n := len(sess.temporary); n >= s.limits.TemporaryQueues {
		return nil, errorf(ErrLimitReached, "the session has %d temporary queues, as many as it may; destroy some", n).with("limit", "temporary_queues")
	}
	if err := s.roomForQueue(); err != nil {
		return nil, err
	}
	q := newTemporary(sess, name, s.now)
	if want.MaxMessages != 0 {
		q.Options.MaxMessages = want.MaxMessages
	}
	if want.MaxBytes != 0 {
		q.Options.MaxBytes = want.MaxBytes
	}
	s.temporary[name] = q
	s.changed(sess)
	return q, nil
}

// newTemporary is a temporary queue that its session knows.
func newTemporary(sess *Session, name string, made Instant) *Queue {
	o := Options{Durability: Memory, MaxMessages: DefaultMessages, MaxBytes: DefaultBytes, Overflow: Reject,
		MaxAttempts: MaxAttempts, NoDeadLetter: true, Lease: MaxLease}
	q := &Queue{Name: name, Owner: sess, Options: o, Made: made, pending: map[string]*Message{}}
	sess.temporary = append(sess.temporary, q)
	return q
}

func (op *Destroy) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	q, err := s.queue(op.Queue)
	if err != nil {
		return err
	}
	if q.Owner != nil && q.Owner != sess {
		return errQueueNotYours(q)
	}
	fx.Count = q.count()
	s.destroy(q, sess.Name, fx)
	return nil
}

// destroy removes q with all in it and tells everybody who waits on it.
func (s *State) destroy(q *Queue, by string, fx *Effects) {
	err := errorf(ErrQueueDestroyed, "queue %s was destroyed", quote(q.Name)).with("queue", q.Name)
	for _, c := range slices.Clone(q.consumers) {
		fx.ConsumersEnded = append(fx.ConsumersEnded, ConsumerEnded{c.target(), c.ID, err})
		s.end(c)
	}
	q.destroyed = true
	// Gone from the maps first: what the dead messages cause must not find it.
	if q.Owner == nil {
		delete(s.queues, q.Name)
		s.unlink(q, fx)
		s.record(Event{Kind: QueueDestroyed, Queue: q.Name, Sender: by})
	} else {
		delete(s.temporary, q.Name)
		q.Owner.disown(q)
		s.changed(q.Owner)
	}
	s.abandon(q, fx)
	if q.inbox != nil {
		q.inbox.close()
	}
	s.each(q, func(m *Message) { s.drop(m, err, fx) })
	s.forgetAll(q, err, fx)
}

// unlink takes a durable queue off the disk.
func (s *State) unlink(q *Queue, fx *Effects) {
	if q.id == 0 {
		return
	}
	delete(s.stored, q.id)
	s.timers.drop(&q.timer)
	s.loaded(q)
	q.counters.Dropped += uint64(q.spilled)
	q.bytes -= q.spilledBytes
	q.runs, q.spilled, q.spilledBytes = nil, 0, 0
	fx.Changes = append(fx.Changes, Change{Kind: QueueGone, Queue: q})
	fx.Sync = true
}

// abandon gives up the requests whose replies were to come to q: those that
// wait are withdrawn, those that run finish without a caller.
func (s *State) abandon(q *Queue, fx *Effects) {
	for _, m := range q.requests() {
		if m.caller == q { // else it has ended with one before it
			s.cancel(m, fx)
		}
	}
	for _, w := range q.waits() {
		if q.joined[w.correlationID] == w.call { // it may have ended with another one
			s.leave(w.call, q, w.correlationID, fx)
		}
	}
}

// each calls f for every message of q, oldest first. f may remove it, and
// others by what that causes.
func (s *State) each(q *Queue, f func(*Message)) {
	for _, m := range q.messages(q.count()) {
		if m.state != gone {
			f(m)
		}
	}
}

// messages are the n oldest messages of q in memory, oldest first.
func (q *Queue) messages(n int) []*Message {
	all := slices.Clone(q.returned)
	for m := q.out.head; m != nil; m = m.next {
		all = append(all, m)
	}
	for m := q.waiting.head; m != nil && len(all) < n+len(q.returned)+q.counts[delayed]+q.counts[leased]; m = m.next {
		all = append(all, m)
	}
	sortByAge(all)
	return all[:min(n, len(all))]
}

func sortByAge(ms []*Message) {
	slices.SortFunc(ms, func(a, b *Message) int {
		if a.ID.Before(b.ID) {
			return -1
		}
		return 1
	})
}

// oldestAge is how long the oldest message has been in q; zero without one.
func (q *Queue) oldestAge(now Instant) time.Duration {
	m := q.first()
	for o := q.out.head; o != nil; o = o.next {
		if m == nil || o.ID.Before(m.ID) {
			m = o
		}
	}
	if m == nil {
		return 0
	}
	return now.Sub(m.Sent)
}

func errQueueNotYours(q *Queue) error {
	return errorf(ErrQueueNotYours, "temporary queue %s belongs to another session", quote(q.Name)).with("queue", q.Name)
}
