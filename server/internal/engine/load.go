package engine

import (
	"sync"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// loader is the goroutine that reads spilled messages.
type loader struct {
	wake chan struct{} // buffered; never closed
	loop sync.WaitGroup
}

func (e *Engine) startLoader() {
	e.loader.wake = make(chan struct{}, 1)
	e.loader.loop.Add(1)
	go e.loading() // until closeDisk, which waits
}

func (e *Engine) loading() {
	defer e.loader.loop.Done()
	for e.commit.await(e.loader.wake) {
		for e.loadOne() {
		}
	}
}

// loadOne does the first of the loads that wait.
func (e *Engine) loadOne() bool {
	e.mu.Lock()
	p := &e.pending
	if len(p.loads) == 0 || e.closed || e.failure != nil {
		e.mu.Unlock()
		return false
	}
	l := p.loads[0]
	if p.loads = p.loads[1:]; len(p.loads) == 0 {
		p.loads = nil
	}
	e.mu.Unlock()
	f, err := e.read(l)
	if err != nil {
		e.fail(err)
		return false
	}
	var tx Tx
	e.Begin(&tx)
	defer tx.End()
	_, _ = tx.Apply(f) // it has no error
	return true
}

// read does one load.
func (e *Engine) read(l queue.Load) (*queue.Fetched, error) {
	f := &queue.Fetched{Load: l}
	through, err := e.disk.Messages(l.Queue, l.From, l.To, l.Messages, l.Bytes, func(m *store.Message) {
		expires := queue.Instant(m.Expires)
		switch {
		case l.Expired == 0 || expires != 0 && expires <= l.Expired:
			f.Messages = append(f.Messages, stored(m))
		case expires != 0 && (f.Earliest == 0 || expires < f.Earliest):
			f.Earliest = expires
		}
	})
	f.Through = through
	return f, err
}
