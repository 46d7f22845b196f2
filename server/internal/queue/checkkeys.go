package queue

import "fmt"

// checkKeys looks at the calls with keys.
func (s *State) checkKeys(t *tally) error {
	calls, kept := 0, 0
	for _, q := range s.queues {
		for key, k := range q.keys {
			if k.queue != q || k.key != key || s.keyed[k.id] != k {
				return fmt.Errorf("queue %q: the call with key %q stands elsewhere", q.Name, key)
			}
			if err := s.checkKeyed(k); err != nil {
				return fmt.Errorf("queue %q: the call with key %q %w", q.Name, key, err)
			}
			calls++
			kept += k.weight()
			t.timer(&k.timer)
		}
		if len(q.joined) > 0 {
			return fmt.Errorf("queue %q has a name, and waits for calls", q.Name)
		}
	}
	for _, q := range s.temporary {
		for id, k := range q.joined {
			if s.keyed[k.id] != k || !k.awaitedBy(q, id) {
				return fmt.Errorf("queue %q waits under %q for a call that does not know it", q.Name, id)
			}
		}
	}
	t.bytes += kept
	if calls != len(s.keyed) || kept != s.kept {
		return fmt.Errorf("queues have %d calls with keys, of %d bytes; the state says %d, of %d", calls, kept, len(s.keyed), s.kept)
	}
	return nil
}

func (s *State) checkKeyed(k *Keyed) error {
	waiting := 0
	for i, w := range k.waiters {
		waiting += w.weight()
		if at, ok := k.places[w]; k.places != nil && (!ok || at != i) {
			return fmt.Errorf("has a waiter at %d, and looks for it at %d", i, at)
		}
		if s.temporary[w.queue.Name] != w.queue || w.queue.joined[w.correlationID] != k || w.queue.Owner.Principal != k.principal {
			return fmt.Errorf("is awaited by %q, which does not wait", w.queue.Name)
		}
	}
	switch told := k.told(s); {
	case waiting != k.waiting || k.places != nil && len(k.places) != len(k.waiters):
		return fmt.Errorf("has %d waiters of %d bytes, says %d and %d", len(k.waiters), waiting, len(k.places), k.waiting)
	case told != (k.timer.at != 0):
		return fmt.Errorf("was answered (%v), and its timer is %v", told, k.timer.at)
	case told && len(k.waiters) > 0:
		return fmt.Errorf("was answered, and %d wait", len(k.waiters))
	case k.request == nil:
		return nil
	case k.request.keyed != k || k.request.ID != k.id || k.request.queue != k.queue || k.request.state == gone:
		return fmt.Errorf("has another request")
	case len(k.waiters) == 0 && !k.detached && !k.restored:
		return fmt.Errorf("runs for nobody")
	}
	return nil
}

func (k *Keyed) awaitedBy(r *Queue, correlationID string) bool {
	for _, w := range k.waiters {
		if w.queue == r && w.correlationID == correlationID {
			return true
		}
	}
	return false
}
