package store_test

import (
	"testing"

	"github.com/d3b0a776/switch/server/internal/store"
)

// A queue that takes as many messages as it gives away merges what it deletes, and
// not what waits between: else each message would cost more, the longer the queue.
func TestMergesLeaveABacklogAlone(t *testing.T) {
	const waiting, passed, size, per = 300_000, 300_000, 128, 64
	d, err := store.Open(t.TempDir(), store.Options{MemTableBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	body := make([]byte, size) // it shrinks to nothing, as all that waits fits into one level then
	messages := func(n uint64, stays int, middle uint64, f func(*store.Batch, uint64)) {
		commit(t, d, func(b *store.Batch) {
			for i := n; i < n+per; i++ {
				b.PutMessage(&store.Message{Queue: 7, Sequence: i, Body: body})
				f(b, i)
			}
			b.PutStat(7, store.Stat{Messages: stays, Bytes: stays * size}, middle)
		})
	}
	n := uint64(1)
	for ; n < waiting; n += per {
		messages(n, int(n), n/2, func(*store.Batch, uint64) {})
	}
	filled := d.Merged()
	for ; n < waiting+passed; n += per {
		messages(n, waiting, n-waiting/2, func(b *store.Batch, i uint64) {
			b.DeleteMessage(&store.Message{Queue: 7, Sequence: i - waiting + 1})
		})
	}
	merged := d.Merged() - filled
	t.Logf("merges have written %d bytes while %d bytes came and went", merged, passed*size)
	if merged > passed*size/9 { // measured: an eighteenth, and a fifth or more if tables end anywhere
		t.Errorf("merges have written %d bytes while %d bytes came and went", merged, passed*size)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
