package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Record is one record of a store.
type Record struct {
	Name string // which record it is, in words
	// Value is what the record holds: a Format, Queue, QueueStat, Session,
	// Window, Epoch, LastSequence, Place, PlaceAttempts, *Keyed, or *Message,
	// whose Attempts are a record of their own. It is a SigningKey without the key.
	Value any
}

type (
	// Format is the number of the store's format.
	Format uint64
	// LastSequence is the last one that was given to a message.
	LastSequence uint64
	// SigningKey is the secret that signs session tokens.
	SigningKey [32]byte
	// QueueStat is the stat of a queue.
	QueueStat struct {
		Queue uint64
		Stat
	}
	// Place is an entry of the index of requests, which formats 1 and 2 have.
	Place struct{ Queue, Sequence uint64 }
	// PlaceAttempts is how many attempts of a message count.
	PlaceAttempts struct {
		Place
		Attempts int
	}
)

// Dump reads everything in the store of a directory, in the order of the keys; but
// requests are among the other messages of their queue. Nobody else may have it
// open. A record that can't be decoded is an error that names it, and the records
// behind it follow; any other error is the last.
func Dump(dir string, o Options) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		o.ReadOnly = true
		d, err := Open(dir, o)
		if err != nil {
			yield(Record{}, err)
			return
		}
		more := true
		err = d.each(func(key, value []byte) bool {
			v, err := decodeRecord(key, value)
			if _, secret := v.(SigningKey); secret {
				v = SigningKey{}
			}
			more = yield(Record{Name: name(key), Value: v}, err)
			return more
		})
		if err = errors.Join(err, d.Close()); err != nil && more {
			yield(Record{}, fmt.Errorf("read the store in %q: %w", dir, mark(err)))
		}
	}
}

// each calls f for each record, until that is enough: in the order of the keys, but
// the requests come among the other messages. Key and value are lent.
func (d *Disk) each(f func(key, value []byte) (more bool)) (err error) {
	it, err := d.db.NewIter(&pebble.IterOptions{UpperBound: []byte{familyRequest}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	requests, err := it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: []byte{familyRequest}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, requests.Close()) }()
	it.First()
	requests.First()
	for it.Valid() || requests.Valid() {
		next := it
		if !it.Valid() || requests.Valid() && isBefore(requests.Key(), it.Key()) {
			next = requests
		}
		value, err := next.ValueAndErr()
		if err != nil {
			return err
		}
		if !f(next.Key(), value) {
			return nil
		}
		next.Next()
	}
	return errors.Join(it.Error(), requests.Error())
}

// isBefore reports whether a request comes before another record.
func isBefore(request, key []byte) bool {
	return key[0] > familyMessage || key[0] == familyMessage && bytes.Compare(request[1:], key[1:]) < 0
}

// decodeRecord reads any record. Nothing of it points into key or value.
func decodeRecord(key, value []byte) (any, error) {
	if len(key) == 0 {
		return nil, corrupt(key, "every record has a family")
	}
	if key[0] <= familySequence && len(key) > 1 {
		return nil, corrupt(key, "its key has %d bytes instead of 1", len(key))
	}
	switch key[0] {
	case familyFormat:
		v, err := decodeNumber(key, value)
		return Format(v), err
	case familyKey:
		v, err := decodeKey(key, value)
		return SigningKey(v), err
	case familySequence:
		v, err := decodeNumber(key, value)
		return LastSequence(v), err
	case familyEpoch:
		return decodeEpoch(key, value)
	case familyQueue:
		return decodeQueue(key, value)
	case familyStat:
		queue, stat, err := decodeStat(key, value)
		return QueueStat{queue, stat}, err
	case familySession:
		return decodeSession(key, value)
	case familyWindow:
		return decodeWindow(key, value)
	case familyIndex:
		return decodePlace(key, value)
	case familyAttempts:
		p, err := decodePlace(key, nil)
		if err != nil {
			return nil, err
		}
		n, err := decodeAttempts(key, value)
		return PlaceAttempts{p, n}, err
	case familyMessage, familyRequest:
		return decodeMessage(key, value)
	case familyKeyed:
		return decodeKeyed(key, value)
	}
	return nil, corrupt(key, "this version knows no such records")
}

// decodePlace reads an entry of an index, which has no value.
func decodePlace(key, value []byte) (p Place, err error) {
	if p.Queue, p.Sequence, err = splitPlace(key); err != nil {
		return p, err
	}
	if len(value) > 0 {
		return p, corrupt(key, "it has a value of %d bytes, and should have none", len(value))
	}
	return p, nil
}
