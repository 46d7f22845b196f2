package store_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// faulty is a store on a disk whose calls can be made to fail once it is open.
type faulty struct {
	*store.Disk
	mem    *vfs.MemFS
	fail   atomic.Pointer[func(op, name string) error]
	told   atomic.Int64
	failed chan error // the first that was told
}

func openFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{mem: vfs.NewCrashableMem(), failed: make(chan error, 100)}
	hook := func(op, name string) error {
		if fail := f.fail.Load(); fail != nil {
			return (*fail)(op, name)
		}
		return nil
	}
	fs := hookFS{FS: clonedFS{f.mem}, before: hook, read: hook}
	var err error
	f.Disk, err = store.Open("store", store.Options{
		FS: fs, MemTableBytes: smallTables, FullPause: time.Millisecond,
		Failed: func(err error) {
			f.told.Add(1)
			f.failed <- err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, f.Disk)
	return f
}

func (f *faulty) from(fail func(op, name string) error) { f.fail.Store(&fail) }

// dead checks that a failed store does nothing any more, and told it once.
func (f *faulty) dead(t *testing.T, cause error) {
	t.Helper()
	select {
	case err := <-f.failed:
		if !errors.Is(err, store.ErrFailed) || !errors.Is(err, cause) || !strings.Contains(err.Error(), `"store"`) {
			t.Errorf("the failure is told as %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the failure was not told")
	}
	b := f.NewBatch()
	b.PutSequence(1)
	_, started := f.Start(noon)
	_, read := f.Messages(1, 0, 1, 0, 0, nil)
	for _, err := range []error{b.Commit(), started, read, f.Checkpoint("copy"), f.Close()} {
		if !errors.Is(err, store.ErrFailed) {
			t.Errorf("after the failure: %v", err)
		}
	}
	if n := f.told.Load(); n != 1 {
		t.Errorf("the failure was told %d times", n)
	}
}

// One call fails, and those after it would do well again: nothing may be
// committed after that, and what was committed before must be on the disk.
func TestOneFailedCallEndsAll(t *testing.T) {
	s := seed(t)
	step, batches := int64(80), 120
	if slow() {
		step = 1
	}
	rng := random(s, 4)
	for at := int64(1); ; at += 1 + rng.Int64N(step) {
		f := openFaulty(t)
		h := newHistory(s)
		var calls atomic.Int64
		var hit atomic.Pointer[string]
		f.from(func(op, name string) error {
			if op == "remove" || calls.Add(1) != at {
				return nil
			}
			hit.Store(&[]string{op + " " + name}[0])
			return syscall.EIO
		})
		err := h.run(f.Disk, batches)
		if err == nil { // a flush or compaction failed behind our back, or none did
			err = f.Close()
		}
		if hit.Load() == nil {
			if err != nil {
				t.Errorf("nothing failed, and yet %v", err)
			}
			if at < 200 {
				t.Errorf("only %d calls were made: are the tables small?", at)
			}
			return
		}
		if !errors.Is(err, store.ErrFailed) {
			t.Errorf("call %d, %s: %v", at, *hit.Load(), err)
		}
		f.dead(t, syscall.EIO)
		for _, survives := range []int{0, 100} {
			clone := f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: rng})
			if err := h.check(clone, h.committed.Load(), h.begun.Load()); err != nil {
				t.Errorf("call %d, %s: after a restart: %v", at, *hit.Load(), err)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// A merge that can't read a table ends the store as well, and nothing else: it
// would panic in Pebble's own goroutine.
func TestAMergeThatCannotRead(t *testing.T) {
	for at := int64(1); ; at++ {
		f := openFaulty(t)
		commit(t, f.Disk, func(b *store.Batch) {
			for s := uint64(1); s <= 300; s++ {
				b.PutMessage(&store.Message{Queue: 1, Sequence: s, Request: s%2 == 0, Body: make([]byte, 1000)})
			}
		})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		commit(t, f.Disk, func(b *store.Batch) {
			for s := uint64(1); s <= 300; s += 3 {
				b.DeleteMessage(&store.Message{Queue: 1, Sequence: s, Request: s%2 == 0})
			}
		})
		var reads atomic.Int64
		f.from(func(op, _ string) error {
			if op != "read" || reads.Add(1) != at {
				return nil
			}
			return syscall.EIO
		})
		done := make(chan error, 1)
		go func() { done <- f.Compact() }() // which may stay for ever
		select {
		case err := <-done:
			if err != nil || reads.Load() >= at {
				t.Errorf("a merge that fails at read %d of %d answers %v", at, reads.Load(), err)
			}
			if at < 3 {
				t.Errorf("only %d reads", reads.Load())
			}
			return
		case <-f.Failed():
			f.dead(t, syscall.EIO)
		}
	}
}

// Deletions rely on it that no message is written twice. If one is and Pebble meets
// both, the store ends instead of delivering it again.
func TestAMessageWrittenTwiceEndsTheStore(t *testing.T) {
	f := openFaulty(t)
	m := store.Message{Queue: 1, Sequence: 1}
	commit(t, f.Disk, func(b *store.Batch) { b.PutMessage(&m); b.PutMessage(&m) })
	commit(t, f.Disk, func(b *store.Batch) { b.DeleteMessage(&m) })
	go func() { _ = f.Flush() }() // which may stay for ever
	f.dead(t, store.ErrCorrupt)
}

func ext(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// Tables that don't fit on the disk are written again once there is room.
func TestAFullDiskHeals(t *testing.T) {
	s := seed(t)
	f := openFaulty(t)
	h := newHistory(s)
	var refused atomic.Int64
	f.from(func(op, name string) error {
		if ext(name) == "sst" && op != "remove" && refused.Add(1) < 20 {
			return syscall.ENOSPC
		}
		return nil
	})
	if err := h.run(f.Disk, 150); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n := refused.Load(); n < 20 {
		t.Errorf("only %d calls were refused", n)
	}
	if err := h.check(f.mem, h.committed.Load(), h.begun.Load()); err != nil {
		t.Error(err)
	}
}

// A log that doesn't fit on the disk ends all.
func TestAFullDiskUnderTheLog(t *testing.T) {
	f := openFaulty(t)
	f.from(func(op, name string) error {
		if ext(name) == "log" && op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	if err := newHistory(1).run(f.Disk, 1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the commit answered %v", err)
	}
	f.dead(t, syscall.ENOSPC)
}

// What is wrong with the copy is not wrong with the store.
func TestACopyThatFails(t *testing.T) {
	f := openFaulty(t)
	f.from(func(_, name string) error {
		if strings.HasPrefix(name, "copy") {
			return syscall.EIO
		}
		return nil
	})
	if err := f.Checkpoint("copy"); !errors.Is(err, syscall.EIO) || errors.Is(err, store.ErrFailed) {
		t.Errorf("the copy answered %v", err)
	}
	if err := errors.Join(newHistory(1).run(f.Disk, 9), f.Close()); err != nil {
		t.Error(err)
	}
}

// An error while opening is returned, not told.
func TestAFailureToOpen(t *testing.T) {
	for at := int64(1); ; at++ {
		var calls, told atomic.Int64
		fs := hookFS{FS: vfs.NewMem(), before: func(op, _ string) error {
			if op != "remove" && calls.Add(1) == at {
				return syscall.EIO
			}
			return nil
		}}
		d, err := store.Open("store", store.Options{FS: fs, Failed: func(error) { told.Add(1) }})
		if err == nil { // the call comes later, if ever
			_ = d.Close()
			if at < 10 {
				t.Errorf("the store opened with call %d failing", at)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) || told.Load() > 0 {
			t.Errorf("call %d: %v, and told %d times", at, err, told.Load())
		}
	}
}
