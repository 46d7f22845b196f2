package rpc

import (
	"testing"

	"github.com/d3b0a776/switch/client"
)

// A part that does not follow on the last one is refused: after a crash of the switch
// another server may have begun the stream anew.
func TestInflowRefusesGaps(t *testing.T) {
	for name, numbers := range map[string][]uint64{"a gap": {1, 2, 4}, "anew": {1, 2, 1}, "again": {1, 1}, "not from the start": {2}} {
		f := inflow{more: make(chan struct{}, 1)}
		last := len(numbers) - 1
		for i, n := range numbers {
			if f.put(n, &client.Delivery{Body: []byte("x")}) != (i < last) {
				t.Errorf("%s: %v: part %d is wrongly said to follow", name, numbers, n)
			}
		}
	}
}
