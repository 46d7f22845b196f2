package rpc

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/d3b0a776/switch/client"
)

// A table holds the calls that wait, by correlation id. Whoever takes a waiter
// out of it, and nobody else, sends that waiter's one outcome. The zero table is
// empty.
type table struct {
	free sync.Pool // of *waiter

	mu      sync.Mutex
	waiters map[string]*waiter
	last    uint64 // the last correlation id
}

// A waiter is one call that waits for its reply. It is used again for other
// calls, so that a call needs no channel of its own.
type waiter struct {
	id   string       // the correlation id
	done chan outcome // capacity 1, so that the receive loop never waits; never closed
}

// An outcome is a reply or the reason why none will come.
type outcome struct {
	reply *client.Delivery
	err   error
}

// answer turns the outcome into what Call returns.
func (o outcome) answer(ctx context.Context, queue string) (*client.Delivery, error) {
	switch {
	case o.err != nil:
		return nil, fromClient(queue, o.err)
	case o.reply.Failure != nil:
		return nil, fromFailure(ctx, queue, o.reply.Failure)
	}
	return o.reply, nil
}

// add makes a waiter under a correlation id that was never used in this table: a
// late reply to a call that gave up must not reach another.
func (t *table) add() *waiter {
	w, _ := t.free.Get().(*waiter)
	if w == nil {
		w = &waiter{done: make(chan outcome, 1)}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiters == nil {
		t.waiters = make(map[string]*waiter)
	}
	t.last++
	w.id = strconv.FormatUint(t.last, 36)
	t.waiters[w.id] = w
	return w
}

// find takes the waiter of a correlation id out, nil if there is none.
func (t *table) find(id string) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.waiters[id]
	delete(t.waiters, id)
	return w
}

// take takes w out, and says false when somebody else did: then its outcome is
// in the channel, or will be in a moment.
func (t *table) take(w *waiter) bool {
	return t.find(w.id) == w
}

// takeAll takes out all.
func (t *table) takeAll() []*waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := slices.Collect(maps.Values(t.waiters))
	clear(t.waiters)
	return taken
}

// recycle gives back a waiter that is out of the table and whose channel is
// empty.
func (t *table) recycle(w *waiter) {
	t.free.Put(w)
}
