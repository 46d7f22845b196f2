package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

const (
	// laziness is how long a change may wait that nobody waits for. Losing it
	// costs a redelivery, or a client its session.
	laziness = 50 * time.Millisecond
	// StallWarning is when a sync is said to be slow.
	StallWarning = time.Second
	// StallBound is when the disk is given up: callers have given up long before.
	StallBound = 30 * time.Second
	// committers is how many goroutines take turns: while one releases what
	// waited for its batch, the next one syncs.
	committers = 2
)

// A Waiter waits for a batch. Released is called under the engine's lock once
// the batch is synced, in the order of batches; it may mark Sinks as dirty.
type Waiter interface {
	Released(tx *Tx, batch uint64)
}

// committer is what the goroutines share that sync batches.
type committer struct {
	wake  chan struct{} // buffered; never closed
	quit  chan struct{} // closed by closeDisk, for the loader too
	turn  sync.Mutex    // held from taking a batch to releasing what waited for it
	loops sync.WaitGroup
	lazy  *time.Timer
}

// pending is the open batch. The engine's lock guards it.
type pending struct {
	batch   *store.Batch
	number  uint64 // of the open batch; counts from 1
	synced  uint64 // batches up to this one are synced
	must    bool   // somebody waits for the open batch
	lazy    bool   // the lazy timer runs
	waiters []Waiter
	spare   []Waiter // memory
	unsaved queue.Unsaved
	record  record
	loads   []queue.Load
}

func (e *Engine) startCommitter() {
	e.pending.number = 1
	e.pending.batch = e.disk.NewBatch()
	c := &e.commit
	c.wake, c.quit = make(chan struct{}, 1), make(chan struct{})
	c.lazy = time.AfterFunc(time.Hour, e.hurry)
	c.lazy.Stop()
	c.loops.Add(committers + 1)
	for range committers {
		go e.committing() // until closeDisk, which waits
	}
	go e.watchDisk() // the same
}

// watchDisk waits for failures that the disk finds by itself.
func (e *Engine) watchDisk() {
	defer e.commit.loops.Done()
	select {
	case err := <-e.config.diskFailed:
		e.fail(err)
	case <-e.commit.quit:
	}
}

func (e *Engine) committing() {
	defer e.commit.loops.Done()
	for e.commit.await(e.commit.wake) {
		for e.commitOne() {
		}
	}
}

// await waits for work; false means that there will be none.
func (c *committer) await(wake <-chan struct{}) bool {
	select {
	case <-wake:
		return true
	case <-c.quit:
		return false
	}
}

// due says who has work, and sees to it that lazy changes are not forgotten.
func (e *Engine) due() (commit, load bool) {
	p := &e.pending
	if e.disk == nil || e.closed || e.failure != nil {
		return false, false
	}
	if !p.must && !p.lazy && (!p.batch.Empty() || e.state.HasUnsaved()) {
		p.lazy = true
		e.commit.lazy.Reset(laziness)
	}
	return p.must, len(p.loads) > 0
}

// hurry commits what is lazy. It runs on the lazy timer's goroutine.
func (e *Engine) hurry() {
	var tx Tx
	e.Begin(&tx)
	e.pending.lazy = false
	e.pending.must = e.pending.must || !e.pending.batch.Empty() || e.state.HasUnsaved()
	tx.End()
}

// commitOne commits the open batch if somebody waits for it.
func (e *Engine) commitOne() bool {
	e.commit.turn.Lock()
	e.mu.Lock()
	p := &e.pending
	if !p.must || e.failure != nil {
		e.mu.Unlock()
		e.commit.turn.Unlock()
		return false
	}
	batch, number, waiters := p.batch, p.number, p.waiters
	through := e.save()
	p.batch, p.number, p.must = e.disk.NewBatch(), number+1, false
	p.waiters, p.spare = p.spare[:0], nil
	e.mu.Unlock()

	size := batch.Size()
	err := e.sync(batch)
	e.wrote(size)

	var tx Tx
	e.Begin(&tx)
	if err == nil && e.failure == nil {
		p.synced = number
		_, _ = tx.Apply(&queue.Synced{Through: through}) // it has no error
		for i, w := range waiters {
			w.Released(&tx, number)
			waiters[i] = nil
		}
		p.spare = waiters[:0]
	}
	e.commit.turn.Unlock()
	tx.End()
	if err != nil {
		e.fail(err)
	}
	return err == nil
}

// sync commits a batch, and tells of a disk that takes too long.
func (e *Engine) sync(b *store.Batch) error {
	began := time.Now()
	warning := time.AfterFunc(StallWarning, func() {
		e.config.Logger.Warn("the disk is slow: a sync has not finished; durable sends wait", "took", time.Since(began), "bound", StallBound)
	})
	bound := time.AfterFunc(StallBound, func() {
		e.fail(fmt.Errorf("the disk has not finished a sync for %v", StallBound))
	})
	defer func() { warning.Stop(); bound.Stop() }()
	return b.Commit()
}

// fail ends the engine: what is not synced is never answered. It may be called
// by anybody, more than once.
func (e *Engine) fail(err error) {
	e.mu.Lock()
	first := e.failure == nil
	if first {
		e.failure = err
		close(e.failed)
	}
	e.mu.Unlock()
	if first && e.config.Failed != nil {
		e.config.Failed(err)
	}
}

// Batch is the number of the batch that the answer to the last Apply has to wait
// for; zero when it may go at once.
func (tx *Tx) Batch() uint64 { return tx.batch }

// Await has w told when the open batch is synced.
func (tx *Tx) Await(w Waiter) {
	p := &tx.e.pending
	p.must = true
	p.waiters = append(p.waiters, w)
}

// A Ticket waits for one batch.
type Ticket struct {
	e    *Engine
	done chan struct{} // closed by Released
}

// Released is for the engine.
func (t *Ticket) Released(*Tx, uint64) { close(t.done) }

// Ticket is for the batch of Batch; nil when that is zero.
func (tx *Tx) Ticket() *Ticket {
	if tx.batch == 0 {
		return nil
	}
	return tx.ticket()
}

// TicketForAll is for everything that was applied so far: whoever tells what it
// has read must wait, since what is not synced may still be lost. Nil when all
// of it is synced.
func (tx *Tx) TicketForAll() *Ticket {
	p := &tx.e.pending
	if tx.e.disk == nil || p.synced+1 == p.number && p.batch.Empty() && !tx.e.state.HasUnsaved() {
		return nil
	}
	return tx.ticket()
}

func (tx *Tx) ticket() *Ticket {
	t := &Ticket{e: tx.e, done: make(chan struct{})}
	tx.Await(t)
	return t
}

// Wait returns nil once the batch is synced. An error says that nobody knows
// whether it will be. The lock must be free. A nil Ticket waits for nothing.
func (t *Ticket) Wait(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case <-t.done:
		return nil
	case <-t.e.failed:
		return errStoreFailed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// closeDisk commits what is left, and closes the disk. A failed one is left as
// it is, and so is who may be waiting for it.
func (e *Engine) closeDisk() error {
	e.commit.lazy.Stop()
	e.mu.Lock()
	e.pending.must = true
	e.mu.Unlock()
	if e.hasFailed() == nil {
		e.commitOne()
	}
	close(e.commit.quit)
	if err := e.hasFailed(); err != nil {
		return err
	}
	e.commit.loops.Wait()
	e.loader.loop.Wait()
	e.uses.Wait()
	return errors.Join(e.hasFailed(), e.disk.Close())
}

// hasFailed is what ended the engine; nil while it works.
func (e *Engine) hasFailed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failure
}
