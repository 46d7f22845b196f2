package rpc_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkCall is a whole call by way of a switch in this process: two clients,
// their streams and the switch included.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchmarkCalls(b, callers, context.Background()) })
	}
	b.Run("callers=64/deadline", func(b *testing.B) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		benchmarkCalls(b, 64, ctx)
	})
}

func benchmarkCalls(b *testing.B, callers int, ctx context.Context) {
	w := newWorld(b)
	w.serve("q", echo)
	body := make([]byte, 128)
	if _, err := w.caller.Call(ctx, "q", body); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error)
	for range callers {
		go func() { // one caller; the benchmark waits for it
			var err error
			for err == nil && left.Add(-1) >= 0 {
				_, err = w.caller.Call(ctx, "q", body)
			}
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
