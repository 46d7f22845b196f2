package store

import (
	"context"
	"sync"
	"time"
)

// Pebble gives the space of deleted messages back as it merges tables, and it
// merges them as long as it is written to. A backlog that is drained and then
// left alone would keep most of its space: measured, 239 of 320 MB, by an estimate
// of 64. So the store counts what lives, and has the messages' tables merged when
// they take much more.
const (
	reclaimEvery = 2 * time.Second
	// reclaimSlack is how much the tables may take beyond twice of what lives,
	// in bytes. Each merge rewrites what lives, so the factor bounds that work to
	// about once for each time that the store halves.
	reclaimSlack  = 64 << 20
	reclaimFactor = 2
	// While the disk is nearly full, it is a quarter and little more instead.
	shortSlack = 1 << 20
	shortShare = 4
	// liveCost is what a message takes beside its body, about, in bytes. Large
	// headers take more: then a merge wins little, and the next one waits twice as
	// long, up to lazyReclaim.
	liveCost    = 128
	lazyReclaim = 10 * time.Minute
)

// reclaimer counts what lives.
type reclaimer struct {
	ctx  context.Context // ends with the store
	stop context.CancelFunc
	loop sync.WaitGroup
	once sync.Once // tests begin several lives on one Disk

	mu      sync.Mutex // guards what is below
	queues  map[uint64]holding
	live    int64 // bytes in all queues
	deleted bool  // something was deleted since the last merge
	short   bool  // the disk is nearly full
	cuts    cuts
}

// A holding is what lives in a queue.
type holding struct {
	bytes  int64
	middle uint64 // a sequence between what is deleted and what is new; zero: unknown
}

// Short says whether the disk is nearly full: then what is deleted is given back
// soon, and not only when there is much of it.
func (d *Disk) Short(short bool) {
	r := &d.reclaim
	r.mu.Lock()
	defer r.mu.Unlock()
	r.short = short
}

func (d *Disk) startReclaiming() {
	r := &d.reclaim
	r.once.Do(func() {
		r.ctx, r.stop = context.WithCancel(context.Background())
		r.loop.Add(1)
		go d.reclaiming() // until Close, which waits
	})
}

func (d *Disk) reclaiming() {
	r := &d.reclaim
	defer r.loop.Done()
	pause := reclaimEvery
	tick := time.NewTimer(pause)
	defer tick.Stop()
	for ; ; tick.Reset(pause) {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		case <-d.guard.failed:
			return
		}
		if before := d.tables(); r.wasteful(before) {
			d.merge()
			if pause *= 2; d.tables() < before/4*3 {
				pause = reclaimEvery
			}
			pause = min(pause, r.patience())
		}
	}
}

// merge merges the messages' tables, part by part, so that there need not be room
// for all of them twice. Its only errors but a failure are that it was stopped and
// that the disk is full: then some parts may have been merged.
func (d *Disk) merge() {
	_ = d.guard.run(func() error {
		err := d.db.Compact(d.reclaim.ctx, []byte{familyIndex}, []byte{familyEnd}, true)
		if d.reclaim.ctx.Err() != nil || isFull(err) {
			return nil
		}
		return err
	})
}

// patience is how long a merge waits at most that would win little.
func (r *reclaimer) patience() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.short {
		return reclaimEvery
	}
	return lazyReclaim
}

// tables is how many bytes the tables have.
func (d *Disk) tables() int64 {
	total := d.db.Metrics().Total()
	return total.TablesSize
}

// wasteful reports whether the tables hold much that is dead.
func (r *reclaimer) wasteful(tables int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := reclaimFactor*r.live + reclaimSlack
	if r.short {
		most = r.live + r.live/shortShare + shortSlack
	}
	if !r.deleted || tables <= most {
		return false
	}
	r.deleted = false
	return true
}

// set notes what lives in a queue, and where its middle is.
func (r *reclaimer) set(queue uint64, s Stat, middle uint64) {
	bytes := int64(s.Bytes) + liveCost*int64(s.Messages)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queues == nil {
		r.queues = map[uint64]holding{}
	}
	r.live += bytes - r.queues[queue].bytes
	if bytes == 0 {
		delete(r.queues, queue)
	} else {
		r.queues[queue] = holding{bytes, middle}
	}
	r.cuts.set(queue, holding{bytes, middle})
}

// note says that something was deleted.
func (r *reclaimer) note() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deleted = true
}
