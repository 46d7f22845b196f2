package store_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/store"
)

// A backlog that was drained gives its space back, also when nothing is written
// after that, and in the life that follows.
func TestADrainedBacklogIsGivenBack(t *testing.T) {
	const messages, size, most = 20_000, 8 << 10, 40 << 20 // 160 MB, and what may be left of it
	dir := filepath.Join(t.TempDir(), "store")
	d, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(time.Now()); err != nil {
		t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{}) // so that it does not shrink to nothing
	body := make([]byte, size)
	batches := func(f func(b *store.Batch, m *store.Message), left func(n int) int) {
		for n := 0; n < messages; {
			b := d.NewBatch()
			for range 64 {
				_, _ = noise.Read(body) // it has no error
				f(b, &store.Message{Queue: 1, Sequence: uint64(n + 2), Body: body})
				n++
			}
			b.PutStat(1, store.Stat{Messages: left(n), Bytes: left(n) * size}, 0)
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	batches((*store.Batch).PutMessage, func(n int) int { return n })
	full := tables(t, dir)
	if full < messages*size/2 {
		t.Fatalf("%d messages of %d bytes take %d bytes of tables", messages, size, full)
	}
	batches((*store.Batch).DeleteMessage, func(n int) int { return max(0, messages-n) })
	for end := time.Now().Add(20 * time.Second); tables(t, dir) > most; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the tables had %d bytes, and have %d", full, tables(t, dir))
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// tables is how many bytes the tables in a directory have.
func tables(t *testing.T, dir string) (n int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil { // it may have gone
			n += info.Size()
		}
	}
	return n
}
