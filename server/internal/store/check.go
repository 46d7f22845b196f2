package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Report is what Check found in a store.
type Report struct {
	Tables   int // files that were read
	Queues   int
	Messages int
	Bytes    int // of the messages' bodies
	Requests int // among the messages
	Sessions int
	Windows  int
	Keyed    int // calls with a key, running or answered
	// Problems say what is wrong, in the order in which it was found; at most
	// MaxProblems. None: all is well.
	Problems []string
}

// MaxProblems is how many problems a Report lists; the last says that there are
// more.
const MaxProblems = 100

func (r *Report) problem(format string, args ...any) {
	switch n := len(r.Problems); {
	case n < MaxProblems-1:
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	case n == MaxProblems-1:
		r.Problems = append(r.Problems, "there are more problems")
	}
}

// Check reads everything in the store of a directory, down to the checksum of
// each block, and says whether the records are whole and fit together. Nobody
// else may have it open; nothing in it is changed. A store that can't be opened
// is an error; what is wrong inside is in the report. Progress, if not nil, is
// told how much of the work is done, in bytes; the total is an estimate.
func Check(dir string, o Options, progress func(done, total uint64)) (*Report, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	o.ReadOnly = true
	d, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	c := checking{d: d, progress: progress, live: make(map[uint64]Stat), stat: make(map[uint64]Stat), queue: make(map[uint64]bool), asked: make(map[Place]bool)}
	err = c.tables()
	if err == nil {
		err = c.records()
	}
	if err == nil {
		c.fit()
	} else {
		c.r.problem("%v", err) // the rest can't be read
	}
	progress(c.total, c.total)
	return &c.r, d.Close()
}

type checking struct {
	d           *Disk
	r           Report
	progress    func(done, total uint64)
	done, total uint64

	last     uint64 // sequence
	queue    map[uint64]bool
	stat     map[uint64]Stat // as stored
	live     map[uint64]Stat // as counted
	index    []Place         // of requests, not yet met as messages
	attempts []Place         // the same
	asked    map[Place]bool  // the requests
}

func (c *checking) step(n uint64) {
	c.done = min(c.done+n, c.total)
	c.progress(c.done, c.total)
}

// tables reads each block of each table.
func (c *checking) tables() error {
	levels, err := c.d.db.SSTables()
	if err != nil {
		return err
	}
	sizes := make(map[string]uint64)
	for _, level := range levels {
		for _, t := range level {
			sizes[fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))] = t.Size
		}
	}
	for _, size := range sizes {
		c.total += 2 * size // once for its blocks, once for its records
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if err := c.table(name); err != nil {
			c.r.problem("table %s is damaged: %v", name, err)
		}
		c.r.Tables++
		c.step(sizes[name])
	}
	return nil
}

func (c *checking) table(name string) error {
	fs := c.d.guard.fs
	f, err := fs.Open(fs.PathJoin(c.d.dir, name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	o := pebble.Options{Comparer: comparer}
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// records reads all records. The index of requests, where there is one, and the
// attempts come before the messages, in the same order.
func (c *checking) records() error {
	return c.d.each(func(key, value []byte) bool {
		v, err := decodeRecord(key, value)
		if err != nil {
			c.r.problem("%v", err)
		} else {
			c.record(v)
			if m, ok := v.(*Message); ok && key[0] == familyMessage {
				c.indexed(m)
			} else if ok && !m.Request {
				c.r.problem("message %d of queue %d is among the requests, and is none", m.Sequence, m.Queue)
			}
		}
		c.step(uint64(len(key) + len(value)))
		return true
	})
}

func (c *checking) record(v any) {
	switch v := v.(type) {
	case LastSequence:
		c.last = uint64(v)
	case Queue:
		c.r.Queues++
		c.queue[v.ID] = true
	case QueueStat:
		c.stat[v.Queue] = v.Stat
	case Session:
		c.r.Sessions++
	case Window:
		c.r.Windows++
	case Place:
		c.index = append(c.index, v)
	case PlaceAttempts:
		c.attempts = append(c.attempts, v.Place)
	case *Message:
		c.message(v)
	case *Keyed:
		c.keyed(v)
	}
}

func (c *checking) message(m *Message) {
	c.r.Messages++
	c.r.Bytes += len(m.Body)
	s := c.live[m.Queue]
	s.Messages++
	s.Bytes += len(m.Body)
	c.live[m.Queue] = s
	at := Place{m.Queue, m.Sequence}
	if m.Request {
		c.r.Requests++
		c.asked[at] = true
	}
	c.attempts, _ = c.meet(c.attempts, at, "the attempts")
	if m.Sequence > c.last {
		c.r.problem("message %d of queue %d is above the last sequence, %d", m.Sequence, m.Queue, c.last)
	}
}

// indexed compares a message that is not apart with the index.
func (c *checking) indexed(m *Message) {
	var listed bool
	if c.index, listed = c.meet(c.index, Place{m.Queue, m.Sequence}, "the index of requests"); listed != m.Request {
		c.r.problem("message %d of queue %d: request is %v, in the index of requests is %v", m.Sequence, m.Queue, m.Request, listed)
	}
}

// keyed looks at a call with a key: the messages come before.
func (c *checking) keyed(k *Keyed) {
	c.r.Keyed++
	switch {
	case !c.queue[k.Queue]:
		c.r.problem("the call with key %q, of message %d, is in queue %d, which has no definition", k.Key, k.Request, k.Queue)
	case k.Answered == c.asked[Place{k.Queue, k.Request}]:
		c.r.problem("the call with key %q of queue %d: answered is %v, and its request, message %d, is there: %v", k.Key, k.Queue, k.Answered, k.Request, k.Answered)
	}
}

// meet takes the entries up to a message from a sorted list: those before it
// have no message.
func (c *checking) meet(list []Place, at Place, what string) (rest []Place, met bool) {
	for len(list) > 0 && (list[0].Queue < at.Queue || list[0].Queue == at.Queue && list[0].Sequence <= at.Sequence) {
		if met = list[0] == at; !met {
			c.r.problem("%s of message %d of queue %d are left, and the message is missing", what, list[0].Sequence, list[0].Queue)
		}
		list = list[1:]
	}
	return list, met
}

// fit compares what was counted with what is noted.
func (c *checking) fit() {
	end := Place{1<<64 - 1, 1<<64 - 1}
	c.meet(c.index, end, "the index of requests")
	c.meet(c.attempts, end, "the attempts")
	for _, id := range slices.Sorted(maps.Keys(c.live)) {
		if !c.queue[id] {
			c.r.problem("queue %d has %d messages and no definition", id, c.live[id].Messages)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.queue)) {
		if s, l := c.stat[id], c.live[id]; s.Messages != l.Messages || s.Bytes != l.Bytes {
			c.r.problem("queue %d has %d messages of %d bytes; %d of %d are noted", id, l.Messages, l.Bytes, s.Messages, s.Bytes)
		}
	}
}
