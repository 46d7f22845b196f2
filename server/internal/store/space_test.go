package store_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/store"
)

// used is what the files of a directory take, in MiB.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	sum := int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if i, err := e.Info(); err == nil { // or it has just gone
			sum += i.Size()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return sum >> 20
}

// Space is won back under each kind of churn: what passes through the store is
// many times what it may hold on to.
func TestSpaceIsWonBack(t *testing.T) {
	rounds, table := 150, uint64(1<<20)
	if slow() {
		rounds, table = 40_000, 0
	}
	body := make([]byte, 8<<10)
	rng := random(seed(t), 7)
	sequence := uint64(0)
	send := func(b *store.Batch, queue uint64) store.Message {
		for i := range body {
			body[i] = byte(rng.Uint32()) // does not compress
		}
		sequence++
		m := store.Message{Queue: queue, Sequence: sequence, Body: body}
		b.PutMessage(&m)
		return m
	}
	for name, round := range map[string]func(d *store.Disk, n int){
		"one old message and churn behind it": func(d *store.Disk, n int) {
			var ms []store.Message
			commit(t, d, func(b *store.Batch) {
				for range 16 {
					ms = append(ms, send(b, 1))
				}
			})
			commit(t, d, func(b *store.Batch) {
				for i := range ms {
					if n > 0 || i > 0 {
						b.DeleteMessage(&ms[i])
					}
				}
			})
		},
		"queues come and go": func(d *store.Disk, n int) {
			commit(t, d, func(b *store.Batch) {
				b.PutQueue(&store.Queue{ID: uint64(n + 2)})
				for range 16 {
					send(b, uint64(n+2))
				}
			})
			commit(t, d, func(b *store.Batch) { b.DeleteQueue(uint64(n + 1)) })
		},
		"sessions and producers come and go": func(d *store.Disk, n int) {
			for k := range 20 {
				id := uint64(n*20 + k + 10)
				commit(t, d, func(b *store.Batch) {
					b.PutSession(&store.Session{ID: id, Name: string(body[:1<<10])})
					w := store.Window{Producer: fmt.Sprint(id)}
					for i := range w.Messages {
						w.Messages[i] = rng.Uint64()
					}
					b.PutWindow(&w)
					b.DeleteSession(id - 10)
					b.DeleteProducer(fmt.Sprint(id - 10))
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := store.Open(dir, store.Options{MemTableBytes: table})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			begin(t, d)
			most := int64(0)
			for n := range rounds {
				round(d, n)
				if n%20 == 0 {
					most = max(most, used(t, dir))
				}
			}
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			// What is deleted goes in the background.
			limit := int64(12)
			if table == 0 {
				limit = 200 // logs that are used again, and the first level
			}
			left := used(t, dir)
			for range 100 {
				if left = used(t, dir); left <= limit {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Logf("at most %d MiB, %d MiB at the end", most, left)
			if left > limit {
				t.Errorf("%d MiB are left, more than %d\n%s", left, limit, d.Metrics())
			}
		})
	}
}
