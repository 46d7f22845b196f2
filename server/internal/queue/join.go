package queue

import (
	"cmp"
	"slices"
)

// Join makes its sender a waiter of a keyed call that runs, or brings it the reply
// that is kept. Nothing is enqueued in the call's queue.
type Join struct {
	Session SessionID
	// ID is the request's message id, as Send has answered it. Zero: the call is
	// named by Queue and Key.
	ID            ID
	Queue, Key    string
	ReplyTo       string // a temporary queue of the session
	CorrelationID string // kept
}

func (op *Join) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	switch {
	case err != nil:
		return err
	case s.draining:
		return errShuttingDown()
	case op.ReplyTo == "" || op.CorrelationID == "":
		return errorf(ErrInvalid, "a Join needs a reply_to and a correlation_id: it is how the reply comes")
	case op.ID.IsZero() == (op.Key == ""):
		return errorf(ErrInvalid, "a Join names its call by message_id, or by queue and key; give one of them")
	}
	if err := checkName("correlation_id", op.CorrelationID); err != nil {
		return err
	}
	k, err := op.find(s)
	if err != nil {
		return err
	}
	return s.join(k, sess, op.ReplyTo, op.CorrelationID, fx)
}

// find is the call that is meant.
func (op *Join) find(s *State) (*Keyed, error) {
	if !op.ID.IsZero() {
		if k := s.keyed[op.ID]; k != nil {
			return k, nil
		}
		return nil, errorf(ErrCallNotFound, "there is no call %s: it had no key, ended without a reply, or the time of its reply is over", op.ID)
	}
	q, err := s.queue(op.Queue)
	if err != nil {
		return nil, err
	}
	if k := q.keys[op.Key]; k != nil {
		return k, nil
	}
	return nil, errorf(ErrCallNotFound, "queue %s knows no call with key %s: it was not sent, ended without a reply, or the time of its reply is over",
		quote(q.Name), quote(op.Key)).with("queue", q.Name).with("key", op.Key)
}

// checkKey looks at what a Send says of its key.
func (op *Send) checkKey() error {
	if op.Key == "" {
		return errorf(ErrInvalid, "key_ttl_ms says how long the reply is kept for a key, and there is no key; give one, or leave it out")
	}
	if op.Digest == [16]byte{} {
		panic("a Send has a key, and no digest of its body") // any body would do
	}
	if op.Stream {
		return errorf(ErrInvalid, "a call with a key can't be a stream: its parts are not kept")
	}
	if err := checkName("key", op.Key); err != nil {
		return err
	}
	return inRange("key_ttl_ms", op.KeyTTL, MinKeyTTL, MaxKeyTTL)
}

// joins answers a Send whose key is known. First: it is not.
func (op *Send) joins(s *State, sess *Session, fx *Effects) (first bool, err error) {
	q := s.queues[op.Queue]
	if q == nil || q.keys[op.Key] == nil {
		return true, nil
	}
	k, producer := q.keys[op.Key], op.producer(sess)
	sent := uint64(1)
	if op.Sequence != 0 {
		if sent, err = s.sentBefore(producer, op.Sequence); err != nil {
			return false, err
		}
	}
	if k.principal == sess.Principal && k.digest != op.Digest {
		return false, errorf(ErrKeyReused, "key %s of queue %s was sent with another body; use a new key for a new request", quote(op.Key), quote(q.Name)).
			with("queue", q.Name).with("key", op.Key)
	}
	if err := s.join(k, sess, op.ReplyTo, op.CorrelationID, fx); err != nil {
		return false, err
	}
	q.counters.Repeats++
	if sent == 0 {
		s.remember(producer, op.Sequence, k.id.Sequence, q.id != 0)
	}
	return false, nil
}

// join makes a caller one of k's waiters, or brings it the reply. Without a
// replyTo the call goes on when nobody waits. To join twice is to join once.
func (s *State) join(k *Keyed, sess *Session, replyTo, correlationID string, fx *Effects) error {
	if k.principal != sess.Principal {
		return errorf(ErrCallNotYours, "the call with that key of queue %s is another principal's", quote(k.queue.Name)).with("queue", k.queue.Name)
	}
	told := k.told(s)
	if replyTo == "" {
		s.detach(k, fx)
	} else if err := s.joinAt(k, sess, replyTo, correlationID, fx); err != nil {
		return err
	}
	fx.ID, fx.Queue, fx.Joined, fx.Answered = k.id, k.queue, true, told
	fx.Sync = fx.Sync || k.queue.id != 0 && max(k.id.Sequence, k.synced) > s.synced
	return nil
}

// told reports whether k was answered, and that may be told.
func (k *Keyed) told(s *State) bool { return k.request == nil && k.synced <= s.synced }

// detach has a call that runs go on when nobody waits for it.
func (s *State) detach(k *Keyed, fx *Effects) {
	if k.request != nil && !k.detached {
		k.detached = true
		if k.queue.id != 0 {
			s.sequence++
			k.safe = s.sequence
			s.keepKeyed(k, fx)
		}
	}
	fx.Sync = fx.Sync || k.safe > s.synced
}

// joinAt has the reply to k come to a temporary queue.
func (s *State) joinAt(k *Keyed, sess *Session, replyTo, correlationID string, fx *Effects) error {
	r, err := s.waitsAt(sess, replyTo, correlationID, k)
	switch {
	case err != nil:
		return err
	case r.joined[correlationID] == k:
		fx.Duplicate = true
	case k.told(s):
		if err := s.roomForReply(r, k); err != nil {
			return err
		}
		s.tell(k, waiter{r, correlationID}, fx)
	case len(k.waiters) >= MaxWaiters:
		return errorf(ErrLimitReached, "%d callers wait for the call with key %s, as many as may; retry later", len(k.waiters), quote(k.key)).
			with("limit", "waiters").with("queue", k.queue.Name)
	case s.kept+(waiter{r, correlationID}).weight() > s.limits.MemoryBytes/keysShare:
		return s.errKept()
	default:
		s.await(k, r, correlationID)
	}
	return nil
}

// waitsAt is the temporary queue of sess to which a keyed call is answered. For k
// it may wait there already.
func (s *State) waitsAt(sess *Session, name, correlationID string, k *Keyed) (*Queue, error) {
	r, err := s.queueAgain(&sess.repliesTo, name)
	switch {
	case err != nil:
		return nil, err
	case r.Owner == nil:
		return nil, errNotTemporary(name)
	case r.Owner != sess:
		return nil, errQueueNotYours(r)
	case r.inbox != nil:
		return nil, errorf(ErrInvalid, "queue %s takes the parts of a stream: a call with a key needs another one", quote(r.Name)).with("queue", r.Name)
	case r.pending[correlationID] != nil || r.joined[correlationID] != nil && r.joined[correlationID] != k:
		return nil, errCorrelationInUse(r, correlationID)
	}
	return r, nil
}

// admitKey says whether q takes a call with a new key.
func (op *Send) admitKey(s *State, q, caller *Queue) error {
	switch {
	case q.Owner != nil:
		return errorf(ErrInvalid, "queue %s is temporary: keys are for queues that outlive their callers", quote(q.Name)).with("queue", q.Name)
	case op.ReplyTo != "" && caller == nil:
		return errNotTemporary(op.ReplyTo)
	}
	return s.roomForKey(q, op)
}

func errNotTemporary(replyTo string) error {
	return errorf(ErrInvalid, "reply_to %s is not a temporary queue: a call with a key is answered to the sessions that wait for it", quote(replyTo)).with("queue", replyTo)
}

// roomForKey says why q takes no new key. A reply that is promised is never
// forgotten to make room.
func (s *State) roomForKey(q *Queue, op *Send) error {
	switch n := keyCost + len(op.Key) + waiterCost + len(op.CorrelationID); {
	case len(q.keys) >= s.limits.Keys:
		q.counters.Refused++
		return errorf(ErrLimitReached, "queue %s has %d calls with keys, running or kept for their retries, as many as it may; retry later, or with a shorter key_ttl_ms", quote(q.Name), len(q.keys)).
			with("limit", "keys").with("queue", q.Name)
	case s.kept+n > s.limits.MemoryBytes/keysShare:
		q.counters.Refused++
		return s.errKept().with("queue", q.Name)
	}
	return nil
}

func (s *State) errKept() *Error {
	return errorf(ErrLimitReached, "replies kept for keys, and those who wait for them, take %d bytes, and the switch has memory for %d; retry later, or with a shorter key_ttl_ms", s.kept, s.limits.MemoryBytes/keysShare).
		with("limit", "kept_replies")
}

// roomForReply says why r takes no copy of a reply that was given before: unlike
// other replies there may be any number of them.
func (s *State) roomForReply(r *Queue, k *Keyed) error {
	n := len(k.body)
	if r.count()+1 > r.Options.MaxMessages || r.bytes+n > r.Options.MaxBytes || s.bytes+n > s.limits.MemoryBytes {
		return errorf(ErrLimitReached, "the reply of %d bytes has no room in %s, or in memory; take what waits there first", n, quote(r.Name)).
			with("limit", "memory").with("queue", r.Name)
	}
	return nil
}

// aWait is one correlation id under which a temporary queue waits for a keyed call.
type aWait struct {
	correlationID string
	call          *Keyed
}

// waits are q's, oldest call first.
func (q *Queue) waits() []aWait {
	all := make([]aWait, 0, len(q.joined))
	for id, k := range q.joined {
		all = append(all, aWait{id, k})
	}
	slices.SortFunc(all, func(a, b aWait) int {
		return cmp.Or(cmp.Compare(a.call.id.Epoch, b.call.id.Epoch), cmp.Compare(a.call.id.Sequence, b.call.id.Sequence),
			cmp.Compare(a.correlationID, b.correlationID))
	})
	return all
}
