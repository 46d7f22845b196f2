package store

import (
	"github.com/cockroachdb/pebble/v2"
)

// A Batch is changes that become durable together or not at all. It has one
// owner; Commit gives it back, and it must not be used after that. Later changes
// of a batch go over earlier ones.
type Batch struct {
	d       *Disk
	b       *pebble.Batch
	keys    [2][maxKeySize]byte
	scratch []byte
	ranges  int   // range deletions in the batch
	deleted int64 // bytes of messages that the batch deletes
}

// maxScratch is how many bytes of room for small values a batch keeps when it is
// given back.
const maxScratch = 64 << 10

// NewBatch gives an empty batch.
func (d *Disk) NewBatch() *Batch {
	b := d.batches.Get().(*Batch)
	if b.b == nil {
		b.b = d.db.NewBatch()
	}
	return b
}

func (b *Batch) key() []byte   { return b.keys[0][:0] }
func (b *Batch) end() []byte   { return b.keys[1][:0] }
func (b *Batch) value() []byte { return b.scratch[:0] }

// must is for the calls of a pebble.Batch, which fail only when it is misused.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (b *Batch) put(key, value []byte) {
	must(b.b.Set(key, value, nil))
	if cap(value) <= maxScratch {
		b.scratch = value
	}
}

func (b *Batch) delete(key []byte) { must(b.b.Delete(key, nil)) }

// deleteRange deletes what is in [from, to).
func (b *Batch) deleteRange(from, to []byte) {
	must(b.b.DeleteRange(from, to, nil))
	b.ranges++
}

// raise sees to it that the store has a format that older versions refuse: they
// would not know what to do with what comes.
func (b *Batch) raise(format uint64) {
	if b.d.format.Load() < format {
		b.put([]byte{familyFormat}, appendNumber(b.value(), format))
		b.d.format.Store(format)
	}
}

// PutMessage stores a message, but not its attempts. It must be new: no message
// is stored twice. Nothing of m is kept.
func (b *Batch) PutMessage(m *Message) {
	if m.Request {
		b.raise(requestFormat)
	}
	head := appendHead(b.value(), m)
	b.scratch = head
	op := b.b.SetDeferred(sizePlace, len(head)+len(m.Body))
	appendPlace(op.Key[:0], m.family(), m.Queue, m.Sequence)
	copy(op.Value[copy(op.Value, head):], m.Body)
	must(op.Finish())
}

// DeleteMessage deletes a message, with its attempts if m has some. Of the rest of
// m only the place, Request and the length of the body matter: how much is deleted
// tells the store when its space is worth winning back.
//
// A message is written once and its key never used again, so its deletion need not
// outlive it: when the two meet, mostly before either has left memory, both go.
func (b *Batch) DeleteMessage(m *Message) {
	b.deleted += int64(len(m.Body) + liveCost)
	op := b.b.SingleDeleteDeferred(sizePlace)
	appendPlace(op.Key[:0], m.family(), m.Queue, m.Sequence)
	must(op.Finish())
	if m.Attempts > 0 {
		b.delete(appendPlace(b.key(), familyAttempts, m.Queue, m.Sequence))
	}
}

// PutAttempts stores how many attempts of a message count; 0 stores that too.
func (b *Batch) PutAttempts(queue, sequence uint64, attempts int) {
	v := appendInt(append(b.value(), valueFormat), int64(attempts))
	b.put(appendPlace(b.key(), familyAttempts, queue, sequence), v)
}

// DeleteMessages deletes the messages of a queue from one sequence to another,
// both included, with what is kept beside them.
func (b *Batch) DeleteMessages(queue, from, to uint64) {
	if from > to {
		return
	}
	b.deletePlaces(familyAttempts, queue, from, to)
	b.deletePlaces(familyMessage, queue, from, to)
	if b.d.format.Load() >= requestFormat {
		b.deletePlaces(familyRequest, queue, from, to)
	}
}

func (b *Batch) deletePlaces(family byte, queue, from, to uint64) {
	b.deleteRange(appendPlace(b.key(), family, queue, from), after(appendPlace(b.end(), family, queue, to)))
}

// PutQueue stores the definition of a queue.
func (b *Batch) PutQueue(q *Queue) {
	b.put(appendID(b.key(), familyQueue, q.ID), appendQueue(b.value(), q))
}

// PutStat stores what a queue's messages amount to. Middle is a sequence between
// what is read and deleted of it and what is new; it is not stored.
func (b *Batch) PutStat(queue uint64, s Stat, middle uint64) {
	b.put(appendID(b.key(), familyStat, queue), appendStat(b.value(), s))
	b.d.reclaim.set(queue, s, middle)
}

// DeleteQueue deletes a queue with everything in it.
func (b *Batch) DeleteQueue(queue uint64) {
	b.delete(appendID(b.key(), familyQueue, queue))
	b.delete(appendID(b.key(), familyStat, queue))
	b.DeleteMessages(queue, 0, 1<<64-1)
	if b.d.format.Load() >= keyedFormat {
		b.deletePlaces(familyKeyed, queue, 0, 1<<64-1)
	}
	b.d.reclaim.set(queue, Stat{}, 0)
}

// PutSession stores a session.
func (b *Batch) PutSession(s *Session) {
	b.put(appendID(b.key(), familySession, s.ID), appendSession(b.value(), s))
}

// DeleteSession deletes a session.
func (b *Batch) DeleteSession(id uint64) { b.delete(appendID(b.key(), familySession, id)) }

// PutWindow stores a part of a producer's window, in the place of the part 65
// below it. The producer's name has at most 255 bytes.
func (b *Batch) PutWindow(w *Window) {
	b.put(appendWindow(b.key(), w.Producer, w.Part), appendWindowValue(b.value(), w))
}

// DeleteProducer deletes all parts of a producer.
func (b *Batch) DeleteProducer(producer string) {
	from := appendProducer(b.key(), producer)
	to := append(appendProducer(b.end(), producer), windowParts)
	b.deleteRange(from, to)
}

// PutSequence stores the last sequence that was given to a message.
func (b *Batch) PutSequence(last uint64) {
	b.put(append(b.key(), familySequence), appendNumber(b.value(), last))
}

// Empty says whether nothing is in the batch.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Size is how many bytes the batch adds to the log.
func (b *Batch) Size() int { return b.b.Len() }

// Commit makes the batch durable: when it returns nil, the sync that covers it
// is done. After an error, which Options.Failed is told as well, the store does
// nothing any more, and whether the batch is in it is not known. The batch is
// given back either way.
func (b *Batch) Commit() error {
	d := b.d
	if b.b.Empty() {
		d.batches.Put(b)
		return d.ready()
	}
	if err := d.ready(); err != nil {
		return err // the batch is left to the collector
	}
	d.commits.Lock()
	err := d.guard.run(b.apply)
	d.commits.Unlock()
	if err != nil {
		return err // it may be in use by what was stopped
	}
	b.b.Reset()
	b.ranges, b.deleted = 0, 0
	d.batches.Put(b)
	return nil
}

func (b *Batch) apply() error {
	if err := b.d.db.Apply(b.b, pebble.Sync); err != nil {
		return err
	}
	// Every reader sorts the range deletions of a memtable anew after each new
	// one. In a table they are sorted, so there must not be too many before.
	// And what is deleted is given back only once its deletion is in a table: those
	// of a memtable may stand for gigabytes.
	if b.ranges > 0 || b.deleted > 0 {
		b.d.reclaim.note()
	}
	if b.ranges > 0 && b.d.ranges.Add(int64(b.ranges)) > flushEvery || b.deleted > 0 && b.d.deleted.Add(b.deleted) > flushDeleted {
		b.d.ranges.Store(0)
		b.d.deleted.Store(0)
		_, err := b.d.db.AsyncFlush()
		return err
	}
	return nil
}
