package queue

// Number names q on disk; zero for a queue in memory.
func (q *Queue) Number() uint64 { return q.id }

// Kept is q as a store keeps it: with the counts of this moment.
func (q *Queue) Kept() KeptQueue {
	return KeptQueue{ID: q.id, Name: q.Name, Made: q.Made, Options: q.Options, Messages: q.count(), Bytes: q.bytes, Earliest: q.earliest}
}

// Middle is a sequence between the oldest and the newest message of q, about in the
// middle: what is taken off lies before it, and what is new behind it.
func (q *Queue) Middle() uint64 {
	newest := q.last // zero after a restart, until something new comes
	if n := len(q.runs); n > 0 {
		newest = max(newest, q.runs[n-1].last)
	}
	oldest := newest
	if m := q.waiting.head; m != nil {
		oldest = m.ID.Sequence
	}
	if len(q.runs) > 0 {
		oldest = min(oldest, q.runs[0].first)
	}
	return oldest + (max(newest, oldest)-oldest)/2
}

// Kept is k as a store keeps it.
func (k *Keyed) Kept() KeptKey {
	return KeptKey{Queue: k.queue.id, Request: k.id.Sequence, Key: k.key, Principal: k.principal, Digest: k.digest, TTL: k.ttl,
		Detached: k.detached, Answered: k.request == nil, Expires: k.expires, Body: k.body, Headers: k.headers, Failure: k.failure, Sender: k.sender}
}

// Kept is the session as a store keeps it.
func (sess *Session) Kept() KeptSession {
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

// Stored is m as a store keeps it.
func (m *Message) Stored() Stored {
	st := Stored{Sequence: m.ID.Sequence, Body: m.Body, Headers: m.Headers, CorrelationID: m.CorrelationID, ReplyTo: m.ReplyTo,
		Sender: m.Sender, Sent: m.Sent, Expires: m.Expires, Attempts: m.Attempts, MaxAttempts: m.maxAttempts,
		RequireConsumer: m.requireConsumer, Parent: m.Parent(), StartBy: m.startBy, Stream: m.Stream, Failure: StoredFailure(m.Failure)}
	if m.state == leased {
		st.Attempts-- // the one that is under way
	}
	return st
}

// Request reports whether m has to be among Kept.Requests after a restart:
// somebody waits for it in person, it requires a consumer, or has to begin soon.
func (m *Message) Request() bool { return m.request }

// AttemptsStored reports whether an AttemptsCounted told a store of m.
func (m *Message) AttemptsStored() bool { return m.attemptsStored }
