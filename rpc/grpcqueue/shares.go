package grpcqueue

import (
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxStreams bounds the streams that a gateway has in flight. Each has a temporary queue
// for its reply, of which a session may have 1,024; the rest is for the queue that unary
// calls share, and for those of streams that are just going.
const maxStreams = 1000

// shares divides a gateway's streams among queues: a queue may have as many as are left
// free. So one that nobody serves takes half of them at most, the next one half of the
// rest, and those that come later still find some. The zero value has none in flight. It
// is safe for concurrent use.
type shares struct {
	mu    sync.Mutex
	of    map[string]int // by queue; without zeros
	total int
}

// take takes a stream to a queue, which is to be given back.
func (s *shares) take(queue string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, free := s.of[queue], maxStreams-s.total; n >= free {
		return status.Errorf(codes.ResourceExhausted,
			"%d streams to queue %s are in flight through this gateway, and of its %d only %d are free: a queue may have as many as are free; retry later", n, queue, maxStreams, free)
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[queue]++
	s.total++
	return nil
}

// giveBack gives back what take has taken.
func (s *shares) giveBack(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.of[queue]--; s.of[queue] == 0 {
		delete(s.of, queue)
	}
}
