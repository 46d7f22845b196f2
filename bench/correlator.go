package main

import (
	"context"
	"sync"
)

// A correlator brings replies to those who wait for them, for systems whose
// libraries leave that to the program. The zero value is ready.
type correlator struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan []byte // by correlation number; guarded by mu
	idle    sync.Pool              // of channels with room for one reply
}

// call sends a request under a fresh number and waits for its reply.
func (c *correlator) call(ctx context.Context, send func(number uint64) error) ([]byte, error) {
	reply, ok := c.idle.Get().(chan []byte)
	if !ok {
		reply = make(chan []byte, 1)
	}
	number := c.enter(reply)
	if err := send(number); err != nil {
		c.leave(number)
		return nil, err
	}
	select {
	case body := <-reply:
		c.idle.Put(reply)
		return body, nil
	case <-ctx.Done():
		c.leave(number)
		return nil, context.Cause(ctx)
	}
}

// deliver hands over a reply. One that nobody waits for is dropped, as a second
// reply is.
func (c *correlator) deliver(number uint64, body []byte) {
	if reply := c.leave(number); reply != nil {
		reply <- body // it has room
	}
}

func (c *correlator) enter(reply chan []byte) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[uint64]chan []byte)
	}
	c.last++
	c.waiting[c.last] = reply
	return c.last
}

func (c *correlator) leave(number uint64) chan []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply := c.waiting[number]
	delete(c.waiting, number)
	return reply
}
