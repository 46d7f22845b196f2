package engine

import "github.com/d3b0a776/switch/server/internal/queue"

// Watcher follows the flight recorder.
type Watcher struct {
	C    <-chan struct{} // gets a value when there are new events; never closed
	e    *Engine
	wake chan struct{}
	last uint64 // told so far; guarded by the engine's lock
}

// Watch makes a watcher. Close it after use.
func (e *Engine) Watch() *Watcher {
	wake := make(chan struct{}, 1)
	w := &Watcher{C: wake, e: e, wake: wake}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers[w] = struct{}{}
	return w
}

// Close ends the watcher.
func (w *Watcher) Close() {
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	delete(w.e.watchers, w)
}

// After reads events; see queue.Trace.After.
func (w *Watcher) After(n uint64, buf []queue.Event) (got int, missed uint64) {
	w.e.mu.Lock()
	defer w.e.mu.Unlock()
	return w.e.state.Trace().After(n, buf)
}

// notify wakes the watchers that have something to read.
func (e *Engine) notify() {
	for w := range e.watchers {
		if last := e.state.Trace().Last(); last != w.last {
			w.last = last
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}
	}
}
