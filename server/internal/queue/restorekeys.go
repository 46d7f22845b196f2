package queue

import "fmt"

func errKeptKey(k *KeptKey) error {
	return fmt.Errorf("the call with key %s, of message %d in queue %d, has no queue or no request, or is there twice", quote(k.Key), k.Request, k.Queue)
}

// restoreKeyed gives a keyed call its request back, and the caller who was its
// first: who has joined it must do so again. So it goes on also without anybody.
func (s *State) restoreKeyed(k *Keyed, m *Message, r *Queue) {
	m.keyed, k.request = k, m
	if r != nil && r.joined[m.CorrelationID] == nil && r.pending[m.CorrelationID] == nil {
		s.await(k, r, m.CorrelationID)
	}
}

// restoreKey takes a keyed call back, before the requests.
func (s *State) restoreKey(k *KeptKey) error {
	q := s.stored[k.Queue]
	if q == nil || q.keys[k.Key] != nil {
		return errKeptKey(k)
	}
	e := &Keyed{queue: q, key: k.Key, id: s.idOf(k.Request), principal: k.Principal, digest: k.Digest, ttl: k.TTL, detached: k.Detached,
		restored: !k.Answered, body: k.Body, headers: k.Headers, failure: k.Failure, sender: k.Sender, expires: k.Expires}
	if s.keyed[e.id] != nil {
		return errKeptKey(k)
	}
	s.linkKeyed(e)
	if k.Answered {
		s.timers.set(&e.timer, max(1, e.expires), e)
	}
	return nil
}
