package queue

import (
	"fmt"
	"slices"
)

// Check says which invariant of the state is broken; nil when all hold. Tests
// call it after every step. It takes time in proportion to the state.
func (s *State) Check() error {
	t := tally{leases: map[Lease]bool{}, sessions: map[*Session]int{}, consumers: map[*Consumer]int{}}
	for _, qs := range []map[string]*Queue{s.queues, s.temporary} {
		for name, q := range qs {
			if name != q.Name || (q.Owner != nil) != (s.temporary[name] == q) {
				return fmt.Errorf("queue %q stands under the name %q", q.Name, name)
			}
			if err := s.checkQueue(q, &t); err != nil {
				return fmt.Errorf("queue %q: %w", q.Name, err)
			}
		}
	}
	if err := s.checkKeys(&t); err != nil {
		return err
	}
	if t.bytes != s.bytes || t.resident != s.resident || t.reserved != s.reserved {
		return fmt.Errorf("bodies take %d bytes, durable messages %d, and Loads %d; the state says %d, %d and %d",
			t.bytes, t.resident, t.reserved, s.bytes, s.resident, s.reserved)
	}
	if len(t.leases) != s.leases.n {
		return fmt.Errorf("%d leases in queues, %d in the table", len(t.leases), s.leases.n)
	}
	if t.parents != len(s.parents) {
		return fmt.Errorf("%d messages are in the table of parents, %d know it", len(s.parents), t.parents)
	}
	if p := s.latest; p != nil && s.producers[p.name] != p {
		return fmt.Errorf("producer %q was looked up, and is forgotten", p.name)
	}
	return s.checkRest(&t)
}

// tally is what checkQueue counts, to be compared with what others say.
type tally struct {
	bytes     int
	running   int // timers
	slots     int // theirs
	lost      int // timers without one, which never come
	parents   int
	resident  int
	reserved  int
	leases    map[Lease]bool
	sessions  map[*Session]int // leases
	consumers map[*Consumer]int
	services  int // bytes
}

func (s *State) checkQueue(q *Queue, t *tally) error {
	var counts [messages]int
	bytes, requiring := 0, 0
	var last ID
	for i, m := range q.messages(q.count()) {
		if i > 0 && !last.Before(m.ID) {
			return fmt.Errorf("message %v is there twice", m.ID)
		}
		last = m.ID
		counts[m.state]++
		bytes += len(m.Body)
		if m.state != leased && m.requireConsumer {
			requiring++
		}
		if err := s.checkMessage(q, m, t); err != nil {
			return fmt.Errorf("message %v: %w", m.ID, err)
		}
	}
	switch {
	case counts != q.counts || bytes+q.spilledBytes != q.bytes || requiring != q.requiring:
		return fmt.Errorf("has %v messages of %d bytes, says %v of %d", counts, bytes, q.counts, q.bytes)
	case len(q.returned) > 0 && q.waiting.head != nil && !last.IsZero() && !q.returned.oldestBefore(q.waiting.head):
		return fmt.Errorf("a returned message is younger than a first one")
	}
	t.bytes += bytes
	if err := s.checkInbox(q); err != nil {
		return err
	}
	if err := s.checkDisk(q, bytes, t); err != nil {
		return err
	}
	for _, c := range q.consumers {
		if c.Queue != q || c.ended || s.sessions[c.Session.ID] != c.Session {
			return fmt.Errorf("consumer %d does not belong to it", c.ID)
		}
		// A consumer whose Pull was used up by another steps out on its turn.
		if c.ready && !c.open() && c.pull == nil {
			return fmt.Errorf("consumer %d is in line and can take nothing", c.ID)
		}
		if c.pull != nil && c.pull.taken > 0 {
			continue // the Pull is about to be answered, and may leave the rest
		}
		if m := q.first(); m != nil && !s.draining && c.open() && c.fits(len(m.Body)) && c.holding == 0 && !m.overdue(s.now) && q.awaits <= s.synced && (q.id == 0 || m.ID.Sequence <= s.synced) {
			return fmt.Errorf("message %v waits beside the idle consumer %d", m.ID, c.ID)
		}
	}
	return nil
}

// checkInbox looks at the half of a stream whose parts come to q.
func (s *State) checkInbox(q *Queue) error {
	if (q.awaits > s.synced) != slices.Contains(s.awaiting, q) {
		return fmt.Errorf("it awaits sequence %d, of %d synced: Synced has it wrong", q.awaits, s.synced)
	}
	h := q.inbox
	if h == nil {
		return nil
	}
	st := h.of
	m, parts, full, bytes := st.request, uint64(0), 0, 0
	for _, p := range q.messages(q.count()) {
		if p.Part != 0 {
			parts++
			bytes += len(p.Body)
			full += min(1, len(p.Body))
		}
	}
	switch {
	case h.queue != q || h != &st.toCaller && h != &st.toHolder || m.state == gone || !m.Stream || m.caller != st.toCaller.queue:
		return fmt.Errorf("is the inbox of a stream of request %v, which does not know", m.ID)
	case h == &st.toHolder && (!m.begun() || m.holder.Session != q.Owner):
		return fmt.Errorf("takes parts for request %v, which its owner does not hold", m.ID)
	case m.state != leased && st.toCaller.Sent > 0:
		return fmt.Errorf("has parts of request %v, which waits", m.ID)
	case h.Sent-h.TakenParts != parts || full > 1 && bytes > h.WindowBytes || parts > uint64(h.WindowParts+2):
		return fmt.Errorf("has %d parts of %d bytes; %d of %d were taken, and the window is %d of %d bytes", parts, bytes, h.TakenParts, h.Sent, h.WindowParts, h.WindowBytes)
	case h.toldParts > h.TakenParts || h.toldBytes > h.TakenBytes:
		return fmt.Errorf("told of %d parts of %d bytes when %d of %d were taken", h.toldParts, h.toldBytes, h.TakenParts, h.TakenBytes)
	}
	return nil
}

// checkDisk looks at what a durable queue has beside its messages in memory.
func (s *State) checkDisk(q *Queue, bytes int, t *tally) error {
	if (q.id != 0) != (q.Options.Durability == Durable) || q.id != 0 && s.stored[q.id] != q {
		return fmt.Errorf("its number on disk is %d", q.id)
	}
	if q.id == 0 {
		return nil
	}
	t.resident += bytes + messageCost*(q.count()-q.spilled)
	t.reserved += q.reserved
	t.timer(&q.timer)
	last := uint64(0)
	for _, r := range q.runs {
		if r.first <= last || r.last < r.first || r.last > s.sequence {
			return fmt.Errorf("its runs are %v", q.runs)
		}
		last = r.last
	}
	switch {
	case q.resident != bytes+messageCost*(q.count()-q.spilled):
		return fmt.Errorf("%d messages of %d bytes are in memory, and take %d", q.count()-q.spilled, bytes, q.resident)
	case q.spilled < 0 || q.spilledBytes < 0 || (q.spilled > 0) != (len(q.runs) > 0):
		return fmt.Errorf("%d messages of %d bytes are spilled to %v", q.spilled, q.spilledBytes, q.runs)
	}
	if max(q.last, q.erased) > s.synced && !slices.Contains(s.unsynced, q) {
		return fmt.Errorf("nobody looks at it once %d is synced", q.last)
	}
	if err := s.checkLoading(q); err != nil {
		return err
	}
	for m := q.waiting.head; m != nil; m = m.next {
		if q.spilledAt(m.ID.Sequence) || m.next != nil && !m.ID.Before(m.next.ID) {
			return fmt.Errorf("message %v is out of order, or is where spilled ones are", m.ID)
		}
	}
	return nil
}

// checkLoading looks for a queue that waits for a Load that nobody asked for.
func (s *State) checkLoading(q *Queue) error {
	if q.loading || len(q.runs) == 0 || q.erased > s.synced || q.runs[0].first > s.synced {
		return nil
	}
	idle := !s.draining && slices.ContainsFunc(q.consumers, func(c *Consumer) bool { return c.open() && c.holding == 0 && c.pull == nil })
	if q.onDisk() && (idle || q.overflows()) {
		return fmt.Errorf("its next message is on disk, at %v, and nobody loads it", q.runs)
	}
	if messages, _ := s.wants(q); messages == 0 && q.sweepNext != 0 {
		return fmt.Errorf("nobody goes on with the look for expired messages at %d", q.sweepNext)
	}
	return nil
}

// oldestBefore reports whether every returned message is older than m.
func (r returned) oldestBefore(m *Message) bool {
	for _, o := range r {
		if !o.ID.Before(m.ID) {
			return false
		}
	}
	return true
}

func (s *State) checkMessage(q *Queue, m *Message, t *tally) error {
	if m.queue != q {
		return fmt.Errorf("belongs to queue %q", m.queue.Name)
	}
	t.timer(&m.timer)
	if (m.timer.at != 0) != (m.state != waiting || m.waitsUntil() != 0) {
		return fmt.Errorf("in state %d its timer is %v", m.state, m.timer.at)
	}
	if m.Stream && m.caller != nil && (m.caller.inbox == nil || m.caller.inbox.of.request != m) {
		return fmt.Errorf("its caller %q knows no stream of it", m.caller.Name)
	}
	if m.Stream && m.caller != nil {
		if to := m.caller.inbox.of.toHolder.queue; to != nil && (to.destroyed || to.inbox != &m.caller.inbox.of.toHolder) {
			return fmt.Errorf("its parts go to queue %q, which does not take them", to.Name)
		}
	}
	if m.caller != nil && (m.caller.pending[m.CorrelationID] != m || s.temporary[m.caller.Name] != m.caller) {
		return fmt.Errorf("its caller %q does not wait for it", m.caller.Name)
	}
	if m.keyed != nil && (m.keyed.request != m || m.keyed.queue != q || m.caller != nil || m.callerGone) {
		return fmt.Errorf("the call with key %q is another message's", m.keyed.key)
	}
	if err := s.checkKin(m, t); err != nil {
		return err
	}
	if m.state != leased {
		if m.lease != 0 || m.holder != nil {
			return fmt.Errorf("is not leased but has a lease")
		}
		return nil
	}
	if s.leases.get(m.lease) != m || m.holder == nil || m.holder.Queue != q || s.sessions[m.holder.Session.ID] == nil {
		return fmt.Errorf("its lease %d is nobody's", m.lease)
	}
	if m.Attempts < 1 || m.Attempts > m.maxAttempts {
		return fmt.Errorf("attempt %d of %d", m.Attempts, m.maxAttempts)
	}
	t.leases[m.lease] = true
	t.sessions[m.holder.Session]++
	t.consumers[m.holder]++
	return nil
}

// checkKin looks at a message's place in the tree of calls.
func (s *State) checkKin(m *Message, t *tally) error {
	k := m.kin
	if k == nil {
		return nil
	}
	if k.known != (s.parents[m.ID] == m) || k.first != nil && (!k.known || m.callerGone) {
		return fmt.Errorf("it has %d children, and is a parent: %v", k.children, k.known)
	}
	if k.known {
		t.parents++
	}
	n := 0
	for c, younger := k.first, (*Message)(nil); c != nil; c, younger = c.kin.next, c {
		if n++; c.kin.up != m || c.kin.prev != younger || c.kin.parent != m.ID || c.kin.depth != k.depth+1 || !m.ID.Before(c.ID) {
			return fmt.Errorf("its child %v is in the wrong place", c.ID)
		}
		if c.state == gone || c.caller == nil || c.kin.depth >= MaxCallDepth {
			return fmt.Errorf("its child %v, %d deep, is over", c.ID, c.kin.depth)
		}
	}
	if n != k.children || k.up == nil && (k.next != nil || k.prev != nil) {
		return fmt.Errorf("it has %d children, says %d", n, k.children)
	}
	return nil
}

// checkRest compares sessions, consumers and timers with the tally.
func (s *State) checkRest(t *tally) error {
	for id, sess := range s.sessions {
		if sess.ID != id || sess.leases != t.sessions[sess] {
			return fmt.Errorf("session %d holds %d leases, says %d", id, t.sessions[sess], sess.leases)
		}
		t.timer(&sess.timer)
		if at := sess.Expires(); at != 0 && (sess.timer.at == 0 || sess.timer.at > at) {
			return fmt.Errorf("session %d ends at %d, its timer is at %d", id, at, sess.timer.at)
		}
		for _, q := range sess.temporary {
			if q.Owner != sess || s.temporary[q.Name] != q {
				return fmt.Errorf("session %d says it owns %q", id, q.Name)
			}
			for corr, m := range q.pending {
				if m.caller != q || m.CorrelationID != corr || m.state == gone {
					return fmt.Errorf("queue %q waits for %q, which does not know", q.Name, corr)
				}
			}
		}
		for _, c := range append(sess.consumers[:len(sess.consumers):len(sess.consumers)], sess.ending...) {
			untold := 0
			for m := c.held.head; m != nil; m = m.heldNext {
				if m.untold {
					untold++
				}
				if m.untold && !m.callerGone {
					return fmt.Errorf("message %v has a caller, and its holder does not know that it has none", m.ID)
				}
			}
			if untold != c.untold {
				return fmt.Errorf("consumer %d of session %d does not know of %d cancelled messages, says %d", c.ID, id, untold, c.untold)
			}
			if c.Session != sess || c.holding != t.consumers[c] {
				return fmt.Errorf("consumer %d of session %d holds %d, says %d", c.ID, id, t.consumers[c], c.holding)
			}
			if err := c.checkService(); err != nil {
				return fmt.Errorf("consumer %d of session %d: %w", c.ID, id, err)
			}
			t.services += c.service.size()
		}
	}
	if t.services != s.servicesBytes || t.services > MaxServicesBytes {
		return fmt.Errorf("services take %d bytes, the state says %d", t.services, s.servicesBytes)
	}
	return s.checkTimers(t)
}

// timer counts a timer of somebody who lives.
func (t *tally) timer(of *timer) {
	if of.at != 0 {
		t.running++
		if of.place.pos == 0 {
			t.lost++
		}
	}
	if of.place.pos != 0 {
		t.slots++
	}
}

// checkTimers looks at the heap: every slot in it is of somebody who lives, or of a
// message whose memory is kept.
func (s *State) checkTimers(t *tally) error {
	for _, list := range [][]*Message{s.free, s.retired} {
		for _, m := range list {
			if m.timer.at != 0 {
				return fmt.Errorf("message %v is gone, and its timer is at %d", m.ID, m.timer.at)
			}
			t.timer(&m.timer)
		}
	}
	h := &s.timers
	if t.running != h.running || t.slots != len(h.slots) {
		return fmt.Errorf("%d timers are set and %d are in the heap, %d and %d are known", h.running, len(h.slots), t.running, t.slots)
	}
	if t.lost > 0 {
		return fmt.Errorf("%d timers are set and not in the heap", t.lost)
	}
	return h.check()
}

func (h *timers) check() error {
	for i, slot := range h.slots {
		t := slot.t
		if int(t.place.pos) != i+1 || t.place.at != slot.at || t.at != 0 && t.at < slot.at || i > 0 && h.slots[(i-1)/4].at > slot.at {
			return fmt.Errorf("timer %d is out of order", i)
		}
	}
	return nil
}

// checkService looks for deliveries that were not counted, or twice.
func (c *Consumer) checkService() error {
	if c.service == nil {
		return nil
	}
	st := &c.service.Stats
	if c.ended || st.Delivered != st.Replied+st.Acked+st.Returned+st.Ended+uint64(c.holding) || st.Failed > st.Replied || st.Busy < 0 {
		return fmt.Errorf("holds %d, has ended: %v, and its service counts %+v", c.holding, c.ended, *st)
	}
	return nil
}
