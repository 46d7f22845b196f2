package frames

import "testing"

func TestLargeBuffers(t *testing.T) {
	var p LargeBuffers
	for _, n := range []int{0, 1, LargeMin - 1, LargeMin, LargeMin + 1, 2 * LargeMin, 1 << 20, 1<<20 + 1, LargeMax, LargeMax + 1, 10 << 20} {
		for range 3 {
			b := p.Get(n)
			if len(*b) != 0 || cap(*b) < n {
				t.Errorf("for %d bytes: %d of %d", n, len(*b), cap(*b))
			}
			*b = append(*b, make([]byte, n)...)
			p.Put(b)
		}
	}
	odd := make([]byte, 3*LargeMin)
	p.Put(&odd) // it has not the room of its class, but that of the one below
	if b := p.Get(2*LargeMin + 1); cap(*b) < 2*LargeMin+1 {
		t.Errorf("%d bytes", cap(*b))
	}
	small := make([]byte, LargeMin-1)
	p.Put(&small)
	if b := p.Get(1); cap(*b) < LargeMin {
		t.Errorf("a small buffer came back")
	}
}
