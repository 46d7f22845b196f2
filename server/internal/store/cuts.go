package store

import (
	"cmp"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// A table that is written to disk is merged with all older ones that it lies over.
// So it matters where tables end.
//
// The few keys before the messages change with every batch: a table that went from
// them to the messages would lie over all older messages, and these be written
// anew with each merge. And in a queue that holds much, messages are deleted at one
// end and new ones come at the other: a table with both would lie over all that
// waits between them. Tables that end in the gap are merged with what they delete,
// and moved where they are new.
const (
	// A queue that holds cutFrom bytes is cut in its middle, and until it holds
	// only half of that.
	cutFrom = 32 << 20
	// maxCuts bounds what cuts add to each flush: a small table or two each.
	maxCuts = 32
)

// cuts are the queues to cut, the largest ones.
type cuts struct{ queues []cut } // in the order of their numbers

type cut struct {
	queue uint64
	holding
}

// set notes what a queue holds.
func (c *cuts) set(queue uint64, h holding) {
	i, found := slices.BinarySearchFunc(c.queues, queue, func(q cut, n uint64) int { return cmp.Compare(q.queue, n) })
	switch {
	case found && h.bytes < cutFrom/2:
		c.queues = slices.Delete(c.queues, i, i+1)
	case found:
		c.queues[i].holding = h
	case h.bytes >= cutFrom && c.room(h.bytes):
		i, _ = slices.BinarySearchFunc(c.queues, queue, func(q cut, n uint64) int { return cmp.Compare(q.queue, n) })
		c.queues = slices.Insert(c.queues, i, cut{queue, h})
	}
}

// room reports whether a queue of so many bytes is cut: in place of a smaller one,
// if need be.
func (c *cuts) room(bytes int64) bool {
	if len(c.queues) < maxCuts {
		return true
	}
	i := 0
	for n := range c.queues {
		if c.queues[n].bytes < c.queues[i].bytes {
			i = n
		}
	}
	if c.queues[i].bytes >= bytes/2 {
		return false // they would take turns
	}
	c.queues = slices.Delete(c.queues, i, i+1)
	return true
}

// after is the first cut behind a message of a family, or the end of the family.
func (c *cuts) after(family byte, queue, sequence uint64) []byte {
	for _, q := range c.queues {
		if q.queue > queue || q.queue == queue && q.middle > sequence {
			return appendPlace(nil, family, q.queue, q.middle)
		}
	}
	return []byte{family + 1}
}

// tableEnd says where the table that begins with a key has to end: before end, if
// that is not nil.
func (d *Disk) tableEnd(key []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if len(key) == 0 || key[0] < familyIndex {
		return policy, []byte{familyIndex}, nil
	}
	queue, sequence, err := splitPlace(key[:min(len(key), sizePlace)]) // the bound of a deletion is longer
	if family := key[0]; err != nil || family != familyMessage && family != familyRequest {
		return policy, []byte{family + 1}, nil
	}
	d.reclaim.mu.Lock()
	defer d.reclaim.mu.Unlock()
	return policy, d.reclaim.cuts.after(key[0], queue, sequence), nil
}
