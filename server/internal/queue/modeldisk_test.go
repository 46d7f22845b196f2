package queue_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// link gives a new durable queue its number.
func (m *model) link(q *mQueue) {
	if q.opts.Durability == queue.Durable {
		q.id = m.newID().Sequence
		m.out.sync = true
	}
}

func (m *model) idOf(sequence uint64) (id queue.ID) {
	for _, e := range m.epochs {
		if e.First <= sequence {
			id = queue.ID{Epoch: e.Epoch, Sequence: sequence}
		}
	}
	return id
}

// await has Synced look at q.
func (m *model) await(q *mQueue) {
	if !slices.Contains(m.unsynced, q) {
		m.unsynced = append(m.unsynced, q)
	}
}

func (m *model) syncedOp(op *queue.Synced) error {
	m.synced = max(m.synced, op.Through)
	looked := m.unsynced
	for i, q := range looked {
		m.unsynced = slices.DeleteFunc(slices.Clone(m.unsynced), func(o *mQueue) bool { return o == q && slices.Contains(looked[i:], o) })
		if m.queues[q.name] != q {
			continue
		}
		if max(q.last, q.erased) > m.synced {
			m.unsynced = append(m.unsynced, q)
		}
		m.dispatch(q)
	}
	return nil
}

func (m *model) numbered(id uint64) *mQueue {
	for _, q := range m.queues {
		if q.id == id {
			return q
		}
	}
	return nil
}

// spilled is the message of a sequence, if it is on disk alone.
func (q *mQueue) spilled(sequence uint64) *mMessage {
	for _, x := range q.msgs {
		if x.spilled && x.id.Sequence == sequence {
			return x
		}
	}
	return nil
}

func (m *model) fetched(op *queue.Fetched) error {
	q := m.numbered(op.Load.Queue)
	if q == nil {
		return nil
	}
	if op.Load.Expired != 0 && len(op.Messages) > 0 {
		q.erased = m.newID().Sequence
		m.await(q)
	}
	for _, st := range op.Messages {
		if x := q.spilled(st.Sequence); x != nil {
			x.spilled = false
			if op.Load.Expired != 0 {
				m.expire(x)
			}
		}
	}
	if op.Load.Expired == 0 {
		maps.DeleteFunc(q.unseen, func(at uint64, _ bool) bool { return at <= op.Through })
	}
	q.look()
	for q.opts.Overflow == queue.DropOldest && q.first() != nil {
		if bytes, _ := q.bytes(); len(q.msgs) <= q.opts.MaxMessages && bytes <= q.opts.MaxBytes {
			break
		}
		m.drop(q.first(), queue.ErrDropped)
	}
	m.dispatch(q)
	return nil
}

// forgetSpilled drops what is on disk alone; nobody is told.
func (m *model) forgetSpilled(q *mQueue) {
	for _, x := range slices.Clone(q.msgs) {
		if x.spilled {
			q.msgs = without(q.msgs, x)
			q.counters.Dropped++
			m.out.count++
		}
	}
	q.unseen = nil
}

// spill notes that a message is on disk alone; before is the one before it.
func (q *mQueue) spill(before, at uint64) {
	if q.unseen == nil {
		q.unseen = map[uint64]bool{}
	}
	q.unseen[at] = true
	for i := before + 1; q.unseen[before] && i < at; i++ {
		q.unseen[i] = true
	}
}

// look forgets where messages may be once there are none.
func (q *mQueue) look() {
	if !slices.ContainsFunc(q.msgs, func(x *mMessage) bool { return x.spilled }) {
		q.unseen = nil
	}
}

// purgeStored drops messages that were on disk alone when they were asked for,
// and still are. Those that have expired end as such.
func (m *model) purgeStored(q *mQueue, op *queue.Purge) {
	for _, st := range op.Stored {
		if x := q.spilled(st.Sequence); x != nil && slices.Contains(op.IDs, x.id) && !x.expired(m.now) {
			x.spilled = false
			delete(q.unseen, st.Sequence)
			m.drop(x, queue.ErrPurged)
			m.out.count++
		}
	}
	q.look()
}

// durable prints what a disk has to know of the model.
func (m *model) durable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence %d\n", m.lastID)
	qs := slices.SortedFunc(maps.Values(m.queues), func(a, b *mQueue) int { return cmp.Compare(a.id, b.id) })
	for _, q := range qs {
		if q.id == 0 {
			continue
		}
		bytes, _ := q.bytes()
		fmt.Fprintf(&b, "queue %d %s %+v: %d messages of %d bytes\n", q.id, q.name, q.opts, len(q.msgs), bytes)
		for _, x := range q.msgs {
			fmt.Fprintf(&b, "  #%d %d bytes, corr %q to %q, from %d to %d, %d of %d attempts, require %v, request %v\n", x.id.Sequence, len(x.body),
				x.corr, x.replyTo, x.sent, x.expires, x.recorded, x.maxAttempts, x.require, x.request)
		}
	}
	for _, s := range slices.SortedFunc(maps.Values(m.sessions), func(a, b *mSession) int { return cmp.Compare(a.id, b.id) }) {
		fmt.Fprintf(&b, "session %d of %q, %v, %v, %d consumers so far:", s.id, s.producer, s.ttl, s.grace, s.lastConsumer)
		for _, q := range s.temporary {
			fmt.Fprintf(&b, " %s", q.name)
		}
		for _, c := range s.consumers {
			fmt.Fprintf(&b, " %d of %q with %d, %d, %v", c.id, c.queue.name, c.credit, c.creditBytes, c.lease)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// restored is what the model becomes when only the disk is left of it.
func (d *disk) restored(l queue.Limits, now queue.Instant, spills func(string, uint64) bool) *model {
	epoch := d.epochs[len(d.epochs)-1].Epoch
	m := newModel(epoch, l)
	m.now, m.lastID, m.synced, m.epochs, m.spills = now, d.sequence, d.sequence, slices.Clone(d.epochs), spills
	for _, k := range d.sortedQueues() {
		q := &mQueue{name: k.Name, opts: k.Options, id: k.ID, unseen: map[uint64]bool{}}
		for at := k.ID + 1; at <= d.sequence; at++ {
			q.unseen[at] = true
		}
		m.queues[q.name] = q
		for _, st := range d.sorted(k.ID) {
			q.msgs = append(q.msgs, &mMessage{id: m.idOf(st.Sequence), queue: q, body: st.Body, corr: st.CorrelationID, replyTo: st.ReplyTo,
				sent: st.Sent, expires: st.Expires, attempts: st.Attempts, recorded: st.Attempts, maxAttempts: st.MaxAttempts,
				require: st.RequireConsumer, request: st.request, spilled: !st.request, state: queue.Waiting,
				fail: st.from.fail, handler: st.from.handler, dead: st.from.dead, deadTries: st.from.deadTries})
			if st.request {
				delete(q.unseen, st.Sequence)
			}
		}
		q.look()
	}
	for _, id := range slices.Sorted(maps.Keys(d.sessions)) {
		m.restoreSession(d.sessions[id])
	}
	m.restoreProducers(d)
	m.restoreCallers()
	for _, k := range d.sortedQueues() {
		m.checkServed(m.queues[k.Name])
	}
	return m
}

func (m *model) restoreSession(k queue.KeptSession) {
	s := &mSession{id: k.ID, ttl: k.TTL, grace: k.Grace, producer: k.Producer, lost: true, seen: m.now.Add(max(k.TTL, k.Grace) - k.Grace), lastConsumer: k.LastConsumer}
	m.sessions[s.id] = s
	for _, name := range k.Temporary {
		q := m.newQueue(name, queue.Options{NoDeadLetter: true, MaxAttempts: queue.MaxAttempts, Lease: queue.MaxLease})
		q.owner = s
		s.temporary = append(s.temporary, q)
	}
	for _, kc := range k.Consumers {
		if q := m.queues[kc.Queue]; q != nil {
			c := &mConsumer{id: kc.ID, session: s, queue: q, credit: kc.Credit, creditBytes: kc.CreditBytes, lease: kc.Lease}
			s.consumers, q.consumers = append(s.consumers, c), append(q.consumers, c)
		}
	}
}

// restoreProducers takes each producer's sequences from the disk, the longest
// silent first.
func (m *model) restoreProducers(d *disk) {
	names := slices.Sorted(maps.Keys(d.windows))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(d.seen(a), d.seen(b)) })
	for _, name := range names {
		for _, part := range slices.Sorted(maps.Keys(d.windows[name])) {
			for i, message := range d.windows[name][part].Messages {
				if message != 0 {
					sequence := part*queue.WindowSlots + uint64(i)
					m.rememberAt(name, sequence, message, d.seen(name)).disk[sequence] = true
				}
			}
		}
	}
}

// restoreCallers lets the temporary queues that came back wait for their
// replies. Of two requests with one correlation id the first was cancelled.
func (m *model) restoreCallers() {
	var orphans []*mMessage
	for _, q := range m.queues {
		for _, x := range q.msgs {
			if !x.request || !strings.HasPrefix(x.replyTo, queue.TemporaryPrefix) {
				continue
			}
			r := m.queues[x.replyTo]
			if r == nil || x.recorded > x.maxAttempts {
				orphans = append(orphans, x)
				continue
			}
			if old := m.pending(r, x.corr); old != nil {
				if old.id.Before(x.id) {
					old.caller = nil
					orphans = append(orphans, old)
				} else {
					orphans = append(orphans, x)
					continue
				}
			}
			x.caller = r
		}
	}
	for _, x := range orphans {
		m.discard(x)
	}
}
