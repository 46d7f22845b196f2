package frames

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// Pool keeps the memory of stream messages, and of the pieces in which gRPC reads
// them. gRPC's own clears what it hands out: that was an eighth of the time of
// messages of 1 MiB, and with pieces of 1 MiB for messages of 64 KiB a sixth.
var Pool Buffers

// Buffers is a pool of buffers by size. What is not used for a while goes. What it
// hands out is not clear.
type Buffers struct{ pools [classes]sync.Pool }

var _ mem.BufferPool = (*Buffers)(nil)

// What Buffers keep: four sizes for each doubling, so that at most a fifth of a
// buffer is not used, beyond the smallest.
const (
	minBuffer = 4 << 10 // gRPC leaves what has up to 1 KiB to the garbage collector
	maxBuffer = minBuffer << (classes / steps)
	steps     = 4
	classes   = steps * 11 // up to 8 MiB
)

// class is the smallest with room for n bytes, and its size.
func class(n int) (c, size int) {
	n = max(n, minBuffer+1)
	doublings := bits.Len(uint(n-1)) - bits.Len(uint(minBuffer)) // of minBuffer, below n
	step := minBuffer << doublings / steps
	part := (n - minBuffer<<doublings + step - 1) / step // from 1 to steps
	return doublings*steps + part - 1, minBuffer<<doublings + part*step
}

// Get is a buffer of n bytes.
func (p *Buffers) Get(n int) *[]byte {
	c, size := class(n)
	if c >= classes {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p.pools[c].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, size)
	return &b
}

// Put takes a buffer back, whoever made it, if it is worth it.
func (p *Buffers) Put(b *[]byte) {
	c, size := class(cap(*b))
	if size > cap(*b) {
		c-- // all of the class must fit
	}
	if c >= 0 && c < classes {
		p.pools[c].Put(b)
	}
}
