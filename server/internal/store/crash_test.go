package store_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// smallTables is the smallest size of a memtable: the log is changed, flushed
// and compacted every few batches.
const smallTables = 64 << 10

// A history is a run of the model against a store, with the state after each
// batch. The state after a crash must be one of those between what was committed
// before it and what was begun.
type history struct {
	m                *model
	states           []uint64 // guarded by mu
	mu               sync.Mutex
	begun, committed atomic.Int64
}

func newHistory(seed uint64) *history {
	h := &history{m: newModel(random(seed, 1))}
	h.states = []uint64{h.m.state()}
	return h
}

// run commits batches, until the first error.
func (h *history) run(d *store.Disk, batches int) error {
	for range batches {
		b := d.NewBatch()
		h.m.batch(b)
		h.mu.Lock()
		h.states = append(h.states, h.m.state())
		h.mu.Unlock()
		h.begun.Add(1)
		if err := b.Commit(); err != nil {
			return err
		}
		h.committed.Add(1)
	}
	return nil
}

// check opens what a crash left and compares.
func (h *history) check(fs vfs.FS, committed, begun int64) error {
	for range 2 { // what was recovered must be there the second time as well
		d, err := store.Open("store", store.Options{FS: fs, MemTableBytes: smallTables})
		if err != nil {
			return err
		}
		m, err := recovered(d)
		if err != nil {
			return err
		}
		if err := d.Close(); err != nil {
			return err
		}
		h.mu.Lock()
		found := slices.Index(h.states[committed:begun+1], m.state())
		h.mu.Unlock()
		if found < 0 {
			return fmt.Errorf("the state is not one after %d to %d batches", committed, begun)
		}
		committed += int64(found)
		begun = committed
	}
	return nil
}

// The process dies before and after calls to the file system: with nothing of
// what was not synced, half of it, or all of it on the disk.
func TestCrashes(t *testing.T) {
	s := seed(t)
	batches, every := 150, uint64(40)
	if slow() {
		batches, every = 400, 1
	}
	mem := vfs.NewCrashableMem()
	h := newHistory(s)
	rng := random(s, 2)
	var mu sync.Mutex // guards rng, calls, crashes
	calls, crashes := uint64(0), 0
	crash := func(when, op, name string) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; rng.Uint64N(every) != 0 && calls > 60 || t.Failed() {
			return // the first calls, which make the store, are all taken
		}
		for _, survives := range []int{0, 50, 100} {
			committed := h.committed.Load()
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: random(rng.Uint64(), 3)})
			crashes++
			if err := h.check(clone, committed, h.begun.Load()); err != nil {
				t.Errorf("crash %s call %d, %s %s, with %d%% of what was not synced: %v", when, calls/2, op, name, survives, err)
			}
		}
	}
	fs := hookFS{
		FS:     clonedFS{mem},
		before: func(op, name string) error { crash("before", op, name); return nil },
		after:  func(op, name string) { crash("after", op, name) },
	}
	d, err := store.Open("store", store.Options{
		FS: fs, MemTableBytes: smallTables, Failed: func(err error) { t.Errorf("the store failed: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	if err := h.run(d, batches); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d crashes at %d calls", crashes, calls/2)
	if calls < 1000 {
		t.Errorf("only %d calls were made: are the tables small?", calls/2)
	}
}
