package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// A full disk must not end the switch: the log of the store would find no room,
// and that is a failure. So a reserve is kept. Below it nothing new is stored
// (queue.Space), and what is left serves acks, deletes, dead letters and the
// merging of tables, which make room again.
//
// Others write to the disk too. Half of the reserve is therefore a ballast: a
// file that really takes its space, so that nobody else can. When the disk runs
// low all the same, the ballast is given up for what goes on, and made again once
// there is room.

const (
	// lookEvery is how often the free space is looked at, also when nothing is
	// written: others write.
	lookEvery = 200 * time.Millisecond
	// A look follows each 1/lookShare of the reserve that is written, so that what
	// goes past the reserve between two looks is a small part of it.
	lookShare = 32
	// The ballast is 1/ballastShare of the reserve, and is given up when less than
	// 1/lowShare of the reserve is free beside it.
	ballastShare = 2
	lowShare     = 8
	// Sends are taken again when 1/slackShare of the reserve, but no more than
	// maxSlack, is free beyond it: the state must not flicker.
	slackShare = 4
	maxSlack   = 256 << 20
)

// space watches the free space of the disk.
type space struct {
	written atomic.Int64  // since the last look
	wake    chan struct{} // buffered; never closed
	info    atomic.Pointer[Space]

	mu      sync.Mutex // held by who looks; guards what is below
	ballast ballast
	full    bool
	blind   bool // the last look has failed
}

// Space is what there is of the disk, in bytes.
type Space struct {
	Dir      string
	Free     uint64 // that the switch may use, its ballast among it
	Ballast  uint64
	Total    uint64
	Reserve  uint64 // below it nothing new is stored
	Refusing bool
}

// Space is what the last look has found; zero without a disk.
func (e *Engine) Space() Space {
	if s := e.space.info.Load(); s != nil {
		return *s
	}
	return Space{Dir: e.dir}
}

func (e *Engine) startSpace() {
	b := &e.space.ballast
	b.dir, b.want = e.dir, e.config.Reserve/ballastShare
	if n := b.bytes(); n != 0 && n != b.want {
		_ = b.drop() // of another reserve
	}
	if e.config.Reserve == 0 {
		return
	}
	e.look(false) // before the first Send
	e.commit.loops.Add(1)
	go e.watchSpace() // until closeDisk, which waits
}

func (e *Engine) watchSpace() {
	defer e.commit.loops.Done()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		e.look(true)
		select {
		case <-tick.C:
		case <-e.space.wake:
		case <-e.commit.quit:
			return
		}
	}
}

// wrote counts what was committed, and has the watcher look when that is much. A
// disk that does not answer holds up the watcher alone.
func (e *Engine) wrote(n int) {
	if e.config.Reserve != 0 && e.space.written.Add(int64(n)) >= int64(e.config.Reserve/lookShare) {
		signal(e.space.wake)
	}
}

// look looks at the free space, and has the core refuse or take what is new. Only
// the watcher makes the ballast: that may take long.
func (e *Engine) look(mayMake bool) {
	s := &e.space
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written.Store(0)
	free, total, err := e.disk.Usage()
	if err != nil {
		if !s.blind {
			e.config.Logger.Warn("the free space of the disk can't be told; a full disk is noticed too late", "data_dir", e.dir, "err", err)
		}
		s.blind = true
		return
	}
	s.blind = false
	now := Space{Dir: e.dir, Ballast: s.ballast.bytes(), Total: total, Reserve: e.config.Reserve}
	now.Free = free + now.Ballast
	s.decide(e, &now)
	s.keepBallast(e, &now, free, mayMake)
	before := s.info.Swap(&now)
	if now.Refusing || before != nil && before.Refusing {
		e.tellSpace(&now)
	}
}

// decide says whether anything new is taken from here on.
func (s *space) decide(e *Engine, now *Space) {
	log := e.config.Logger.With("data_dir", e.dir, "free", now.Free, "reserve", now.Reserve)
	switch {
	case !s.full && now.Free < now.Reserve:
		s.full = true
		log.Warn("the disk is nearly full: nothing new is stored until there is room; acks, replies and deliveries go on")
	case s.full && now.Free >= now.Reserve+slack(now.Reserve):
		s.full = false
		log.Info("the disk has room again: durable queues take messages")
	}
	now.Refusing = s.full
	e.disk.Short(s.full)
}

func slack(reserve uint64) uint64 { return min(reserve/slackShare, maxSlack) }

// keepBallast gives the ballast up when the disk is low, and makes it again when
// there is room.
func (s *space) keepBallast(e *Engine, now *Space, free uint64, mayMake bool) {
	log := e.config.Logger.With("data_dir", e.dir, "ballast", s.ballast.want)
	switch {
	case now.Ballast > 0 && free < now.Reserve/lowShare:
		if err := s.ballast.drop(); err != nil {
			log.Warn("the ballast can't be given up", "err", err)
			return
		}
		now.Ballast = 0
		log.Warn("the disk is filling up: the ballast was given up for acks and deletes")
	case now.Ballast == 0 && mayMake && !now.Refusing && free >= now.Reserve+slack(now.Reserve):
		made, err := s.ballast.make()
		if err != nil {
			log.Warn("there is no ballast: the reserve is only as good as others leave it", "err", err)
			return
		}
		now.Ballast = made
	}
}

// tellSpace tells the core.
func (e *Engine) tellSpace(now *Space) {
	op := &queue.Space{}
	if now.Refusing {
		op.Full = fmt.Sprintf("the disk of the data directory %q has %s left, and the switch keeps %s in reserve for acks and deletes: "+
			"nothing new is stored; retry later, take messages off, or make room on the disk", now.Dir, mebibytes(now.Free), mebibytes(now.Reserve))
	}
	var tx Tx
	e.Begin(&tx)
	defer tx.End()
	_, _ = tx.Apply(op) // it has no error but that of a failed disk
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
