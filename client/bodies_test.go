package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// sizes are around those where bodies are lent, copied, shared and kept.
var sizes = []int{16, 100, 1 << 10, 1<<10 + 1, 32<<10 - 1, 32<<10 + 1, 64 << 10, 80 << 10, 256 << 10, 300 << 10, 1 << 20}

// bodyOf is the body of a number: its size and each of its bytes follow from it.
func bodyOf(n uint64) []byte {
	b := make([]byte, sizes[n%uint64(len(sizes))])
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], n)
	_, _ = rand.NewChaCha8(seed).Read(b) // it has no error
	binary.LittleEndian.PutUint64(b, n)
	return b
}

// TestBodiesStayWhole sends bodies of all sizes at once, through retries, releases,
// dead letters that are replayed, and connections that are cut. The switch and the
// client use the memory of bodies again: each must arrive as it was sent.
func TestBodiesStayWhole(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := w.c.Create(ctx, "q", client.QueueOptions{MaxAttempts: 2}); err != nil {
		t.Fatal(err)
	}
	const senders, each, ahead = 8, 60, 40
	var mu sync.Mutex
	seen := map[uint64]int{}
	kept := map[uint64][]byte{} // as they came
	done := make(chan struct{})
	for i := range 2 {
		c, line := w.dial(client.Config{})
		random := rand.New(rand.NewPCG(uint64(i), 1))
		fates := make(chan *client.Delivery, 1000)
		deliver := client.SubscriptionHandler{Deliver: func(d *client.Delivery) { fates <- d }}
		if _, err := c.Subscribe(ctx, "q", client.ConsumeOptions{Credit: 16}, deliver); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for d := range fates {
				n := binary.LittleEndian.Uint64(d.Body)
				if !bytes.Equal(d.Body, bodyOf(n)) {
					t.Errorf("message %d of %d bytes did not arrive as it was sent", n, len(d.Body))
				}
				var err error
				switch random.IntN(6) {
				case 0, 5:
					err = d.Retry(ctx, 0, "again")
				case 1:
					err = d.Release(ctx)
				case 2:
					line.blink()
					fallthrough
				default:
					mu.Lock()
					seen[n]++
					kept[n] = d.Body
					if len(seen) == senders*each {
						select {
						case <-done:
						default:
							close(done)
						}
					}
					mu.Unlock()
					err = d.Ack()
				}
				if err != nil && ctx.Err() == nil {
					t.Logf("message %d: %v", n, err) // its lease ended with a connection: it comes again
				}
			}
		})
		defer wg.Wait()
		defer close(fates)
		defer c.Close()
	}
	var wg sync.WaitGroup
	var sent atomic.Int64
	wg.Go(func() { // dead letters come back
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				_, _ = w.c.Admin().Replay(ctx, "q.dead", client.ReplayQuery{}) // there may be none yet
			case <-ctx.Done():
				t.Errorf("%d of %d messages have come", len(seen), senders*each)
				return
			}
		}
	})
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				n := uint64(s*each + i)
				for full := true; full && ctx.Err() == nil; { // so that new messages follow those that die
					mu.Lock()
					full = int(sent.Load())-len(seen) >= ahead
					mu.Unlock()
					if full {
						time.Sleep(time.Millisecond)
					}
				}
				sent.Add(1)
				body := bodyOf(n)
				if _, err := w.c.Send(ctx, "q", client.Message{Body: body}); err != nil {
					t.Error(err)
				}
				clear(body)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	for n, body := range kept {
		if !bytes.Equal(body, bodyOf(n)) {
			t.Errorf("message %d of %d bytes has changed after it came", n, len(body))
		}
	}
}
