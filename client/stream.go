package client

import (
	"runtime"
	"sync/atomic"

	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// lagBytes is how much of a stream gRPC may hold unsent before only the flusher
	// sends on it. gRPC takes 64 KiB before SendMsg blocks; below this it takes one
	// more message without blocking.
	lagBytes = 32 << 10
	// inPlaceSends bounds how long one verb works for others.
	inPlaceSends = 4
)

// attachDesc is DataService.Attach.
var attachDesc = &grpc.StreamDesc{StreamName: "Attach", ServerStreams: true, ClientStreams: true}

const attachMethod = pb.DataService_Attach_FullMethodName

// stream is one Attach stream. Whoever appends frames flushes them in place, as
// long as gRPC keeps up; once it lags, the flusher does, the only goroutine that
// may block in SendMsg.
type stream struct {
	grpc.ClientStream

	inTransport atomic.Int64 // bytes that gRPC has and has not written

	// Guarded by Client.mu.
	sending bool // somebody is at it; who is looks again before it stops
	broken  bool // a send failed; the session loop learns why
}

// flush sends what is pending, as far as that does not block, and leaves the
// rest to the flusher.
func (c *Client) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushing = false
	st := c.stream
	if st == nil || st.sending {
		return
	}
	for n := 0; c.stream == st && !st.broken && c.out.pending(); n++ {
		if n == inPlaceSends || st.inTransport.Load() >= lagBytes {
			c.kickFlusher()
			return
		}
		c.sendNextLocked(st)
	}
}

// kickFlusher wakes the flusher.
func (c *Client) kickFlusher() {
	select {
	case c.kick <- struct{}{}:
	default: // it has not begun yet
	}
}

// flushLoop is the flusher goroutine. It ends with the client; Close waits for
// it.
func (c *Client) flushLoop() {
	defer c.loops.Done()
	for {
		select {
		case <-c.kick:
		case <-c.ctx.Done():
			return
		}
		runtime.Gosched() // who acks in a loop acks a few more
		c.mu.Lock()
		c.flushing = false
		for st := c.stream; st != nil && c.stream == st && !st.sending && !st.broken && c.out.pending(); {
			c.sendNextLocked(st)
		}
		c.mu.Unlock()
	}
}

// sendNextLocked sends the next chunk. The lock is free meanwhile.
func (c *Client) sendNextLocked(st *stream) {
	k := c.out.next(c.inboxes)
	if k == nil {
		return
	}
	out := &k.sendOn(st).out
	st.sending = true
	c.mu.Unlock()
	err := st.SendMsg(out)
	c.mu.Lock()
	st.sending = false
	if err != nil {
		st.broken = true
	}
}
