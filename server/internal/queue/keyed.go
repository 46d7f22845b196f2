package queue

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// Keyed is a call with an idempotency key: known by its queue and its key from
// the first Send until its reply is forgotten. Whoever sends the key meanwhile
// joins it, and is told the same reply.
//
//	         first Send            Reply                TTL over
//	(none) ───────────► running ─────────► answered ─────────────► (none)
//	  ▲                    │
//	  └────────────────────┘ expired, dead, dropped, or cancelled by the last
//	                         who waited: no reply, so nothing is kept
//
// The waiters of a keyed call stand here and not in Message.caller, so that a
// plain call pays nothing for them.
type Keyed struct {
	queue     *Queue
	key       string
	id        ID       // of the request
	principal string   // of who sent it; nobody else may join
	digest    [16]byte // of the request's body
	ttl       time.Duration
	detached  bool   // it goes on when nobody waits
	safe      uint64 // that it is detached is on disk once this sequence is synced; zero in memory
	restored  bool   // so does this, as a restart forgets who has joined

	request *Message // nil: it was answered
	waiters []waiter // who is told of the reply
	// Where each of them stands; nil until one leaves a crowd.
	places  map[waiter]int
	waiting int // what the waiters take of the memory budget, in bytes

	// The reply, once the request was answered.
	body    []byte
	headers []Header
	failure []byte // of a handler that failed; empty: it did not
	sender  string
	expires Instant // when it is forgotten
	synced  uint64  // nobody is told before this sequence is synced; zero in memory
	timer   timer   // expires, once it was told
}

// waiter is one caller who waits for a keyed call.
type waiter struct {
	queue         *Queue // temporary
	correlationID string
}

const (
	// DefaultKeyTTL is how long a reply is kept for its key: longer than any
	// sensible series of retries.
	DefaultKeyTTL = 10 * time.Minute
	// MinKeyTTL leaves time for one retry.
	MinKeyTTL = time.Second
	// MaxKeyTTL is a day: what is retried later than that is retried by people.
	MaxKeyTTL = 24 * time.Hour
	// MaxWaiters bounds how many callers wait for one keyed call.
	MaxWaiters = 10_000
	// DetachedReplyTo is the reply-to of a request that nobody waits for yet. It
	// is no queue, and no queue can be made under it.
	DetachedReplyTo = TemporaryPrefix + "detached"

	// keyCost is what a keyed call takes beside its reply and names.
	keyCost = 512
	// waiterCost is what a waiter takes beside its correlation id.
	waiterCost = 256
	// crowd is how many waiters are looked through for one who leaves.
	crowd = 32
	// All keyed calls may take 1/keysShare of the memory budget before new ones
	// are refused.
	keysShare = 4
)

// Key is m's idempotency key; empty when it has none, or was cancelled.
func (m *Message) Key() string {
	if m.keyed == nil {
		return ""
	}
	return m.keyed.key
}

// DigestOf tells bodies apart, also those that were made to look alike. It takes
// milliseconds for one of a mebibyte, which the State's owner has no time for.
func DigestOf(body []byte) (d [16]byte) {
	sum := sha256.Sum256(body)
	copy(d[:], sum[:])
	return d
}

// weight is what k takes of the memory budget, in bytes.
func (k *Keyed) weight() int {
	n := keyCost + len(k.key) + len(k.principal) + len(k.body) + len(k.failure) + k.waiting
	for _, h := range k.headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// link enters k.
func (s *State) linkKeyed(k *Keyed) {
	if k.queue.keys == nil {
		k.queue.keys = map[string]*Keyed{}
	}
	k.queue.keys[k.key] = k
	s.keyed[k.id] = k
	s.weigh(k.weight())
}

func (s *State) weigh(n int) {
	s.kept += n
	s.bytes += n
}

// newKeyed makes the entry of m, which is about to be enqueued in q.
func (s *State) newKeyed(op *Send, sess *Session, q *Queue, m *Message, fx *Effects) *Keyed {
	k := &Keyed{queue: q, key: strings.Clone(op.Key), id: m.ID, principal: sess.Principal, digest: op.Digest,
		ttl: op.KeyTTL, detached: op.ReplyTo == "", request: m}
	if k.ttl == 0 {
		k.ttl = DefaultKeyTTL
	}
	m.keyed = k
	s.linkKeyed(k)
	s.keepKeyed(k, fx)
	return k
}

// keepKeyed notes that k has to be stored as it is now.
func (s *State) keepKeyed(k *Keyed, fx *Effects) {
	if k.queue.id != 0 {
		fx.Changes = append(fx.Changes, Change{Kind: KeyStored, Queue: k.queue, Keyed: k})
	}
}

// forget takes k out: its key is free.
func (s *State) forget(k *Keyed, fx *Effects) {
	q := k.queue
	delete(q.keys, k.key)
	delete(s.keyed, k.id)
	s.weigh(-k.weight())
	s.timers.drop(&k.timer)
	if q.id != 0 && s.stored[q.id] == q {
		fx.Changes = append(fx.Changes, Change{Kind: KeyGone, Queue: q, Keyed: k})
	}
}

// due forgets a reply whose time is up.
func (k *Keyed) due(s *State, fx *Effects) { s.forget(k, fx) }

// await adds a waiter.
func (s *State) await(k *Keyed, r *Queue, correlationID string) {
	if r.joined == nil {
		r.joined = map[string]*Keyed{}
	}
	r.joined[correlationID] = k
	w := waiter{r, correlationID}
	if k.places != nil {
		k.places[w] = len(k.waiters)
	}
	k.waiters = append(k.waiters, w)
	k.waiting += w.weight()
	s.weigh(w.weight())
}

// weight is what w takes of the memory budget, in bytes.
func (w waiter) weight() int { return waiterCost + len(w.correlationID) }

// place is where w stands among k's waiters. A map tells it in a crowd: else the
// end of a session that waits ten thousand times would take seconds.
func (k *Keyed) place(w waiter) int {
	if k.places == nil && len(k.waiters) > crowd {
		k.places = make(map[waiter]int, len(k.waiters))
		for i, w := range k.waiters {
			k.places[w] = i
		}
	}
	if k.places != nil {
		return k.places[w]
	}
	return slices.Index(k.waiters, w)
}

// takeOut takes one of k's waiters out; the last one takes its place.
func (s *State) takeOut(k *Keyed, w waiter) {
	i, last := k.place(w), len(k.waiters)-1
	k.waiters[i] = k.waiters[last]
	if k.places != nil {
		k.places[k.waiters[i]] = i
		delete(k.places, w)
	}
	k.waiters[last] = waiter{}
	k.waiters = k.waiters[:last]
	k.waiting -= w.weight()
	s.weigh(-w.weight())
	delete(w.queue.joined, w.correlationID)
}

// takeAll takes k's waiters out.
func (s *State) takeAll(k *Keyed) []waiter {
	all := k.waiters
	for _, w := range all {
		delete(w.queue.joined, w.correlationID)
	}
	s.weigh(-k.waiting)
	k.waiters, k.places, k.waiting = nil, nil, 0
	return all
}

// leave takes a waiter away. The request goes with the last one, unless it is
// detached, or others may have waited for it before a restart.
func (s *State) leave(k *Keyed, r *Queue, correlationID string, fx *Effects) CancelState {
	s.takeOut(k, waiter{r, correlationID})
	switch {
	case k.request == nil: // it was answered, and that is on its way to the disk
		return CancelUnknown
	case len(k.waiters) > 0 || k.detached || k.restored:
		return CancelLeft
	}
	return s.cancel(k.request, fx)
}

// unanswered ends the call of a request that will have no reply: those who wait
// are no more its waiters. Who calls it has told them, or will.
func (s *State) unanswered(k *Keyed, fx *Effects) {
	k.request.keyed, k.request = nil, nil
	s.takeAll(k)
	s.forget(k, fx)
}

// conclude keeps the reply to m, and acks m. In memory those who wait are told at
// once; else when it is on disk.
func (s *State) conclude(op *Reply, sess *Session, m *Message, fx *Effects) {
	k, q := m.keyed, m.queue
	s.weigh(-k.weight())
	k.body, k.headers, k.failure, k.sender = op.Body, op.Headers, op.Failure, sess.Name
	if op.BodyLent || op.Buffer != nil {
		k.body = slices.Clone(op.Body)
	}
	if op.Buffer != nil { // it goes as if a message had ended that lay in it
		passing := s.newMessage()
		passing.buffer = op.Buffer
		s.retired = append(s.retired, passing)
	}
	s.weigh(k.weight())
	k.expires = s.now.Add(k.ttl)
	m.keyed, k.request = nil, nil
	op.count(m, s.now)
	s.done(m, MessageReplied, fx)
	if q.id == 0 {
		s.publish(k, fx)
		return
	}
	s.sequence++
	k.synced = s.sequence
	s.keepKeyed(k, fx)
	s.answered = append(s.answered, k)
	fx.Sync = true
}

// publish tells everybody who waits for k, whose reply is safe.
func (s *State) publish(k *Keyed, fx *Effects) {
	s.timers.set(&k.timer, k.expires, k)
	for _, w := range s.takeAll(k) {
		s.tell(k, w, fx)
	}
}

// publishSynced publishes what is on disk by now.
func (s *State) publishSynced(fx *Effects) {
	n := 0
	for n < len(s.answered) && s.answered[n].synced <= s.synced {
		if k := s.answered[n]; s.keyed[k.id] == k { // else its queue was destroyed
			s.publish(k, fx)
		}
		n++
	}
	s.answered = slices.Delete(s.answered, 0, n)
}

// tell delivers k's reply to one waiter.
func (s *State) tell(k *Keyed, w waiter, fx *Effects) {
	reply := s.newMessage()
	reply.Body, reply.Headers, reply.CorrelationID, reply.Sender = k.body, k.headers, w.correlationID, k.sender
	if len(k.failure) > 0 {
		reply.Failure = &Failure{Handler: k.failure}
	}
	s.answer(w.queue, reply, fx)
}

// fail tells waiters that the switch has ended their call.
func (s *State) fail(waiters []waiter, why error, fx *Effects) {
	for _, w := range waiters {
		s.answer(w.queue, s.message(Message{CorrelationID: w.correlationID, Failure: &Failure{Err: why}, Sender: "switch"}), fx)
	}
}

// forgetAll forgets the keyed calls of q, which is being destroyed and has no
// more messages.
func (s *State) forgetAll(q *Queue, why error, fx *Effects) {
	for _, k := range byAge(q.keys) {
		waiters := s.takeAll(k) // of a reply that is not on disk yet
		s.forget(k, fx)
		s.fail(waiters, why, fx)
	}
}

// byAge are the keyed calls of a map, oldest first; those of one age are one.
func byAge(m map[string]*Keyed) []*Keyed {
	all := make([]*Keyed, 0, len(m))
	for _, k := range m {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *Keyed) int {
		return cmp.Or(cmp.Compare(a.id.Epoch, b.id.Epoch), cmp.Compare(a.id.Sequence, b.id.Sequence))
	})
	return slices.Compact(all)
}
