package queue_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// A disk is a store as one would write it on a napkin: maps, and batches that
// are lists of what to do.
type disk struct {
	sequence uint64
	epochs   []queue.Epoch
	queues   map[uint64]queue.KeptQueue
	messages map[place]stored
	attempts map[place]int
	sessions map[queue.SessionID]queue.KeptSession
	windows  map[string]map[uint64]queue.Window
	keys     map[place]queue.KeptKey // by their requests
}

type place struct{ queue, sequence uint64 }

// stored is a message without its attempts, which are kept beside it.
type stored struct {
	queue.Stored
	request bool
	from    *mMessage // what the model says of it
}

// A batch is what a sync makes durable at once.
type batch struct {
	through uint64
	writes  []func(*disk) error
}

func newDisk(epoch uint64) *disk {
	return &disk{epochs: []queue.Epoch{{Epoch: epoch, First: 1}}, queues: map[uint64]queue.KeptQueue{}, messages: map[place]stored{},
		attempts: map[place]int{}, sessions: map[queue.SessionID]queue.KeptSession{}, windows: map[string]map[uint64]queue.Window{},
		keys: map[place]queue.KeptKey{}}
}

func (d *disk) clone() *disk {
	c := &disk{sequence: d.sequence, epochs: slices.Clone(d.epochs), queues: maps.Clone(d.queues), messages: maps.Clone(d.messages),
		attempts: maps.Clone(d.attempts), sessions: maps.Clone(d.sessions), windows: map[string]map[uint64]queue.Window{}, keys: maps.Clone(d.keys)}
	for name, parts := range d.windows {
		c.windows[name] = maps.Clone(parts)
	}
	return c
}

func (d *disk) write(b *batch) error {
	for _, w := range b.writes {
		if err := w(d); err != nil {
			return err
		}
	}
	return d.check()
}

// check compares what is counted with what is there.
func (d *disk) check() error {
	for at := range d.attempts {
		if _, ok := d.messages[at]; !ok {
			return fmt.Errorf("the disk keeps attempts of message %v, which is gone", at)
		}
	}
	for at, k := range d.keys {
		if _, asked := d.messages[at]; asked == k.Answered {
			return fmt.Errorf("the call with key %q was answered (%v), and its request is there: %v", k.Key, k.Answered, asked)
		}
	}
	for id, k := range d.queues {
		messages, bytes, earliest := 0, 0, queue.Instant(0)
		for at, st := range d.messages {
			if at.queue != id {
				continue
			}
			messages++
			bytes += len(st.Body)
			if st.Expires != 0 && (earliest == 0 || st.Expires < earliest) {
				earliest = st.Expires
			}
		}
		if k.Messages != messages || k.Bytes != bytes {
			return fmt.Errorf("queue %d counts %d messages of %d bytes, and has %d of %d", id, k.Messages, k.Bytes, messages, bytes)
		}
		if earliest != 0 && (k.Earliest == 0 || k.Earliest > earliest) || messages == 0 && k.Earliest != 0 {
			return fmt.Errorf("queue %d says that none of %d messages expires before %d, and one does at %d", id, messages, k.Earliest, earliest)
		}
	}
	return nil
}

// change adds what an operation changed. What c holds is copied: it changes on.
func (b *batch) change(c queue.Change, from func(sequence uint64) *mMessage) {
	k := c.Queue.Kept()
	add := func(w func(*disk) error) { b.writes = append(b.writes, w) }
	var at place
	var st stored
	known := false
	if c.Message != nil {
		st = stored{Stored: c.Message.Stored(), request: c.Message.Request()}
		at, known = place{k.ID, st.Sequence}, c.Message.AttemptsStored()
	}
	switch c.Kind {
	case queue.QueueStored:
		add(func(d *disk) error { d.queues[k.ID] = k; return nil })
	case queue.QueueGone:
		add(func(d *disk) error { delete(d.queues, k.ID); d.eraseAll(k.ID); return nil })
	case queue.MessageStored:
		st.from = from(st.Sequence)
		add(func(d *disk) error { return d.putMessage(at, st) })
	case queue.MessageGone:
		add(func(d *disk) error { return d.eraseMessage(at, st.request, known) })
	case queue.AttemptsCounted:
		add(func(d *disk) error { d.attempts[at] = c.Attempts; return nil })
	case queue.RunGone:
		add(func(d *disk) error { d.eraseRange(k.ID, c.First, c.Last); return nil })
	case queue.KeyStored:
		key := c.Keyed.Kept()
		add(func(d *disk) error { return d.putKey(key) })
	case queue.KeyGone:
		at := place{k.ID, c.Keyed.Kept().Request}
		add(func(d *disk) error {
			if _, ok := d.keys[at]; !ok {
				return fmt.Errorf("the call with a key of message %v is forgotten, and the disk does not have it", at)
			}
			delete(d.keys, at)
			return nil
		})
	default:
		panic("the disk does not know this change")
	}
}

// putKey stores a call with a key: one that runs before its request, or again
// when it is detached; an answered one in the place of that.
func (d *disk) putKey(k queue.KeptKey) error {
	at := place{k.Queue, k.Request}
	old, known := d.keys[at]
	if known && (old.Answered || old.Key != k.Key || old.Digest != k.Digest) || k.Answered && !known {
		return fmt.Errorf("the call %+v goes over %+v", k, old)
	}
	d.keys[at] = k
	return nil
}

// sortedKeys are the calls with keys of a queue, oldest first.
func (d *disk) sortedKeys(id uint64) (all []queue.KeptKey) {
	for at, k := range d.keys {
		if at.queue == id {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b queue.KeptKey) int { return int(a.Request) - int(b.Request) })
	return all
}

func (d *disk) putMessage(at place, st stored) error {
	if _, ok := d.messages[at]; ok || st.Attempts != 0 {
		return fmt.Errorf("message %v is new, and on the disk, or with attempts", at)
	}
	d.messages[at] = st
	return nil
}

func (d *disk) eraseMessage(at place, request, attempts bool) error {
	st, ok := d.messages[at]
	_, has := d.attempts[at]
	if !ok || st.request != request || has != attempts {
		return fmt.Errorf("message %v goes (a request: %v, attempts kept: %v), and the disk has it: %v (%v, %v)", at, request, attempts, ok, st.request, has)
	}
	delete(d.messages, at)
	delete(d.attempts, at)
	return nil
}

func (d *disk) eraseRange(id, first, last uint64) {
	in := func(at place) bool { return at.queue == id && at.sequence >= first && at.sequence <= last }
	maps.DeleteFunc(d.messages, func(at place, _ stored) bool { return in(at) })
	maps.DeleteFunc(d.attempts, func(at place, _ int) bool { return in(at) })
}

// eraseAll erases what a queue that is gone had.
func (d *disk) eraseAll(id uint64) {
	d.eraseRange(id, 0, ^uint64(0))
	maps.DeleteFunc(d.keys, func(at place, _ queue.KeptKey) bool { return at.queue == id })
}

// close adds what is kept once for many operations.
func (b *batch) close(s *queue.State, u *queue.Unsaved) {
	s.TakeUnsaved(u)
	b.through = u.Sequence
	gone, forgotten := slices.Clone(u.SessionsGone), slices.Clone(u.ProducersGone)
	windows := slices.Clone(u.Windows)
	var queues []queue.KeptQueue
	for _, q := range u.Queues {
		queues = append(queues, q.Kept())
	}
	var sessions []queue.KeptSession
	for _, sess := range u.Sessions {
		sessions = append(sessions, sess.Kept())
	}
	b.writes = append(b.writes, func(d *disk) error {
		d.sequence = b.through
		for _, k := range queues {
			d.queues[k.ID] = k
		}
		for _, id := range gone {
			delete(d.sessions, id)
		}
		for _, k := range sessions {
			d.sessions[k.ID] = k
		}
		for _, name := range forgotten {
			delete(d.windows, name)
		}
		for _, w := range windows {
			if d.windows[w.Producer] == nil {
				d.windows[w.Producer] = map[uint64]queue.Window{}
			}
			d.windows[w.Producer][w.Part] = w
		}
		return nil
	})
}

// sorted are the messages of a queue, oldest first.
func (d *disk) sorted(id uint64) (all []stored) {
	for at, st := range d.messages {
		if at.queue == id {
			st.Attempts = d.attempts[at]
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b stored) int { return int(a.Sequence) - int(b.Sequence) })
	return all
}

func (d *disk) sortedQueues() (all []queue.KeptQueue) {
	for _, id := range slices.Sorted(maps.Keys(d.queues)) {
		all = append(all, d.queues[id])
	}
	return all
}

// read answers a Load as queue.Load says.
func (d *disk) read(l queue.Load) *queue.Fetched {
	f := &queue.Fetched{Load: l, Through: l.To}
	messages, bytes := 0, 0
	for _, st := range d.sorted(l.Queue) {
		if st.Sequence < l.From || st.Sequence > l.To {
			continue
		}
		messages++
		switch {
		case l.Expired == 0 || st.Expires != 0 && st.Expires <= l.Expired:
			f.Messages = append(f.Messages, st.Stored)
			bytes += len(st.Body)
		case st.Expires != 0 && (f.Earliest == 0 || st.Expires < f.Earliest):
			f.Earliest = st.Expires
		}
		if messages == l.Messages || bytes >= l.Bytes {
			f.Through = st.Sequence
			break
		}
	}
	return f
}

// find are the stored messages of some sequences.
func (d *disk) find(id uint64, sequences []uint64) (all []queue.Stored) {
	for _, st := range d.sorted(id) {
		if slices.Contains(sequences, st.Sequence) {
			all = append(all, st.Stored)
		}
	}
	return all
}

// begin is what the next start finds.
func (d *disk) begin(epoch uint64) *queue.Kept {
	first := d.sequence + 1
	d.epochs = slices.DeleteFunc(d.epochs, func(e queue.Epoch) bool { return e.First >= first })
	d.epochs = append(d.epochs, queue.Epoch{Epoch: epoch, First: first})
	k := &queue.Kept{Sequence: d.sequence, Epochs: slices.Clone(d.epochs), Queues: d.sortedQueues()}
	for _, q := range k.Queues {
		for _, st := range d.sorted(q.ID) {
			if st.request {
				k.Requests = append(k.Requests, queue.KeptRequest{Queue: q.ID, Stored: st.Stored})
			}
		}
		k.Keys = append(k.Keys, d.sortedKeys(q.ID)...)
	}
	slices.SortFunc(k.Requests, func(a, b queue.KeptRequest) int { return int(a.Sequence) - int(b.Sequence) })
	for _, id := range slices.Sorted(maps.Keys(d.sessions)) {
		k.Sessions = append(k.Sessions, d.sessions[id])
	}
	for _, name := range slices.Sorted(maps.Keys(d.windows)) {
		for _, part := range slices.Sorted(maps.Keys(d.windows[name])) {
			k.Windows = append(k.Windows, d.windows[name][part])
		}
	}
	return k
}

// seen is when a producer last sent something that was stored.
func (d *disk) seen(producer string) (last queue.Instant) {
	for _, w := range d.windows[producer] {
		last = max(last, w.Seen)
	}
	return last
}

// durable prints the disk as the model does.
func (d *disk) durable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence %d\n", d.sequence)
	for _, k := range d.sortedQueues() {
		fmt.Fprintf(&b, "queue %d %s %+v: %d messages of %d bytes\n", k.ID, k.Name, k.Options, k.Messages, k.Bytes)
		for _, st := range d.sorted(k.ID) {
			fmt.Fprintf(&b, "  #%d %d bytes, corr %q to %q, from %d to %d, %d of %d attempts, require %v, request %v\n", st.Sequence, len(st.Body),
				st.CorrelationID, st.ReplyTo, st.Sent, st.Expires, st.Attempts, st.MaxAttempts, st.RequireConsumer, st.request)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.sessions)) {
		k := d.sessions[id]
		fmt.Fprintf(&b, "session %d of %q, %v, %v, %d consumers so far:", k.ID, k.Producer, k.TTL, k.Grace, k.LastConsumer)
		for _, name := range k.Temporary {
			fmt.Fprintf(&b, " %s", name)
		}
		for _, c := range k.Consumers {
			fmt.Fprintf(&b, " %d of %q with %d, %d, %v", c.ID, c.Queue, c.Credit, c.CreditBytes, c.Lease)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// windowsKnow says which sequence of a durable queue the disk has forgotten, or
// remembers wrongly.
func (d *disk) windowsKnow(m *model) error {
	for _, p := range m.producers {
		for sequence := range p.disk {
			w, ok := d.windows[p.name][sequence/queue.WindowSlots]
			if p.high-sequence < 4096 && (!ok || w.Messages[sequence%queue.WindowSlots] != p.sent[sequence]) {
				return fmt.Errorf("producer %s sent %d as message %d, and the disk says %v", p.name, sequence, p.sent[sequence], w.Messages)
			}
		}
		for part, w := range d.windows[p.name] {
			for i, message := range w.Messages {
				if at := part*queue.WindowSlots + uint64(i); message != 0 && message != p.sent[at] {
					return fmt.Errorf("the disk says that producer %s sent %d as message %d, and it was %d", p.name, at, message, p.sent[at])
				}
			}
		}
	}
	for name := range d.windows {
		if !slices.ContainsFunc(m.producers, func(p *mProducer) bool { return p.name == name }) {
			return fmt.Errorf("the disk remembers producer %s, which is forgotten", name)
		}
	}
	return nil
}
