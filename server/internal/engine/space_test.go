package engine_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

const mib = 1 << 20

// refusedForSpace checks that an operation is refused because the disk is full.
func (d *durable) refusedForSpace(op queue.Op) {
	d.Helper()
	err := d.do(op)
	var e *queue.Error
	if !errors.Is(err, queue.ErrLimitReached) || !errors.As(err, &e) || !slices.Contains(e.Meta, "disk") {
		d.Errorf("%T is answered with %v", op, err)
		return
	}
	for _, part := range []string{"data directory", " MiB left", "16.0 MiB in reserve", "make room"} {
		if !strings.Contains(e.Text, part) {
			d.Errorf("%q has no %q", e.Text, part)
		}
	}
}

// G9: on a nearly full disk nothing new is stored, and all else goes on; once
// there is room, and a little more, it is taken again.
func TestANearlyFullDisk(t *testing.T) {
	disk := newBadDisk(1 << 30)
	d := openDurable(t, disk, engine.Config{Reserve: 16 * mib})
	defer func() { _ = d.Close() }()
	own := queue.TemporaryPrefix + "own"
	memory := queue.Options{Durability: queue.Memory}
	in := &inbox{}
	d.must(&queue.Create{Session: d.session, Queue: "q", Options: queue.Options{MaxAttempts: 1}},
		&queue.Create{Session: d.session, Queue: "answers"},
		&queue.Create{Session: d.session, Queue: "m", Options: memory},
		&queue.Create{Session: d.session, Queue: own, Temporary: true},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("1"), Producer: "p", Sequence: 1},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("2")},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("3"), ReplyTo: own, CorrelationID: "c"},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("4"), ReplyTo: "answers", CorrelationID: "c"})

	disk.free.Store(16*mib - 1)
	d.until("sends are refused", func() bool { return d.Space().Refusing })
	d.refusedForSpace(&queue.Send{Session: d.session, Queue: "q"})
	d.refusedForSpace(&queue.Send{Session: d.session, Queue: "new", Create: true})
	d.refusedForSpace(&queue.Create{Session: d.session, Queue: "new"})
	d.refusedForSpace(&queue.Subscribe{Session: d.session, Queue: "new", Create: true, Sink: in})
	d.must(&queue.Send{Session: d.session, Queue: "q", Producer: "p", Sequence: 1}, // it is there
		&queue.Create{Session: d.session, Queue: "q"},
		&queue.Send{Session: d.session, Queue: "m"}, &queue.Send{Session: d.session, Queue: own},
		&queue.Create{Session: d.session, Queue: "m2", Options: memory},
		&queue.Subscribe{Session: d.session, Queue: "q", Credit: 10, Sink: in})
	d.until("all are delivered", func() bool { n, _ := in.got(); return n == 4 })
	d.refusedForSpace(&queue.Reply{Session: d.session, Lease: in.leases[3]})
	d.must(&queue.Ack{Session: d.session, Leases: in.leases[:1], Sync: true},
		&queue.Nack{Session: d.session, Leases: in.leases[1:2]}, // its dead-letter queue is new
		&queue.Reply{Session: d.session, Lease: in.leases[2]})

	disk.free.Store(20*mib - 1)
	time.Sleep(500 * time.Millisecond) // two looks
	var tx engine.Tx
	d.Begin(&tx)
	if fx, err := tx.Apply(&queue.Replay{Queue: "q.dead"}); err != nil || fx.Count != 0 || fx.Left != 1 || !errors.Is(fx.LeftErr, queue.ErrLimitReached) {
		t.Errorf("a replay: %+v, %v", fx, err)
	}
	tx.End()
	disk.free.Store(20 * mib)
	d.until("sends are taken", func() bool { return !d.Space().Refusing })
	d.must(&queue.Send{Session: d.session, Queue: "q"}, &queue.Reply{Session: d.session, Lease: in.leases[3]})
	for _, text := range []string{"level=WARN msg=\"the disk is nearly full", "level=INFO msg=\"the disk has room again"} {
		if n := strings.Count(d.log.String(), text); n != 1 {
			t.Errorf("%q is logged %d times", text, n)
		}
	}
}

// What a start brings back is kept and goes on also when the disk is nearly full by
// then: here a message that waits, and the end of a request that was given up.
func TestAStartOnANearlyFullDisk(t *testing.T) {
	disk := newBadDisk(1 << 30)
	c := engine.Config{Reserve: 16 * mib}
	d := openDurable(t, disk, c)
	own := queue.TemporaryPrefix + "own"
	in := &inbox{}
	d.must(&queue.Create{Session: d.session, Queue: "q"},
		&queue.Create{Session: d.session, Queue: "r"},
		&queue.Create{Session: d.session, Queue: own, Temporary: true},
		&queue.Send{Session: d.session, Queue: "q", Body: []byte("1")},
		&queue.Send{Session: d.session, Queue: "r", Body: []byte("2"), ReplyTo: own, CorrelationID: "c"},
		&queue.Subscribe{Session: d.session, Queue: "r", Credit: 10, Sink: in})
	d.until("the request is leased", func() bool { n, _ := in.got(); return n == 1 })
	d.must(&queue.Cancel{Session: d.session, ReplyTo: own, CorrelationID: "c"})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	disk.free.Store(16*mib - 1)
	for life := range 2 {
		d = openDurable(t, disk, c)
		if !d.Space().Refusing {
			t.Error("the disk is not nearly full")
		}
		in = &inbox{}
		d.must(&queue.Subscribe{Session: d.session, Queue: "q", Credit: 10, Sink: in})
		d.until("the message is delivered", func() bool { n, _ := in.got(); return n == 1 })
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := store.Check("data", store.Options{FS: disk}, nil); err != nil || len(r.Problems) > 0 {
			t.Errorf("after life %d: %v, %v", life+2, r, err)
		}
	}
}

// The ballast is made when there is room, given up when the disk runs low, and
// made again. It counts as free.
func TestBallast(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ballast")
	disk := newBadDisk(1 << 30)
	d := openDurable(t, disk, engine.Config{Reserve: 16 * mib, Dir: dir})
	defer func() { _ = d.Close() }()
	takes := func(n int64) func() bool {
		return func() bool { // once it has its size, and was looked at
			info, err := os.Stat(file)
			return err == nil && info.Size() == n && d.Space().Ballast == uint64(n) || n == 0 && err != nil && d.Space().Ballast == 0
		}
	}
	d.until("there is a ballast", takes(8*mib))
	disk.free.Store(8 * mib)
	d.until("it is looked at", func() bool { return d.Space().Free == 16*mib })
	if s := d.Space(); s.Refusing || s.Total != 1<<30 || s.Reserve != 16*mib || s.Dir != dir {
		t.Errorf("%+v", s)
	}
	disk.free.Store(8*mib - 1)
	d.until("sends are refused", func() bool { return d.Space().Refusing })
	if !takes(8 * mib)() {
		t.Error("the ballast is gone too early")
	}
	disk.free.Store(2*mib - 1)
	d.until("the ballast is given up", takes(0))
	disk.free.Store(19 * mib)
	time.Sleep(500 * time.Millisecond) // two looks
	if !takes(0)() {
		t.Error("the ballast is made too early")
	}
	disk.free.Store(100 * mib)
	d.until("the ballast is made again", takes(8*mib))
	if err := os.Remove(file); err != nil { // an operator in need
		t.Fatal(err)
	}
	d.until("the ballast is made again", takes(8*mib))
}

// A ballast of another reserve is not kept.
func TestBallastOfAnotherSize(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int64{16, 4} {
		d := openDurable(t, newBadDisk(1<<30), engine.Config{Reserve: uint64(2 * size * mib), Dir: dir})
		d.until("there is a ballast", func() bool { return d.Space().Ballast == uint64(size*mib) })
		if info, err := os.Stat(filepath.Join(dir, "ballast")); err != nil || info.Size() != size*mib {
			t.Errorf("%v, %v", info, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// On a real disk of 64 MiB: it is filled until Sends are refused, and then by a
// stranger to the last byte; acks, deliveries and dead letters go on; once there
// is room Sends are taken again, without a restart; and nothing was lost.
func TestARealFullDisk(t *testing.T) {
	dir := filepath.Join(smallDisk(t, "64m"), "data")
	disk, err := store.Open(dir, store.Options{MemTableBytes: 1 * mib, FullPause: 10 * time.Millisecond, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	d := &durable{T: t, log: &lines{}}
	if d.Engine, err = engine.New(engine.Config{Disk: disk, Dir: dir, Reserve: 16 * mib, Logger: slog.New(slog.NewTextHandler(d.log, nil))}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // it is closed below
	d.begin()
	d.must(&queue.Create{Session: d.session, Queue: "q", Options: queue.Options{MaxAttempts: 1}})
	body := noise(32 << 10)
	sent := 0
	for err = nil; err == nil && sent < 4000; sent++ {
		err = d.do(&queue.Send{Session: d.session, Queue: "q", Body: body()})
	}
	sent-- // the last one was refused
	if !errors.Is(err, queue.ErrLimitReached) || sent < 500 {
		t.Fatalf("after %d: %v", sent, err)
	}
	hog := filepath.Join(filepath.Dir(dir), "hog")
	d.until("the ballast is given up", func() bool {
		if d.Space().Ballast > 0 {
			fillDisk(t, hog) // tables that were merged make room meanwhile
		}
		return d.Space().Ballast == 0
	})

	in := &inbox{}
	d.must(&queue.Subscribe{Session: d.session, Queue: "q", Credit: 4, Sink: in})
	const acked, dead = 200, 20
	for i := range acked + dead {
		d.until("there is a delivery", func() bool { n, _ := in.got(); return n > i })
		in.mu.Lock()
		lease := in.leases[i]
		in.mu.Unlock()
		if i < acked {
			d.must(&queue.Ack{Session: d.session, Leases: []queue.Lease{lease}, Sync: true})
		} else {
			d.must(&queue.Nack{Session: d.session, Leases: []queue.Lease{lease}, Kind: queue.Refuse})
		}
	}
	d.refusedForSpace(&queue.Send{Session: d.session, Queue: "q"})
	if err := os.RemoveAll(hog); err != nil { // the Sends alone may have filled the disk
		t.Fatal(err)
	}
	d.must(&queue.Purge{Queue: "q.dead"})
	for d.do(&queue.Send{Session: d.session, Queue: "q", Body: []byte("new")}) != nil { // what was acked is merged away
		lease := queue.Lease(0)
		n, _ := in.got()
		in.mu.Lock()
		lease = in.leases[n-1]
		in.mu.Unlock()
		if d.do(&queue.Ack{Session: d.session, Leases: []queue.Lease{lease}}) == nil {
			sent--
		}
		time.Sleep(time.Millisecond)
		if d.Context().Err() != nil || d.Space().Total == 0 {
			t.Fatal("it never takes a Send again")
		}
	}
	var tx engine.Tx
	d.Begin(&tx)
	q, err := tx.State().QueueNamed("q")
	sum := q.Summary(tx.Now)
	tx.End()
	if err != nil || sum.Waiting+sum.Leased != sent-acked-dead+1 {
		t.Errorf("%d and %d of %d are there: %v", sum.Waiting, sum.Leased, sent-acked-dead+1, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.Check(dir, store.Options{}, nil)
	if err != nil || len(r.Problems) != 0 || r.Messages != sum.Waiting+sum.Leased {
		t.Errorf("%+v, %v", r, err)
	}
}

// smallDisk mounts a file system of its own in memory; without the right to, the
// test is skipped.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountMemory(dir, size); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk takes all the space that there is.
func fillDisk(t *testing.T, hog string) {
	t.Helper()
	f, err := os.OpenFile(hog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for part := make([]byte, 64<<10); ; {
		if _, err := f.Write(part); err != nil {
			if vfs.IsNoSpaceError(err) {
				return
			}
			t.Fatal(err)
		}
	}
}
