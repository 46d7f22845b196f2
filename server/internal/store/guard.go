package store

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guard makes the store stop at the first write or sync that fails, and at a table
// that can't be read. Pebble itself would panic then, with locks released that it
// releases again or in a goroutine of its own, which nothing can catch, or try
// anew, which after a failed sync proves nothing. So the guard stands between
// Pebble and the file system: it remembers the failure, tells it, and never returns
// to Pebble. Whoever waits for Pebble does so in run
// and is let go with the error. The goroutines that were stopped stay, as the
// process is to end.
type guard struct {
	fs    vfs.FS
	dir   string
	log   *slog.Logger
	tell  func(error)
	armed atomic.Bool // set once the store is open: only then failures are told
	pause time.Duration

	once     sync.Once
	failed   chan struct{} // closed by fail
	err      error         // set before failed is closed
	stopOnce sync.Once
	stopped  chan struct{} // closed by stop
}

func newGuard(o Options, dir string) *guard {
	g := &guard{
		fs: o.FS, dir: dir, log: o.Logger, tell: o.Failed, pause: o.FullPause,
		failed: make(chan struct{}), stopped: make(chan struct{}),
	}
	if g.pause <= 0 {
		g.pause = time.Second
	}
	if g.tell == nil {
		// Not in the goroutine that found it: unwinding that would run into
		// Pebble's locks and hide the message.
		g.tell = func(err error) { go panic(err) }
	}
	return g
}

// fail remembers the first failure and tells it.
func (g *guard) fail(err error) {
	g.once.Do(func() {
		g.err = fmt.Errorf("%w: store in %q: %w", ErrFailed, g.dir, err)
		close(g.failed)
		if g.armed.Load() {
			g.log.Error("the store has failed", "err", g.err)
			g.tell(g.err)
		}
	})
}

// failure is the error after a failure, or nil.
func (g *guard) failure() error {
	select {
	case <-g.failed:
		return g.err
	default:
		return nil
	}
}

// stop ends the pauses on a full disk.
func (g *guard) stop() { g.stopOnce.Do(func() { close(g.stopped) }) }

// run calls into Pebble for writing. Any error of f is a failure.
func (g *guard) run(f func() error) error {
	return g.apart(func() error {
		err := f()
		if err != nil && g.armed.Load() {
			g.fail(err)
			err = g.err
		}
		return err
	})
}

// apart calls f in a goroutine of its own, as that may be stopped for ever: also
// when it only reads, since what was stopped before may hold locks of Pebble's.
// After a failure it returns that; what f has written so far is not to be looked
// at then, as f may be at it still.
func (g *guard) apart(f func() error) error {
	if err := g.failure(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { // ends with f, or is stopped by block
		defer func() {
			if r := recover(); r != nil {
				g.fail(fmt.Errorf("panic: %v", r))
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-g.failed:
		return g.err
	}
}

// block stops the goroutine for ever.
func block() { select {} }

// outcome looks at the outcome of a guarded call on a file. It returns when
// there was no error, when the file is not of the store (a checkpoint's), and
// when the disk is full and what was written is a table: Pebble has that in
// memory and in the log, so it drops the torn table and makes another.
func (g *guard) outcome(verb, name string, err error) error {
	if err == nil || g.dirOf(name) != g.fs.PathJoin(g.dir) {
		return err
	}
	if isFull(err) && isTable(name) {
		select {
		case <-time.After(g.pause):
		case <-g.stopped:
		}
		return err
	}
	g.fail(fmt.Errorf("%s %s: %w", verb, g.fs.PathBase(name), err))
	block()
	return nil
}

// dirOf is the directory of a file, or the store's own for itself.
func (g *guard) dirOf(name string) string {
	if dir := g.fs.PathJoin(g.dir); g.fs.PathJoin(name) == dir {
		return dir
	}
	return g.fs.PathDir(name)
}

// background takes an error of Pebble's flushes, compactions and the like, which
// it would try again at once and for ever. A full disk may heal; outcome has made
// the pause.
func (g *guard) background(err error) {
	if isFull(err) {
		g.log.Warn("the disk is full", "err", err)
		return
	}
	g.fail(mark(err))
	block()
}

func isFull(err error) bool {
	return vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT)
}

func isTable(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".sst" || ext == ".blob"
}
