package main

import (
	"context"
	"sync"
	"sync/atomic"
)

// spread calls do for each number below count, from so many goroutines, and
// answers the first error, after which no more numbers are begun.
func spread(ctx context.Context, goroutines, count int, do func(ctx context.Context, n int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(goroutines, count) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= count {
					return
				}
				if err := do(ctx, n); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
