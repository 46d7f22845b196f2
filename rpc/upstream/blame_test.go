package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// An upstream has less time than its caller, and no more than its bound.
func TestTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ left, bound, want time.Duration }{
			{0, 0, 0},
			{0, time.Second, time.Second},
			{time.Second, 0, 950 * time.Millisecond},
			{time.Minute, 0, time.Minute - 100*time.Millisecond},
			{time.Second, time.Minute, 950 * time.Millisecond},
			{time.Minute, time.Second, time.Second},
			{time.Millisecond, 0, 950 * time.Microsecond},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if c.left > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.left)
			}
			bounded, stop := timed(ctx, c.bound)
			deadline, is := bounded.Deadline()
			if got := time.Until(deadline); is != (c.want > 0) || is && got != c.want {
				t.Errorf("%v left and a bound of %v give %v (%v), want %v", c.left, c.bound, got, is, c.want)
			}
			stop()
			cancel()
		}
	})
}
