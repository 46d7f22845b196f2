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
	if err := d.gather(r.s.Requests[:len(r.index)]); err != nil {
		return Start{}, fmt.Errorf("put the requests of the store in %q together: %w", d.dir, err)
	}
	slices.SortFunc(r.s.Requests, func(a, b Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
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
	s      Start
	hasKey bool
	index  []Place // of the requests that are among the messages: the first of s.Requests
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
	if err := r.readIndexed(it); err != nil {
		return err
	}
	if err := r.readFrom(it, familyKeyed); err != nil {
		return err
	}
	return r.readAttempts(it)
}

// readFrom reads all records from a family on.
func (r *reading) readFrom(it *pebble.Iterator, family byte) error {
	for ok := it.SeekGE([]byte{family}); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := r.add(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
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
		r.index = append(r.index, v)
	case *Message:
		s.Requests = append(s.Requests, *v)
	case *Keyed:
		s.Keyed = append(s.Keyed, *v)
	}
	return nil
}

// readIndexed reads the requests that formats 1 and 2 have among the messages.
func (r *reading) readIndexed(it *pebble.Iterator) error {
	var key []byte
	for _, at := range r.index {
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
		if !m.Request {
			return corrupt(key, "it is in the index of requests, and is none")
		}
		r.s.Requests = append(r.s.Requests, *m)
	}
	return nil
}

// readAttempts reads those of the requests.
func (r *reading) readAttempts(it *pebble.Iterator) error {
	var key []byte
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
	return nil
}

// gather moves requests from among the messages to where they are now, which makes
// the store one of the newest format. What a crash leaves is moved by the next start.
func (d *Disk) gather(requests []Message) error {
	const most = 1 << 20 // a batch ends beyond so many bytes
	for len(requests) > 0 {
		b := d.NewBatch()
		for len(requests) > 0 && b.Size() < most {
			m := &requests[0]
			b.delete(appendPlace(b.key(), familyIndex, m.Queue, m.Sequence))
			b.delete(appendPlace(b.key(), familyMessage, m.Queue, m.Sequence))
			b.PutMessage(m)
			requests = requests[1:]
		}
		if err := b.Commit(); err != nil {
			return err
		}
	}
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
