package queue

import (
	"slices"
	"strings"
	"time"
)

// Query selects queues for Queues.
type Query struct {
	Prefix     string
	After      string // only names after this one
	ServedOnly bool
	Temporary  bool // temporary ones too
	Limit      int
}

// Queues are the selected queues by name, and whether there are more.
func (s *State) Queues(query Query) (qs []*Queue, more bool) {
	sets := []map[string]*Queue{s.queues}
	if query.Temporary {
		sets = append(sets, s.temporary)
	}
	for _, set := range sets {
		for name, q := range set {
			if strings.HasPrefix(name, query.Prefix) && name > query.After && (!query.ServedOnly || len(q.consumers) > 0) {
				qs = append(qs, q)
			}
		}
	}
	slices.SortFunc(qs, func(a, b *Queue) int { return strings.Compare(a.Name, b.Name) })
	if len(qs) > query.Limit {
		return qs[:query.Limit], true
	}
	return qs, false
}

// QueueNamed is one queue. The error is ErrQueueNotFound or ErrInvalid.
func (s *State) QueueNamed(name string) (*Queue, error) { return s.queue(name) }

// Sessions are the live sessions, oldest first.
func (s *State) Sessions() []*Session {
	all := make([]*Session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		all = append(all, sess)
	}
	slices.SortFunc(all, func(a, b *Session) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

// Summary counts what is in a queue.
type Summary struct {
	Waiting, Delayed, Leased int // Waiting has Delayed in it
	Bytes                    int
	Consumers                int
	OldestAge                time.Duration
}

// Summary counts what is in q.
func (q *Queue) Summary(now Instant) Summary {
	return Summary{q.counts[waiting] + q.counts[delayed] + q.spilled, q.counts[delayed], q.counts[leased], q.bytes, len(q.consumers), q.oldestAge(now)}
}

// Counters are what has happened in q.
func (q *Queue) Counters() Counters { return q.counters }

// Consumers are q's consumers, oldest first. They may be read, not kept.
func (q *Queue) Consumers() []*Consumer { return q.consumers }

// Oldest are the n oldest messages of q, oldest first; fewer where the next one
// is on disk alone.
func (q *Queue) Oldest(n int) []*Message {
	all := q.messages(n)
	if len(q.runs) > 0 {
		if i := slices.IndexFunc(all, func(m *Message) bool { return m.ID.Sequence > q.runs[0].first }); i >= 0 {
			return all[:i]
		}
	}
	return all
}

// Owned counts what a session has.
func (sess *Session) Owned() (temporary, consumers, leases, pending int) {
	for _, q := range sess.temporary {
		pending += len(q.pending) + len(q.joined)
	}
	return len(sess.temporary), len(sess.consumers), sess.leases, pending
}

// MessageState is where a message is in its life.
type MessageState = messageState

// The states of a message in a queue.
const (
	Waiting = waiting
	Delayed = delayed
	Leased  = leased
)

// Queue is where m is, or was last.
func (m *Message) Queue() *Queue { return m.queue }

// State is where m is in its life.
func (m *Message) State() MessageState { return m.state }

// Holder is the session that holds m, and since when; nil when none does.
func (m *Message) Holder() (sess *Session, since Instant) {
	if m.holder == nil {
		return nil, 0
	}
	return m.holder.Session, m.leasedAt
}

// Caller is the session that waits for m's reply in person, the first of several;
// nil when none does.
func (m *Message) Caller() *Session {
	switch {
	case m.caller != nil:
		return m.caller.Owner
	case m.keyed != nil && len(m.keyed.waiters) > 0:
		return m.keyed.waiters[0].queue.Owner
	}
	return nil
}

// Unserved is how long q has had no consumer; zero: it has one, or never had.
func (q *Queue) Unserved(now Instant) time.Duration {
	if q.unserved == 0 {
		return 0
	}
	return max(1, now.Sub(q.unserved))
}

// CallerGone reports whether m had a caller that is gone.
func (m *Message) CallerGone() bool { return m.callerGone }

// Health says whether a queue is being served.
type Health uint8

// The healths.
const (
	Running      Health = iota // a connected consumer serves it, or nothing waits
	NeverStarted               // messages wait, and nobody has ever served it
	Stopped                    // it was served, and every consumer is lost or gone
	Stuck                      // messages wait, and its consumers have held others for longer than a lease
)

// Health says whether q is being served, from its leases.
func (q *Queue) Health(now Instant) Health {
	connected := slices.ContainsFunc(q.consumers, func(c *Consumer) bool { return c.Session.Connected() })
	switch {
	case !connected && q.served && q.count() > 0:
		return Stopped
	case !connected && q.count() > 0:
		return NeverStarted
	case q.counts[waiting]+q.spilled == 0 || q.ready.head != nil:
		return Running
	}
	for m := q.out.head; m != nil; m = m.next {
		if m.state == leased && now.Sub(m.leasedAt) <= q.Options.Lease {
			return Running
		}
	}
	if q.counts[leased] > 0 {
		return Stuck
	}
	return Running
}
