package queue

// What a store needs to know beyond the exported fields.

// Number names q on disk; zero for a queue in memory.
func (q *Queue) Number() uint64 { return q.id }

// Stored counts what is stored of q: its messages, their bodies' bytes, and an
// instant before which none of them expires (zero: none does).
func (q *Queue) Stored() (messages, bytes int, earliest Instant) {
	return q.count(), q.bytes, q.earliest
}

// MessageKeep is what is stored of a message beside its exported fields.
type MessageKeep struct {
	MaxAttempts     int
	RequireConsumer bool
	Request         bool // somebody waits for it in person: Restore needs it
	Attempts        int  // as they are stored beside it; zero: they are not
}

// Keep is for a store.
func (m *Message) Keep() MessageKeep {
	k := MessageKeep{MaxAttempts: m.maxAttempts, RequireConsumer: m.requireConsumer, Request: m.request}
	if m.attemptsStored {
		k.Attempts = max(1, m.Attempts)
	}
	return k
}

// Keep is what is stored of a session.
func (sess *Session) Keep() KeptSession {
	k := KeptSession{ID: sess.ID, Name: sess.Name, Principal: sess.Principal, Producer: sess.producer, TTL: sess.TTL, Grace: sess.Grace,
		Began: sess.Began, LastConsumer: sess.lastConsumer}
	for _, q := range sess.temporary {
		k.Temporary = append(k.Temporary, q.Name)
	}
	for _, c := range sess.consumers {
		k.Consumers = append(k.Consumers, KeptConsumer{ID: c.ID, Queue: c.Queue.Name, Credit: c.Credit, CreditBytes: c.creditBytes, Lease: c.Lease})
	}
	return k
}
