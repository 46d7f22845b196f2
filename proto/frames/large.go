package frames

import (
	"math/bits"
	"sync"
)

// Large keeps buffers for stream messages with a large body: their memory would
// be cleared for each anew, which took a quarter of the time of messages of 1 MiB.
// It is a pool, so what is not used for a while goes.
var Large LargeBuffers

// LargeBuffers is a pool of buffers of LargeMin to LargeMax bytes.
type LargeBuffers struct{ pools [largeClasses]sync.Pool }

// What LargeBuffers keep.
const (
	LargeMin     = 128 << 10
	LargeMax     = LargeMin << (largeClasses - 1) // 4 MiB
	largeClasses = 6
)

// class is the smallest with room for n bytes: each has twice the room of the
// one before.
func class(n int) int { return bits.Len((uint(max(n, 1)) - 1) / LargeMin) }

// Get is an empty buffer with room for n bytes. It is not clear.
func (p *LargeBuffers) Get(n int) *[]byte {
	c := class(n)
	if c >= largeClasses {
		b := make([]byte, 0, n)
		return &b
	}
	if b, ok := p.pools[c].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, LargeMin<<c)
	return &b
}

// Put takes a buffer back, if it is worth it.
func (p *LargeBuffers) Put(b *[]byte) {
	c := class(cap(*b)+1) - 1 // all of the class must fit
	if c >= 0 && c < largeClasses {
		*b = (*b)[:0]
		p.pools[c].Put(b)
	}
}
