package engine

import (
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
	Flush()
}

// Config is what an Engine is made of.
type Config struct {
	Limits queue.Limits
	Store  store.Store // nil: memory
	// SessionEnded is told of each session's end, under the lock.
	SessionEnded func(queue.SessionID)
}

// Engine owns a State. Its methods are safe for concurrent use.
type Engine struct {
	// Set at construction.
	store        store.Store
	sessionEnded func(queue.SessionID)
	began        time.Time // its monotonic reading drives the clock
	start        store.Start

	mu       sync.Mutex // guards what is below
	state    *queue.State
	fx       queue.Effects
	timer    *time.Timer // fires at armed or earlier
	armed    queue.Instant
	watchers map[*Watcher]struct{}
	idle     chan struct{} // closed when the last lease ends; nil: nobody waits
	closed   bool
}

// New starts an engine on a store.
func New(c Config) (*Engine, error) {
	if c.Store == nil {
		c.Store = store.Memory{}
	}
	began := time.Now()
	start, err := c.Store.Start(began)
	if err != nil {
		return nil, err
	}
	c.Limits.DurableAvailable = c.Store.Durable()
	e := &Engine{store: c.Store, sessionEnded: c.SessionEnded, began: began, start: start,
		state: queue.New(start.Epoch, c.Limits), watchers: map[*Watcher]struct{}{}}
	e.timer = time.AfterFunc(time.Hour, e.tick)
	e.timer.Stop()
	return e, nil
}

// Close stops the timer and closes the store.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.timer.Stop()
	return e.store.Close()
}

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
	_, _ = tx.Apply(&queue.Tick{}) // it has no error
}

// arm sets the timer if something is due before it fires. A timer that fires
// early only looks and is set again, so it is moved rarely.
func (e *Engine) arm(now queue.Instant) {
	next := e.state.NextDeadline()
	if next == 0 || e.closed || e.armed != 0 && e.armed <= next {
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
