package engine

import (
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// Between the core's words and those of the store.

// record is memory for what goes to the store, used again and again.
type record struct {
	message store.Message
	headers []store.Header
	session store.Session
	window  store.Window
	keyed   store.Keyed
}

// keep takes what an operation changed into the open batch.
func (tx *Tx) keep(fx *queue.Effects) {
	p := &tx.e.pending
	for i := range fx.Changes {
		c := &fx.Changes[i]
		q := c.Queue.Number()
		switch c.Kind {
		case queue.MessageStored:
			p.batch.PutMessage(p.record.of(q, c.Message))
		case queue.MessageGone:
			p.batch.DeleteMessage(p.record.gone(q, c.Message))
		case queue.AttemptsCounted:
			p.batch.PutAttempts(q, c.Message.ID.Sequence, c.Attempts)
		case queue.QueueStored:
			p.batch.PutQueue(definition(c.Queue))
		case queue.QueueGone:
			p.batch.DeleteQueue(q)
		case queue.RunGone:
			p.batch.DeleteMessages(q, c.First, c.Last)
		case queue.KeyStored:
			p.batch.PutKeyed(p.record.ofKeyed(c.Keyed))
		case queue.KeyGone:
			k := c.Keyed.Kept()
			p.batch.DeleteKeyed(q, k.Request, len(k.Body))
		}
	}
	p.loads = append(p.loads, fx.Loads...)
	if fx.Sync {
		p.must = true
		tx.batch = p.number
	}
}

// save completes the open batch with what is kept once for many operations. It
// returns the sequence through which messages are in this batch or earlier.
func (e *Engine) save() (through uint64) {
	p := &e.pending
	u := &p.unsaved
	e.state.TakeUnsaved(u)
	b := p.batch
	for _, q := range u.Queues {
		k := q.Kept()
		b.PutStat(k.ID, store.Stat{Messages: k.Messages, Bytes: k.Bytes, Earliest: int64(k.Earliest)}, q.Middle())
	}
	for _, id := range u.SessionsGone {
		b.DeleteSession(uint64(id))
	}
	for _, s := range u.Sessions {
		b.PutSession(p.record.ofSession(s))
	}
	for _, name := range u.ProducersGone {
		b.DeleteProducer(name)
	}
	for i := range u.Windows {
		w := &u.Windows[i]
		p.record.window = store.Window{Producer: w.Producer, Part: w.Part, Seen: int64(w.Seen), Messages: w.Messages}
		b.PutWindow(&p.record.window)
	}
	b.PutSequence(u.Sequence)
	return u.Sequence
}

func (r *record) of(number uint64, m *queue.Message) *store.Message {
	st := m.Stored()
	r.message = store.Message{Queue: number, Sequence: st.Sequence, Body: st.Body, Headers: r.storeHeaders(m.Headers),
		CorrelationID: st.CorrelationID, ReplyTo: st.ReplyTo, Sender: st.Sender, Sent: int64(st.Sent), Expires: int64(st.Expires),
		MaxAttempts: st.MaxAttempts, RequireConsumer: st.RequireConsumer, Stream: st.Stream, Request: m.Request(),
		Parent: store.ID{Epoch: st.Parent.Epoch, Sequence: st.Parent.Sequence}, StartBy: int64(st.StartBy), Failure: st.Failure}
	if m.AttemptsStored() {
		r.message.Attempts = max(1, st.Attempts)
	}
	return &r.message
}

// gone is what the store needs of a message that it deletes.
func (r *record) gone(number uint64, m *queue.Message) *store.Message {
	r.message = store.Message{Queue: number, Sequence: m.ID.Sequence, Body: m.Body, Request: m.Request()}
	if m.AttemptsStored() {
		r.message.Attempts = 1
	}
	return &r.message
}

func (r *record) storeHeaders(hs []queue.Header) []store.Header {
	r.headers = r.headers[:0]
	for _, h := range hs {
		r.headers = append(r.headers, store.Header(h))
	}
	return r.headers
}

func queueHeaders(hs []store.Header) []queue.Header {
	if len(hs) == 0 {
		return nil
	}
	out := make([]queue.Header, len(hs))
	for i, h := range hs {
		out[i] = queue.Header(h)
	}
	return out
}

func (r *record) ofKeyed(call *queue.Keyed) *store.Keyed {
	k := call.Kept()
	r.keyed = store.Keyed{Queue: k.Queue, Request: k.Request, Key: k.Key, Principal: k.Principal, Digest: k.Digest, TTL: k.TTL,
		Detached: k.Detached, Answered: k.Answered, Expires: int64(k.Expires), Sender: k.Sender, Failure: k.Failure,
		Headers: r.storeHeaders(k.Headers), Body: k.Body}
	return &r.keyed
}

func keptKey(k *store.Keyed) queue.KeptKey {
	return queue.KeptKey{Queue: k.Queue, Request: k.Request, Key: k.Key, Principal: k.Principal, Digest: k.Digest, TTL: k.TTL,
		Detached: k.Detached, Answered: k.Answered, Expires: queue.Instant(k.Expires), Sender: k.Sender, Failure: k.Failure,
		Headers: queueHeaders(k.Headers), Body: k.Body}
}

// stored is a message that was read.
func stored(m *store.Message) queue.Stored {
	return queue.Stored{Sequence: m.Sequence, Body: m.Body, Headers: queueHeaders(m.Headers), CorrelationID: m.CorrelationID, ReplyTo: m.ReplyTo,
		Sender: m.Sender, Sent: queue.Instant(m.Sent), Expires: queue.Instant(m.Expires), Attempts: m.Attempts,
		MaxAttempts: m.MaxAttempts, RequireConsumer: m.RequireConsumer, Stream: m.Stream,
		Parent: queue.ID{Epoch: m.Parent.Epoch, Sequence: m.Parent.Sequence}, StartBy: queue.Instant(m.StartBy), Failure: m.Failure}
}

func definition(q *queue.Queue) *store.Queue {
	o := &q.Options
	return &store.Queue{ID: q.Number(), Name: q.Name, Made: int64(q.Made), MaxMessages: o.MaxMessages, MaxBytes: o.MaxBytes,
		MaxAge: o.MaxAge, Overflow: uint8(o.Overflow), MaxAttempts: o.MaxAttempts, DeadLetterQueue: o.DeadLetterQueue,
		NoDeadLetter: o.NoDeadLetter, Lease: o.Lease}
}

func (r *record) ofSession(s *queue.Session) *store.Session {
	k := s.Kept()
	out := &r.session
	*out = store.Session{ID: uint64(k.ID), Name: k.Name, Principal: k.Principal, Producer: k.Producer, TTL: k.TTL, Grace: k.Grace,
		Began: int64(k.Began), LastConsumer: uint64(k.LastConsumer), Temporary: k.Temporary, Consumers: out.Consumers[:0]}
	for _, c := range k.Consumers {
		out.Consumers = append(out.Consumers, store.Consumer{ID: uint64(c.ID), Queue: c.Queue, Credit: c.Credit,
			CreditBytes: c.CreditBytes, Lease: c.Lease})
	}
	return out
}

// kept is what a store has kept, in the core's words.
func kept(s *store.Start) *queue.Kept {
	k := &queue.Kept{Sequence: s.Sequence}
	for _, e := range s.Epochs {
		k.Epochs = append(k.Epochs, queue.Epoch(e))
	}
	for i := range s.Queues {
		q := &s.Queues[i]
		stat := s.Stats[q.ID]
		k.Queues = append(k.Queues, queue.KeptQueue{ID: q.ID, Name: q.Name, Made: queue.Instant(q.Made),
			Messages: stat.Messages, Bytes: stat.Bytes, Earliest: queue.Instant(stat.Earliest),
			Options: queue.Options{Durability: queue.Durable, MaxMessages: q.MaxMessages, MaxBytes: q.MaxBytes, MaxAge: q.MaxAge,
				Overflow: queue.Overflow(q.Overflow), MaxAttempts: q.MaxAttempts, DeadLetterQueue: q.DeadLetterQueue,
				NoDeadLetter: q.NoDeadLetter, Lease: q.Lease}})
	}
	for i := range s.Requests {
		m := &s.Requests[i]
		k.Requests = append(k.Requests, queue.KeptRequest{Queue: m.Queue, Stored: stored(m)})
	}
	for i := range s.Sessions {
		k.Sessions = append(k.Sessions, session(&s.Sessions[i]))
	}
	for i := range s.Keyed {
		k.Keys = append(k.Keys, keptKey(&s.Keyed[i]))
	}
	for i := range s.Windows {
		w := &s.Windows[i]
		k.Windows = append(k.Windows, queue.Window{Producer: w.Producer, Part: w.Part, Seen: queue.Instant(w.Seen), Messages: w.Messages})
	}
	return k
}

func session(s *store.Session) queue.KeptSession {
	k := queue.KeptSession{ID: queue.SessionID(s.ID), Name: s.Name, Principal: s.Principal, Producer: s.Producer,
		TTL: s.TTL, Grace: s.Grace, Began: queue.Instant(s.Began), LastConsumer: queue.ConsumerID(s.LastConsumer), Temporary: s.Temporary}
	for _, c := range s.Consumers {
		k.Consumers = append(k.Consumers, queue.KeptConsumer{ID: queue.ConsumerID(c.ID), Queue: c.Queue, Credit: c.Credit,
			CreditBytes: c.CreditBytes, Lease: c.Lease})
	}
	return k
}
