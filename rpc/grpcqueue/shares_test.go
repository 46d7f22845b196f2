package grpcqueue

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Each queue that takes all that it can leaves as much for those that come later.
func TestShares(t *testing.T) {
	var s shares
	fill := func(queue string) (n int) {
		for ; ; n++ {
			if err := s.take(queue); err != nil {
				if status.Code(err) != codes.ResourceExhausted {
					t.Error(err)
				}
				return n
			}
		}
	}
	for i, want := range []int{maxStreams / 2, maxStreams / 4, maxStreams / 8, maxStreams / 16} {
		if n := fill(string(rune('a' + i))); n < want || n > want+1 {
			t.Errorf("queue %d gets %d streams, want %d", i, n, want)
		}
	}
	for queue, n := range s.of {
		for range n {
			s.giveBack(queue)
		}
	}
	if s.total != 0 || len(s.of) != 0 {
		t.Errorf("%d streams are left, of %v", s.total, s.of)
	}
}
