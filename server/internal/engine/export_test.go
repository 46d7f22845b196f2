package engine

import "github.com/d3b0a776/switch/server/internal/queue"

// Armed is when the timer fires at the latest; zero when it does not.
func (e *Engine) Armed() queue.Instant {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.armed
}
