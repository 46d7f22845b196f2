package store

import "context"

// Comparer is what a store is written with.
var Comparer = comparer

// Reset empties a batch.
func (b *Batch) Reset() { b.b.Reset() }

// Flush writes what is in memory to tables, and Compact merges those.
func (d *Disk) Flush() error { return d.db.Flush() }

// Compact merges all tables.
func (d *Disk) Compact() error {
	return d.db.Compact(context.Background(), []byte{0}, []byte{familyEnd}, false)
}

// Failed is closed when the store has failed.
func (d *Disk) Failed() <-chan struct{} { return d.guard.failed }

// DecodeRecord reads any record.
var DecodeRecord = decodeRecord

// Encode writes a record that DecodeRecord has read.
func Encode(v any) (key, value []byte) {
	switch v := v.(type) {
	case Format:
		return []byte{familyFormat}, appendNumber(nil, uint64(v))
	case SigningKey:
		return []byte{familyKey}, appendKey(nil, v)
	case LastSequence:
		return []byte{familySequence}, appendNumber(nil, uint64(v))
	case Epoch:
		return appendID(nil, familyEpoch, v.Epoch), appendNumber(nil, v.First)
	case Queue:
		return appendID(nil, familyQueue, v.ID), appendQueue(nil, &v)
	case QueueStat:
		return appendID(nil, familyStat, v.Queue), appendStat(nil, v.Stat)
	case Session:
		return appendID(nil, familySession, v.ID), appendSession(nil, &v)
	case Window:
		return appendWindow(nil, v.Producer, v.Part), appendWindowValue(nil, &v)
	case Place:
		return appendPlace(nil, familyIndex, v.Queue, v.Sequence), nil
	case PlaceAttempts:
		return appendPlace(nil, familyAttempts, v.Queue, v.Sequence), appendInt([]byte{valueFormat}, int64(v.Attempts))
	case *Keyed:
		return appendPlace(nil, familyKeyed, v.Queue, v.Request), appendKeyed(nil, v)
	case *Message:
		return appendPlace(nil, v.family(), v.Queue, v.Sequence), append(appendHead(nil, v), v.Body...)
	}
	panic(v)
}

// EncodeIndexed writes a message as formats 1 and 2 have requests.
func EncodeIndexed(m *Message) (key, value []byte) {
	return appendPlace(nil, familyMessage, m.Queue, m.Sequence), append(appendHead(nil, m), m.Body...)
}

// PutRaw puts a record as it is.
func (b *Batch) PutRaw(key, value []byte) { b.put(key, value) }

// Merged is how many bytes merges have written.
func (d *Disk) Merged() (n uint64) {
	m := d.db.Metrics()
	for _, l := range m.Levels {
		n += l.TableBytesCompacted
	}
	return n
}
