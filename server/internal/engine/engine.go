package engine

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// A Sink is where effects go. Its methods but Flush are called under the
// engine's lock: they note what they are told and neither block nor call back.
// They report whether the Sink has become dirty: then Flush follows, once,
// after the lock is free.
type Sink interface {
	Deliver(now queue.Instant, d *queue.Delivery) (dirty bool)
	ConsumerEnded(c queue.ConsumerID, err error) (dirty bool)
	SessionEnded(err error) (dirty bool)
	Cancelled(c *queue.Cancelled) (dirty bool)
	Taken(t *queue.Taken) (dirty bool)
	Flush()
}

// Config is what an Engine is made of.
type Config struct {
	Limits queue.Limits
	Disk   *store.Disk // closed by Close; nil: everything is in memory
	// SessionEnded is told of each session's end, under the lock.
	SessionEnded func(queue.SessionID)
	// Logger gets what an operator must know of the disk. Nil discards.
	Logger *slog.Logger
	// Failed is told once, when the disk has failed: nothing is answered from
	// then on. Nil: nobody is.
	Failed func(error)

	// Reserve is how much of the disk is kept free, in bytes: below it nothing new
	// is stored (space.go). Zero: nothing is watched.
	Reserve uint64
	// Dir is the directory of Disk, for backups and the ballast. Empty: there are
	// none. Open sets it.
	Dir string

	diskFailed <-chan error // gets what fails outside of a commit
}

// Engine owns a State. Its methods are safe for concurrent use.
type Engine struct {
	// Set at construction.
	config Config
	disk   *store.Disk // nil: memory
	dir    string      // where the disk is; empty: nowhere that the system knows
	began  time.Time   // its monotonic reading drives the clock
	start  store.Start
	commit committer
	loader loader
	space  space
	uses   sync.WaitGroup // of the disk, by who does not hold the lock
	// copying is held while a backup is read.
	copying sync.Mutex

	mu       sync.Mutex // guards what is below
	state    *queue.State
	fx       queue.Effects
	timer    *time.Timer // fires at armed or earlier
	armed    queue.Instant
	watchers map[*Watcher]struct{}
	idle     chan struct{} // closed when the last lease ends; nil: nobody waits
	closed   bool
	failure  error
	failed   chan struct{} // closed with failure
	pending  pending
}

// Open opens the store in dir, and starts an engine on it. Without a dir
// everything is in memory.
func Open(dir string, c Config) (*Engine, error) {
	if dir == "" {
		return New(c)
	}
	failed := make(chan error, 1)
	disk, err := store.Open(dir, store.Options{Logger: c.Logger, Failed: func(err error) { failed <- err }})
	if err != nil {
		return nil, err
	}
	c.Disk, c.Dir, c.diskFailed = disk, dir, failed
	if err := sweepBackup(dir); err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	e, err := New(c)
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return e, nil
}

// New starts an engine. An error says that the disk's content contradicts
// itself, or can't be read.
func New(c Config) (*Engine, error) {
	e := &Engine{config: c, disk: c.Disk, dir: c.Dir, began: time.Now(), watchers: map[*Watcher]struct{}{}, failed: make(chan struct{})}
	if e.config.Logger == nil {
		e.config.Logger = slog.New(slog.DiscardHandler)
	}
	e.timer = time.AfterFunc(time.Hour, e.tick)
	e.timer.Stop()
	e.space.wake = make(chan struct{}, 1)
	if err := e.open(c.Limits); err != nil {
		return nil, err
	}
	return e, nil
}

// open begins a life of the switch.
func (e *Engine) open(limits queue.Limits) (err error) {
	if e.disk == nil {
		e.start, err = store.Memory(e.began)
		e.state = queue.New(e.start.Epoch, limits)
		return err
	}
	if e.start, err = e.disk.Start(e.began); err != nil {
		return err
	}
	limits.DurableAvailable, limits.DefaultDurable = true, true
	if e.state, err = queue.Restore(e.start.Epoch, limits, e.Now(), kept(&e.start), &e.fx); err != nil {
		return err
	}
	e.start = store.Start{Epoch: e.start.Epoch, Key: e.start.Key} // the rest may be large
	e.startCommitter()
	e.startLoader()
	var tx Tx
	e.Begin(&tx)
	tx.keep(&e.fx) // before anything else is applied
	tx.End()
	e.startSpace()
	return nil
}

// Close stops the timer, commits what is left, and closes the disk.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.timer.Stop()
	e.mu.Unlock()
	if e.disk == nil {
		return nil
	}
	return e.closeDisk()
}

// Durable reports whether there is a disk.
func (e *Engine) Durable() bool { return e.disk != nil }

// Now is the engine's clock: wall time at the start, and monotonic from there.
func (e *Engine) Now() queue.Instant {
	return queue.Instant(e.began.UnixNano()).Add(time.Since(e.began))
}

// Began is when the engine started.
func (e *Engine) Began() time.Time { return e.began }

// tick runs on the timer's goroutine.
func (e *Engine) tick() {
	var tx Tx
	e.Begin(&tx)
	defer tx.End()
	e.armed = 0
	if e.closed {
		return
	}
	_, _ = tx.Apply(&queue.Tick{}) // it has no error but that of a failed disk
}

// arm sets the timer if something is due before it fires. A timer that fires
// early only looks and is set again, so it is moved rarely.
func (e *Engine) arm(now queue.Instant) {
	next := e.state.NextDeadline()
	if next == 0 || e.closed || e.failure != nil || e.armed != 0 && e.armed <= next {
		return
	}
	e.armed = next
	e.timer.Reset(max(0, next.Sub(now)))
}

// Idle returns a channel that is closed once no lease on a named queue is held.
func (e *Engine) Idle() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.idle == nil {
		e.idle = make(chan struct{})
	}
	idle := e.idle
	e.settle()
	return idle
}

// settle tells who waits for idleness.
func (e *Engine) settle() {
	if e.idle != nil && e.state.Held() == 0 {
		close(e.idle)
		e.idle = nil
	}
}
