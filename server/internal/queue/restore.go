package queue

import (
	"fmt"
	"strings"
	"time"
)

// Kept is what a store has kept of an earlier life: the durable half of the
// state, and the sessions, whose clients may still be there.
type Kept struct {
	Sequence uint64  // no message and no queue has a higher one
	Epochs   []Epoch // with this start's, oldest first
	Queues   []KeptQueue
	Requests []KeptRequest // by sequence
	Keys     []KeptKey
	Sessions []KeptSession // by id
	Windows  []Window      // those of one producer together
}

// KeptQueue is a durable queue.
type KeptQueue struct {
	ID       uint64
	Name     string
	Made     Instant
	Options  Options
	Messages int
	Bytes    int
	Earliest Instant
}

// KeptRequest is a message that somebody waited for in person.
type KeptRequest struct {
	Queue uint64
	Stored
}

// KeptKey is a call with a key: that runs, when its request is among the requests,
// or whose reply is kept.
type KeptKey struct {
	Queue     uint64
	Request   uint64 // the request's sequence
	Key       string
	Principal string
	Digest    [16]byte
	TTL       time.Duration
	Detached  bool

	Answered bool
	Expires  Instant // when the reply is forgotten
	Body     []byte
	Headers  []Header
	Failure  []byte // of a handler that failed
	Sender   string
}

// KeptSession is a session with what it owns.
type KeptSession struct {
	ID           SessionID
	Name         string
	Principal    string
	Producer     string
	TTL, Grace   time.Duration
	Began        Instant
	LastConsumer ConsumerID
	Temporary    []string
	Consumers    []KeptConsumer
}

// KeptConsumer is one subscription.
type KeptConsumer struct {
	ID          ConsumerID
	Queue       string
	Credit      int
	CreditBytes int
	Lease       time.Duration
}

// Restore is the state that a store has kept. Its sessions have lost their
// streams, and have their grace or TTL, whichever is longer, to come back. What
// that causes is in fx. An error says what in k contradicts itself.
func Restore(epoch uint64, limits Limits, now Instant, k *Kept, fx *Effects) (*State, error) {
	fx.reset()
	s := New(epoch, limits)
	s.now, s.sequence, s.synced, s.epochs = now, k.Sequence, k.Sequence, k.Epochs
	for i := range k.Queues {
		if err := s.restoreQueue(&k.Queues[i]); err != nil {
			return nil, err
		}
	}
	for i := range k.Sessions {
		s.restoreSession(&k.Sessions[i])
	}
	s.restoreWindows(k.Windows)
	for i := range k.Keys {
		if err := s.restoreKey(&k.Keys[i]); err != nil {
			return nil, err
		}
	}
	orphans, broken, err := s.restoreRequests(k.Requests)
	if err != nil {
		return nil, err
	}
	for i := range k.Keys {
		if e := s.keyed[s.idOf(k.Keys[i].Request)]; e.restored && e.request == nil {
			return nil, errKeptKey(&k.Keys[i])
		}
	}
	for _, q := range s.stored {
		if q.spilled == 0 && q.spilledBytes != 0 {
			return nil, fmt.Errorf("queue %s counts %d bytes more than its messages have", quote(q.Name), q.spilledBytes)
		}
	}
	for _, m := range orphans {
		s.cancel(m, fx) // their callers gave up
	}
	for _, m := range broken {
		if m.caller != nil {
			s.drop(m, errorf(ErrStreamBroken, "the switch was restarted while a stream on queue %s was under way, which can't be repeated", quote(m.queue.Name)).with("queue", m.queue.Name), fx)
		}
	}
	for i := range k.Queues {
		q := s.stored[k.Queues[i].ID]
		if s.unspilled(q); q.spilled > 0 {
			s.timers.set(&q.timer, q.earliest, q)
		}
	}
	for i := range k.Queues {
		q := s.stored[k.Queues[i].ID]
		s.checkServed(q, fx)
		s.readAhead(q, fx)
	}
	return s, nil
}

func (s *State) restoreQueue(k *KeptQueue) error {
	q := &Queue{Name: k.Name, Options: k.Options, Made: k.Made}
	q.id, q.earliest, q.spilled, q.spilledBytes, q.bytes = k.ID, k.Earliest, k.Messages, k.Bytes, k.Bytes
	switch {
	case k.ID == 0 || k.ID > s.sequence || k.Messages < 0 || k.Bytes < 0:
		return fmt.Errorf("queue %s has number %d of %d, and %d messages of %d bytes", quote(k.Name), k.ID, s.sequence, k.Messages, k.Bytes)
	case s.queues[k.Name] != nil || s.stored[k.ID] != nil:
		return fmt.Errorf("queue %s, number %d, is there twice", quote(k.Name), k.ID)
	}
	if k.Messages > 0 {
		q.runs = []run{{k.ID + 1, s.sequence}}
	}
	s.queues[q.Name], s.stored[q.id] = q, q
	return nil
}

func (s *State) restoreSession(k *KeptSession) {
	sess := &Session{ID: k.ID, Name: k.Name, Principal: k.Principal, TTL: k.TTL, Grace: k.Grace, Began: k.Began,
		producer: k.Producer, lastConsumer: k.LastConsumer, lost: true, seen: s.now.Add(max(0, k.TTL-k.Grace)), stored: true}
	s.sessions[sess.ID] = sess
	for _, name := range k.Temporary {
		s.temporary[name] = newTemporary(sess, name, s.now)
	}
	for _, kc := range k.Consumers {
		q, err := s.queue(kc.Queue)
		if err != nil {
			s.changed(sess) // it was in memory; the client is told when it resumes the consumer
			continue
		}
		c := &Consumer{ID: kc.ID, Session: sess, Queue: q, Credit: kc.Credit, creditBytes: kc.CreditBytes, Lease: kc.Lease}
		sess.consumers = append(sess.consumers, c)
		q.consumers = append(q.consumers, c)
		q.served = true
	}
	sess.schedule(s)
}

// restoreRequests takes the requests back. Orphans are those whose callers'
// sessions are gone, or who gave them up; broken are streams that had begun.
func (s *State) restoreRequests(ks []KeptRequest) (orphans, broken []*Message, err error) {
	all := make(map[ID]*Message, len(ks))
	for i := range ks {
		k := &ks[i]
		q := s.stored[k.Queue]
		if q == nil || q.spilled == 0 || q.spilledBytes < len(k.Body) || !q.spilledAt(k.Sequence) {
			return nil, nil, fmt.Errorf("message %d is in queue %d, which does not count it", k.Sequence, k.Queue)
		}
		m := s.restored(q, &k.Stored)
		m.request, m.seated = true, true
		all[m.ID] = m
		m.state = waiting
		q.waiting.push(m)
		q.counts[waiting]++
		if m.requireConsumer {
			q.requiring++
		}
		s.timers.set(&m.timer, m.waitsUntil(), m)
		q.cut(m.ID.Sequence)
		if m.Attempts >= m.maxAttempts+givenUp {
			orphans = append(orphans, m)
			continue
		}
		r := s.temporary[m.ReplyTo]
		if e := s.keyed[m.ID]; e != nil {
			s.restoreKeyed(e, m, r)
			continue
		}
		switch {
		case r != nil:
			old := r.pending[m.CorrelationID]
			if m.Stream && r.inbox != nil {
				old = r.inbox.of.request // an inbox has one stream
			}
			if old != nil { // was cancelled while it ran
				s.settleCaller(old, nil) // which has no key
				orphans = append(orphans, old)
			}
			if left := r.joined[m.CorrelationID]; left != nil { // else it was not free
				s.takeOut(left, waiter{r, m.CorrelationID})
			}
			m.caller = r
			r.pending[m.CorrelationID] = m
			if m.Stream {
				openStream(m)
			}
			if m.Stream && m.Attempts >= m.maxAttempts {
				broken = append(broken, m)
			}
		case strings.HasPrefix(m.ReplyTo, TemporaryPrefix):
			orphans = append(orphans, m)
		}
	}
	s.restoreTree(ks, all)
	return orphans, broken, nil
}

// restoreTree puts the requests into the tree that they were in: their parents are
// older. A parent that is not there was answered, or is lost with what was in
// memory: who waits for its children finds out by itself.
func (s *State) restoreTree(ks []KeptRequest, all map[ID]*Message) {
	for i := range ks {
		m := all[s.idOf(ks[i].Sequence)]
		parent := ks[i].Parent
		if parent.IsZero() || m.caller == nil {
			continue
		}
		p := all[parent]
		if p != nil && (!parent.Before(m.ID) || p.kin != nil && p.kin.depth+1 >= MaxCallDepth) {
			p = nil // it was none when m was sent, as nobody held it, or it was not there
		}
		s.adopt(m, p, parent)
	}
}
