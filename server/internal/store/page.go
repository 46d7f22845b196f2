package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Messages hands the stored messages of a queue with from <= Sequence <= to to f,
// in order and with their attempts, but not the requests, which Start has read. It
// stops after maxMessages, or once their bodies reach maxBytes, but not before the
// first; 0 is no limit. Every message up to through was handed over: it is to
// itself when no more are left. The messages are f's to keep.
//
// What it sees are the batches that were committed when it was called, and maybe
// one that is being committed.
func (d *Disk) Messages(queue, from, to uint64, maxMessages, maxBytes int, f func(*Message)) (through uint64, err error) {
	if err := d.ready(); err != nil {
		return 0, err
	}
	if from > to {
		return to, nil
	}
	var found []*Message // f is called here, not where a failure leaves somebody behind
	var last uint64
	err = d.guard.apart(func() (err error) {
		last, err = d.page(queue, from, to, maxMessages, maxBytes, func(m *Message) { found = append(found, m) })
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read queue %d of the store in %q: %w", queue, d.dir, mark(err))
	}
	for _, m := range found {
		f(m)
	}
	return last, nil
}

func (d *Disk) page(queue, from, to uint64, maxMessages, maxBytes int, f func(*Message)) (through uint64, err error) {
	bounds := func(family byte) *pebble.IterOptions {
		return &pebble.IterOptions{
			LowerBound: appendPlace(nil, family, queue, from),
			UpperBound: after(appendPlace(nil, family, queue, to)),
		}
	}
	it, err := d.db.NewIter(bounds(familyMessage))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	// A clone sees the same state.
	beside, err := it.Clone(pebble.CloneOptions{IterOptions: bounds(familyAttempts)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, beside.Close()) }()

	messages, bytes := 0, 0
	hasAttempts := beside.First()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		m, err := decodeMessage(it.Key(), value)
		if err != nil {
			return 0, err
		}
		if hasAttempts, err = m.addAttempts(beside, hasAttempts); err != nil {
			return 0, err
		}
		f(m)
		messages++
		bytes += len(m.Body)
		if messages == maxMessages || maxBytes > 0 && bytes >= maxBytes {
			return m.Sequence, nil
		}
	}
	return to, errors.Join(it.Error(), beside.Error())
}

// addAttempts takes the attempts of m from an iterator over attempts, which is
// behind those of the message before.
func (m *Message) addAttempts(it *pebble.Iterator, ok bool) (bool, error) {
	for ok {
		_, sequence, err := splitPlace(it.Key())
		if err != nil {
			return false, err
		}
		if sequence > m.Sequence {
			return true, nil
		}
		if sequence == m.Sequence {
			value, err := it.ValueAndErr()
			if err != nil {
				return false, err
			}
			if m.Attempts, err = decodeAttempts(it.Key(), value); err != nil {
				return false, err
			}
			return it.Next(), it.Error()
		}
		ok = it.Next()
	}
	return false, it.Error()
}
