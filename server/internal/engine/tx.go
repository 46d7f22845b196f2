package engine

import "github.com/d3b0a776/switch/server/internal/queue"

// Tx is one hold of the engine's lock. The zero value is ready for Begin, and
// again after End; a receive loop has one and keeps its memory.
type Tx struct {
	Now queue.Instant // the instant of its operations

	e     *Engine
	dirty []Sink
	batch uint64 // that the last operation's answer waits for; zero: none
}

// Begin takes the lock. End must follow.
func (e *Engine) Begin(tx *Tx) {
	e.mu.Lock()
	tx.e, tx.Now, tx.batch = e, e.Now(), 0
}

// Apply does op. The effects may be read until the next Apply or End; others
// were told of theirs. On an error nothing was done. If Batch is not zero after
// it, the answer must wait.
func (tx *Tx) Apply(op queue.Op) (*queue.Effects, error) {
	e := tx.e
	tx.batch = 0
	if e.failure != nil {
		return nil, errStoreFailed
	}
	fx := &e.fx
	err := e.state.Apply(tx.Now, op, fx)
	if err != nil {
		return nil, err
	}
	if e.disk != nil {
		tx.keep(fx)
	}
	for i := range fx.Deliveries {
		d := &fx.Deliveries[i]
		tx.mark(d.Sink, d.Sink.(Sink).Deliver(tx.Now, d))
	}
	for i := range fx.Cancelled {
		c := &fx.Cancelled[i]
		tx.mark(c.Sink, c.Sink.(Sink).Cancelled(c))
	}
	for i := range fx.Taken {
		t := &fx.Taken[i]
		tx.mark(t.Sink, t.Sink.(Sink).Taken(t))
	}
	for _, c := range fx.ConsumersEnded {
		if c.Sink != nil {
			tx.mark(c.Sink, c.Sink.(Sink).ConsumerEnded(c.Consumer, c.Err))
		}
	}
	for _, s := range fx.SessionsEnded {
		if s.Sink != nil {
			tx.mark(s.Sink, s.Sink.(Sink).SessionEnded(s.Err))
		}
		if e.state.Session(s.Session) == nil && e.config.SessionEnded != nil {
			e.config.SessionEnded(s.Session)
		}
	}
	return fx, nil
}

// errStoreFailed answers everything after a failure of the disk.
var errStoreFailed = &queue.Error{Kind: queue.ErrShuttingDown, Text: "the disk of the switch has failed, and the switch is ending; retry when it is back"}

// State is the core, for reading until End.
func (tx *Tx) State() *queue.State { return tx.e.state }

// Dirty says that a Sink has become dirty by its owner's hand: End flushes it.
func (tx *Tx) Dirty(s Sink) { tx.dirty = append(tx.dirty, s) }

func (tx *Tx) mark(sink any, dirty bool) {
	if dirty {
		tx.dirty = append(tx.dirty, sink.(Sink))
	}
}

// End frees the lock and flushes what became dirty.
func (tx *Tx) End() {
	e := tx.e
	e.arm(tx.Now)
	e.settle()
	e.notify()
	commit, load := e.due()
	e.mu.Unlock()
	if commit {
		signal(e.commit.wake)
	}
	if load {
		signal(e.loader.wake)
	}
	for i, s := range tx.dirty {
		s.Flush()
		tx.dirty[i] = nil
	}
	tx.dirty = tx.dirty[:0]
}

// signal wakes who waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
