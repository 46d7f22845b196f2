package rpc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// BenchmarkHandover is why there is a crew: from the receive loop to a handler
// and back, with a goroutine of the crew and with a fresh one for each request,
// whose stack has to grow again if the handler needs any.
func BenchmarkHandover(b *testing.B) {
	for _, credit := range []int{1, 64} {
		for _, depth := range []int{0, 8} { // frames of 1 KiB that the handler needs
			for _, how := range []string{"crew", "fresh"} {
				b.Run(fmt.Sprintf("credit=%d/stack=%dKiB/%s", credit, depth, how), func(b *testing.B) {
					benchmarkHandover(b, credit, depth, how == "fresh")
				})
			}
		}
	}
}

func benchmarkHandover(b *testing.B, credit, depth int, fresh bool) {
	b.ReportAllocs()
	free := make(chan struct{}, credit)
	for range credit {
		free <- struct{}{}
	}
	s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
		deep(depth)
		free <- struct{}{}
		return nil, nil
	}, credit+1) // a worker hands its credit back before it is idle again
	for range b.N {
		<-free
		if fresh {
			go next().run() // gives its credit back when it is done
		} else {
			s.crew.do(next())
		}
	}
	for range credit {
		<-free
	}
	s.crew.close()
	<-s.crew.empty
}

// deep uses depth KiB of stack.
//
//go:noinline
func deep(depth int) byte {
	var frame [1024]byte
	if depth > 0 {
		frame[depth] = deep(depth - 1)
	}
	return frame[depth]
}

// BenchmarkLazyContext is why a handler's context is made at the first look.
func BenchmarkLazyContext(b *testing.B) {
	s, _ := newJobs(nil, 1)
	deadline := time.Now().Add(time.Hour)
	newJob := func(s *service, d *client.Delivery) *job {
		j := newJob(s, d)
		j.context.deadline = deadline
		return j
	}
	d := &client.Delivery{Queue: "q"}
	b.Run("unseen", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			newJob(s, d).context.end(nil)
		}
	})
	b.Run("seen", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			j := newJob(s, d)
			j.context.Done()
			j.context.end(nil)
		}
	})
	b.Run("std", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			newJob(s, d)
			ctx, cancel := context.WithCancelCause(s.base)
			timed, stop := context.WithDeadline(ctx, deadline)
			timed.Done()
			stop()
			cancel(nil)
		}
	})
}
