package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say how a Disk is opened. The zero value is right for production.
type Options struct {
	// FS is the file system; nil: that of the machine.
	FS vfs.FS
	// Failed is called once, when a write or a sync has failed, or when Pebble
	// gives up: the process must end. It is called wherever that is found, with
	// locks held, and must not call the store. Nil: panic. An error that Open
	// returns is not told.
	Failed func(error)
	// Logger gets what an operator must know: a slow disk, a full one, a
	// failure. Nil discards.
	Logger *slog.Logger
	// ReadOnly opens for reading only. The directory must exist, and nobody
	// else may have it open.
	ReadOnly bool

	// MemTableBytes is the size of a memtable, at least 64 KiB; 0: 16 MiB. Tests
	// make it small, so that little work leads to flushes and compactions.
	MemTableBytes uint64
	// FullPause is the pause before background work that found the disk full
	// tries again; 0: one second.
	FullPause time.Duration
}

// A Disk is the durable store in one directory. Its methods may be called from
// any goroutine; a Batch has one owner at a time.
type Disk struct {
	dir     string
	db      *pebble.DB
	guard   *guard
	lock    *pebble.Lock
	health  io.Closer
	log     *slog.Logger
	batches sync.Pool
	// commits is held by who commits: a record enters the log after the one before
	// was synced, which tells damage from a torn end (logs.go).
	commits sync.Mutex
	// ranges counts range deletions since the last forced flush; see flushEvery.
	ranges atomic.Int64
	// deleted is the bytes of messages that were deleted since then.
	deleted atomic.Int64
	reclaim reclaimer
	format  atomic.Uint64 // of the store, or of it and the batches that are not committed

	closing sync.Once
	closed  atomic.Bool
	closeTo error
}

// Open opens the store of a directory, or makes one in an empty or missing
// directory (mode 0700). The error wraps ErrInUse, ErrFormat or ErrCorrupt when
// it is one of these.
func Open(dir string, o Options) (*Disk, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Disk{dir: dir, log: o.Logger, health: io.NopCloser(nil)}
	if o.FS == nil {
		o.FS, d.health = vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, d.slow)
	}
	d.guard = newGuard(o, dir)
	d.batches.New = func() any { return &Batch{d: d} }
	if err := d.open(o); err != nil {
		d.closed.Store(true)
		return nil, errors.Join(fmt.Errorf("open the store in %q: %w", dir, err), d.release())
	}
	return d, nil
}

func (d *Disk) open(o Options) error {
	if err := prepare(o.FS, d.dir, o.ReadOnly); err != nil {
		return err
	}
	lock, err := lockDirectory(o.FS, d.dir)
	if err != nil {
		return err
	}
	d.lock = lock
	if !o.ReadOnly {
		if err := sweep(o.FS, d.dir); err != nil {
			return err
		}
	}
	if err := checkLogs(o.FS, d.dir); err != nil {
		return err
	}
	po := d.pebbleOptions(o)
	err = d.guard.run(func() error {
		db, err := pebble.Open(d.dir, po)
		if err == nil {
			d.db = db
		}
		return err
	})
	po.Cache.Unref()
	if err != nil {
		return explain(o.FS, d.dir, err)
	}
	if err := d.guard.apart(func() error { return d.checkFormat(o.ReadOnly) }); err != nil {
		return errors.Join(explain(o.FS, d.dir, err), d.guard.run(d.db.Close))
	}
	d.guard.armed.Store(true)
	return d.guard.failure() // one that came before is not told
}

// checkFormat refuses what is not a store of this format, and writes the format
// into a new store.
func (d *Disk) checkFormat(readOnly bool) (err error) {
	it, err := d.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() {
		if err := it.Error(); err != nil {
			return err
		}
		if readOnly {
			return fmt.Errorf("the directory holds %w: a store that was never begun; start the switch with it once", ErrFormat)
		}
		b := d.NewBatch()
		b.put([]byte{familyFormat}, appendNumber(b.value(), firstFormat))
		if err := b.Commit(); err != nil {
			return err
		}
		d.format.Store(firstFormat)
		// Pebble began the first log before it noted its version, so in the
		// oldest form, whose damage is harder to see. This begins the next.
		return d.guard.run(d.db.Flush)
	}
	if k := it.Key(); len(k) != 1 || k[0] != familyFormat {
		return fmt.Errorf("the directory holds %w: a database without the format record of a switch; give another directory", ErrFormat)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	f, err := decodeNumber(it.Key(), value)
	if err != nil {
		return err
	}
	if f < firstFormat || f > newestFormat {
		return fmt.Errorf("the directory holds %w %d; this version reads and writes formats %d to %d; "+
			"use the version that wrote it, or a newer one", ErrFormat, f, firstFormat, newestFormat)
	}
	d.format.Store(f)
	return nil
}

// Usage is what the file system of the store has: bytes that we may still use,
// and bytes in all.
func (d *Disk) Usage() (free, total uint64, err error) {
	u, err := d.guard.fs.GetDiskUsage(d.dir)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the space of the store in %q: %w", d.dir, err)
	}
	return u.AvailBytes, u.TotalBytes, nil
}

// Metrics describe the insides of the store, for a human.
func (d *Disk) Metrics() string {
	if d.ready() != nil {
		return ""
	}
	return d.db.Metrics().String()
}

// Checkpoint makes a copy of the store as it is now in dir, which must not
// exist. It takes hard links where it can, so dir should be on the same file
// system, and outside of the store's directory. An error other than one of the
// store itself leaves the store well, and a part of the copy behind.
func (d *Disk) Checkpoint(dir string) error {
	if err := d.ready(); err != nil {
		return err
	}
	var refused error
	err := d.guard.run(func() error {
		refused = d.db.Checkpoint(dir, pebble.WithFlushedWAL())
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("copy the store in %q to %q: %w", d.dir, dir, err)
	}
	return nil
}

// Close ends the use of the store and gives its directory free. A store that has
// failed stays locked until the process ends. Nobody may be using it.
func (d *Disk) Close() error {
	d.closing.Do(func() {
		d.closed.Store(true)
		d.guard.stop()
		if d.reclaim.stop != nil {
			d.reclaim.stop()
			d.reclaim.loop.Wait()
		}
		d.closeTo = d.guard.run(d.db.Close)
		if d.guard.failure() == nil {
			d.closeTo = errors.Join(d.closeTo, d.release())
		}
	})
	return d.closeTo
}

func (d *Disk) release() (err error) {
	if d.lock != nil && d.guard.failure() == nil {
		err = d.lock.Close()
	}
	return errors.Join(err, d.health.Close())
}

// ready says whether the store may be used.
func (d *Disk) ready() error {
	if err := d.guard.failure(); err != nil {
		return err
	}
	if d.closed.Load() {
		return ErrClosed
	}
	return nil
}
