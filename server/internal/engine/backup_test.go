package engine_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// onRealDisk opens an engine in a directory.
func onRealDisk(t *testing.T, dir string) *durable {
	t.Helper()
	e, err := engine.Open(dir, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	d := &durable{T: t, Engine: e, log: &lines{}}
	d.begin()
	return d
}

// A copy holds what was answered before it, and nothing of what came after; the
// engine goes on meanwhile.
func TestBackup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d := onRealDisk(t, dir)
	in := &inbox{}
	d.must(&queue.Create{Session: d.session, Queue: "q"}, &queue.Send{Session: d.session, Queue: "q", Body: []byte("one")},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("two")}, &queue.Subscribe{Session: d.session, Queue: "q", Credit: 1, Sink: in})
	d.until("it is delivered", func() bool { n, _ := in.got(); return n == 1 })
	d.must(&queue.Ack{Session: d.session, Leases: in.leases[:1]}) // lazily, and yet before the copy
	c, err := d.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.must(&queue.Send{Session: d.session, Queue: "q", Body: []byte("late")})
	if _, err := d.Backup(t.Context()); !errors.Is(err, queue.ErrLimitReached) {
		t.Errorf("a second one at the same time: %v", err)
	}
	to, bytes := t.TempDir(), int64(0)
	for _, f := range c.Files {
		in, err := c.Open(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err = errors.Join(err, in.Close(), os.WriteFile(filepath.Join(to, f.Name), data, 0o600)); err != nil || int64(len(data)) != f.Bytes {
			t.Fatalf("%s has %d of %d bytes: %v", f.Name, len(data), f.Bytes, err)
		}
		bytes += f.Bytes
	}
	if bytes != c.Bytes {
		t.Errorf("%d of %d bytes", bytes, c.Bytes)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "backup-in-progress")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	if r, err := store.Check(to, store.Options{}, nil); err != nil || len(r.Problems) != 0 || r.Messages != 1 {
		t.Errorf("the copy: %+v, %v", r, err)
	}
	if c, err = d.Backup(t.Context()); err != nil { // the first one is done
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if _, err := d.Backup(t.Context()); !errors.Is(err, queue.ErrShuttingDown) {
		t.Errorf("after the end: %v", err)
	}
}

// What a crash has left of a backup goes at the next start.
func TestLeftoversOfABackup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := onRealDisk(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "backup-in-progress")
	if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, "000001.sst"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	onRealDisk(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

// Without a disk there is nothing to back up.
func TestNoBackupOfMemory(t *testing.T) {
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if _, err := e.Backup(t.Context()); !errors.Is(err, queue.ErrNotDurable) {
		t.Error(err)
	}
}

// Whoever reads the disk is waited for.
func TestCloseWaitsForReaders(t *testing.T) {
	d := onRealDisk(t, filepath.Join(t.TempDir(), "data"))
	d.must(&queue.Create{Session: d.session, Queue: "q"})
	for range 100 {
		d.must(&queue.Send{Session: d.session, Queue: "q", Body: make([]byte, 1000)})
	}
	done := make(chan error, 4)
	for range cap(done) {
		go func() { // received below
			for {
				if _, _, err := d.Page(1, 0, 1<<60, 1000, 1<<20); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	time.Sleep(10 * time.Millisecond)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for range cap(done) {
		if err := <-done; !errors.Is(err, queue.ErrShuttingDown) {
			t.Error(err)
		}
	}
}
