package store

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Start begins a life of the switch: it reads all but the messages that nobody
// waits for in person, and notes the new epoch before it returns. Epochs in which
// no stored message was made are forgotten.
func (d *Disk) Start(now time.Time) (Start, error) {
	if err := d.ready(); err != nil {
		return Start{}, err
	}
	r := reading{s: Start{Stats: make(map[uint64]Stat)}}
	if err := d.guard.apart(func() error { return d.read(&r) }); err != nil {
		return Start{}, fmt.Errorf("read the store in %q: %w", d.dir, mark(err))
	}
	if err := d.begin(&r, uint64(now.UnixMilli())); err != nil {
		return Start{}, fmt.Errorf("begin an epoch of the store in %q: %w", d.dir, err)
	}
	d.startReclaiming()
	for queue, stat := range r.s.Stats {
		d.reclaim.set(queue, stat, 0)
	}
	d.reclaim.note() // what an earlier life has deleted
	return r.s, nil
}

// reading is a start while it is being read.
type reading struct {
	s        Start
	hasKey   bool
	requests []Place
}

func (d *Disk) read(r *reading) (err error) {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte{familyFormat}, UpperBound: []byte{familyEnd}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && it.Key()[0] < familyAttempts; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := r.add(it.Key(), value); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	r.s.Windows = dropStale(r.s.Windows)
	if err := r.readRequests(it); err != nil {
		return err
	}
	return r.readKeyed(it)
}

// add takes a record.
func (r *reading) add(key, value []byte) error {
	v, err := decodeRecord(key, value)
	if err != nil {
		return err
	}
	s := &r.s
	switch v := v.(type) {
	case SigningKey:
		s.Key, r.hasKey = v, true
	case LastSequence:
		s.Sequence = uint64(v)
	case Epoch:
		s.Epochs = append(s.Epochs, v)
	case Queue:
		s.Queues = append(s.Queues, v)
	case QueueStat:
		s.Stats[v.Queue] = v.Stat
	case Session:
		s.Sessions = append(s.Sessions, v)
	case Window:
		s.Windows = append(s.Windows, v)
	case Place:
		r.requests = append(r.requests, v)
	}
	return nil
}

// readRequests reads the messages of the index, and then their attempts: in the
// order of the keys, as that is how they lie on the disk.
func (r *reading) readRequests(it *pebble.Iterator) error {
	var key []byte
	for _, at := range r.requests {
		key = appendPlace(key[:0], familyMessage, at.Queue, at.Sequence)
		value, err := find(it, key)
		if err != nil {
			return err
		}
		if value == nil {
			return corrupt(key, "it is in the index of requests, and missing")
		}
		m, err := decodeMessage(key, value)
		if err != nil {
			return err
		}
		r.s.Requests = append(r.s.Requests, *m)
	}
	for i := range r.s.Requests {
		m := &r.s.Requests[i]
		key = appendPlace(key[:0], familyAttempts, m.Queue, m.Sequence)
		value, err := find(it, key)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if m.Attempts, err = decodeAttempts(key, value); err != nil {
			return err
		}
	}
	slices.SortFunc(r.s.Requests, func(a, b Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return nil
}

// find is the value of a key, or nil.
func find(it *pebble.Iterator, key []byte) ([]byte, error) {
	if !it.SeekGE(key) || string(it.Key()) != string(key) {
		return nil, it.Error()
	}
	return it.ValueAndErr()
}

// begin notes the new epoch, and makes the signing key the first time.
func (d *Disk) begin(r *reading, now uint64) error {
	s := &r.s
	b := d.NewBatch()
	s.Epoch = now
	if n := len(s.Epochs); n > 0 {
		s.Epoch = max(now, s.Epochs[n-1].Epoch+1)
	}
	e := Epoch{Epoch: s.Epoch, First: s.Sequence + 1}
	s.Epochs = slices.DeleteFunc(s.Epochs, func(old Epoch) bool {
		empty := old.First >= e.First
		if empty {
			b.delete(appendID(b.key(), familyEpoch, old.Epoch))
		}
		return empty
	})
	s.Epochs = append(s.Epochs, e)
	b.put(appendID(b.key(), familyEpoch, e.Epoch), appendNumber(b.value(), e.First))
	if !r.hasKey {
		if _, err := rand.Read(s.Key[:]); err != nil {
			return err
		}
		b.put(append(b.key(), familyKey), appendKey(b.value(), s.Key))
	}
	return b.Commit()
}
