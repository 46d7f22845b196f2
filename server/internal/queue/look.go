package queue

import "slices"

// OldestOf are the n oldest messages of q, oldest first, with those that are on
// disk alone: stored is what a store holds of q up to the sequence through. They
// may be read until the next Apply.
func (s *State) OldestOf(q *Queue, stored []Stored, through uint64, n int) []*Message {
	all := slices.Clone(q.messages(q.count()))
	for i := range stored {
		if st := &stored[i]; q.spilledAt(st.Sequence) {
			all = append(all, &Message{ID: s.idOf(st.Sequence), Body: st.Body, Headers: st.Headers, CorrelationID: st.CorrelationID,
				ReplyTo: st.ReplyTo, Sender: st.Sender, Sent: st.Sent, Expires: st.Expires, Attempts: st.Attempts,
				Failure: failureOf(st.Failure), queue: q, state: waiting})
		}
	}
	sortByAge(all)
	if i := slices.IndexFunc(all, func(m *Message) bool { return m.ID.Sequence > through }); i >= 0 && q.spilled > 0 {
		all = all[:i] // what lies between is not known
	}
	return all[:min(n, len(all))]
}

// OnDisk is the number that names q in a store, and how many of its messages are
// there alone; zero for a queue in memory.
func (q *Queue) OnDisk() (number uint64, spilled int) { return q.id, q.spilled }

// LastSequence is that of the newest message or durable queue.
func (s *State) LastSequence() uint64 { return s.sequence }
