package frames

import "testing"

func TestBuffers(t *testing.T) {
	var p Buffers
	for n := 0; n < 9<<20; n += 1 + n/7 {
		for _, n := range []int{n, n + 1} {
			c, size := class(n)
			if size < n || n > minBuffer && size > n+n/steps+1 {
				t.Fatalf("for %d bytes: class %d of %d", n, c, size)
			}
			if again, same := class(size); again != c || same != size {
				t.Fatalf("class %d of %d bytes is class %d of %d", c, size, again, same)
			}
			for range 3 {
				b := p.Get(n)
				if len(*b) != n || cap(*b) < n {
					t.Fatalf("for %d bytes: %d of %d", n, len(*b), cap(*b))
				}
				*b = (*b)[:n/2]
				p.Put(b)
			}
		}
	}
	if c, _ := class(maxBuffer); c != classes-1 {
		t.Errorf("the largest is of class %d", c)
	}
	odd := make([]byte, 3*minBuffer-1)
	p.Put(&odd) // it has not the room of its class, but that of the one below
	if b := p.Get(3 * minBuffer); cap(*b) < 3*minBuffer {
		t.Errorf("%d bytes", cap(*b))
	}
	small := make([]byte, minBuffer)
	p.Put(&small)
	if b := p.Get(1); len(*b) != 1 || cap(*b) <= minBuffer {
		t.Errorf("a small buffer came back: %d", cap(*b))
	}
}
