package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What the external tests see of the inside.

// SpilledAt reports whether the message of a sequence is on disk alone.
func (q *Queue) SpilledAt(sequence uint64) bool { return q.spilledAt(sequence) }

// SyncedTo is up to where everything is synced.
func (s *State) SyncedTo() uint64 { return s.synced }

// Window is what first deliveries of durable queues take in memory, and what
// they may; without the requests, which are always there.
func (s *State) Window() (bytes, limit int) {
	for _, q := range s.stored {
		for m := q.waiting.head; m != nil; m = m.next {
			if !m.request {
				bytes += len(m.Body) + messageCost
			}
		}
	}
	return bytes, s.limits.MemoryBytes / allWindowsShare
}

// Fits reports whether a message of q that is now on disk alone could have been
// kept in memory.
func (s *State) Fits(q *Queue, bytes int) bool {
	return q.resident+bytes+messageCost <= s.limits.MemoryBytes/windowShare && bytes+messageCost <= s.room()
}

// SpilledCount counts the messages of q that are on disk alone.
func (q *Queue) SpilledCount() int { return q.spilled }

// DurableHalf prints what of the state a store brings back. What is on disk
// alone is taken from there. It is empty when something is under way that a
// restart ends otherwise: a request whose caller is gone.
func (s *State) DurableHalf(disk func(queue uint64) []Stored) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence %d\n", s.sequence)
	for _, id := range slices.Sorted(maps.Keys(s.stored)) {
		q := s.stored[id]
		k := q.Kept()
		k.Earliest = 0
		fmt.Fprintf(&b, "%+v\n", k)
		lines := map[uint64]string{}
		for _, st := range disk(id) {
			if q.spilledAt(st.Sequence) {
				lines[st.Sequence] = s.line(st, nil)
			}
		}
		for _, m := range q.messages(q.count()) {
			st := m.Stored()
			if m.callerGone || m.requireConsumer && len(q.consumers) == 0 {
				return ""
			}
			lines[st.Sequence] = s.line(st, m.caller)
		}
		for _, at := range slices.Sorted(maps.Keys(lines)) {
			b.WriteString(lines[at])
		}
	}
	for _, sess := range s.Sessions() {
		k := sess.Kept()
		k.Consumers = slices.DeleteFunc(k.Consumers, func(c KeptConsumer) bool { q := s.queues[c.Queue]; return q != nil && q.id == 0 })
		fmt.Fprintf(&b, "%+v\n", k)
	}
	return b.String()
}

func (s *State) line(st Stored, caller *Queue) string {
	body := len(st.Body)
	st.Body = nil
	text := fmt.Sprintf("  #%d, %v: %d bytes, %+v", st.Sequence, s.idOf(st.Sequence), body, st)
	if caller != nil {
		text += " for " + caller.Name
	}
	return text + "\n"
}
