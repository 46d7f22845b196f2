package crash_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/d3b0a776/switch/client"
)

// TestTheLastSequencesAreRemembered sends more than a producer's window holds,
// kills the switch, and sends the last 4,096 again: each is a duplicate, of
// itself. An older one is refused.
func TestTheLastSequencesAreRemembered(t *testing.T) {
	for _, total := range []uint64{100, window, window + 257, 2*window + 63, 3*window - 1} {
		t.Run(fmt.Sprint(total), func(t *testing.T) { testWindow(t, total) })
	}
}

// window is how many sequences of a producer the switch remembers.
const window = 4096

func testWindow(t *testing.T, total uint64) {
	d := newDaemon(t)
	d.start(t)
	c := d.client(t, "producer")
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, total+1)
	pipeline(t, 1, total, func(n uint64) {
		r, err := sendKey(t.Context(), c, key{"p", n})
		if err != nil || r.Duplicate {
			t.Errorf("send %d: %+v, %v", n, r, err)
		}
		ids[n] = r.MessageID
	})
	for range 2 {
		d.kill(t)
		d.start(t)
		var fresh, other atomic.Int64
		pipeline(t, max(total, window)-window+1, total, func(n uint64) {
			switch r, err := sendKey(t.Context(), c, key{"p", n}); {
			case err != nil:
				t.Errorf("send %d again: %v", n, err)
			case !r.Duplicate:
				fresh.Add(1)
			case r.MessageID != ids[n]:
				other.Add(1)
			}
		})
		if n := fresh.Load() + other.Load(); n > 0 {
			t.Fatalf("of the last messages, %d were enqueued again and %d taken for another", fresh.Load(), other.Load())
		}
		if total > window {
			if r, err := sendKey(t.Context(), c, key{"p", total - window}); client.ReasonOf(err) != "SEQUENCE_TOO_OLD" {
				t.Errorf("one older than those remembered: %+v, %v", r, err)
			}
		}
	}
}

func sendKey(ctx context.Context, c *client.Client, k key) (client.Receipt, error) {
	return c.Send(ctx, "q", client.Message{Body: k.body(), Producer: []byte(k.producer), Sequence: k.number})
}

// pipeline does something for all numbers in a range, up to 256 at a time, so
// that no number is far ahead of another.
func pipeline(t *testing.T, from, to uint64, do func(n uint64)) {
	t.Helper()
	for ; from <= to && !t.Failed(); from += 256 {
		var some sync.WaitGroup
		for n := from; n <= min(from+255, to); n++ {
			some.Go(func() { do(n) })
		}
		some.Wait()
	}
}
