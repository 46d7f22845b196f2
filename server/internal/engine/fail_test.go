package engine_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// G10: what a failed sync should have covered is never answered, nothing else is
// from then on, and it is told once, at once.
func TestAFailedSyncEndsAll(t *testing.T) {
	if !apart(t) {
		return
	}
	defer leave(t)
	disk := newBadDisk(1 << 30)
	d := openDurable(t, disk, engine.Config{})
	d.must(&queue.Create{Session: d.session, Queue: "q"}, &queue.Send{Session: d.session, Queue: "q", Body: []byte("safe")})
	eio := func() error { return syscall.EIO }
	disk.sync.Store(&eio)
	began := time.Now()
	if err := d.do(&queue.Send{Session: d.session, Queue: "q", Body: []byte("lost")}); !errors.Is(err, queue.ErrShuttingDown) {
		t.Errorf("the Send is answered with %v", err)
	}
	select {
	case err := <-d.failed:
		if !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("told: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the failure is not told")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	for _, op := range []queue.Op{&queue.Send{Session: d.session, Queue: "q"}, &queue.Renew{Session: d.session}, &queue.Tick{}} {
		if err := d.do(op); !errors.Is(err, queue.ErrShuttingDown) {
			t.Errorf("after the failure %T answers %v", op, err)
		}
	}
	if _, _, err := d.Page(1, 0, 9, 9, 9); !errors.Is(err, queue.ErrShuttingDown) {
		t.Errorf("after the failure a read answers %v", err)
	}
	if err := d.Close(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("Close answers %v", err)
	}
	if len(d.failed) != 0 {
		t.Error("the failure is told again")
	}
}

// A sync that does not end is warned of after StallWarning, and is a failure after
// StallBound. Meanwhile what needs no disk goes on.
func TestASyncThatDoesNotEnd(t *testing.T) {
	if !apart(t) {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		defer leave(t)
		disk := newBadDisk(1 << 30)
		d := openDurable(t, disk, engine.Config{})
		d.must(&queue.Create{Session: d.session, Queue: "q"},
			&queue.Create{Session: d.session, Queue: "memory", Options: queue.Options{Durability: queue.Memory}})
		never := make(chan struct{})
		hang := func() error { <-never; return nil }
		disk.sync.Store(&hang)
		answer := make(chan error, 1)
		go func() { answer <- d.do(&queue.Send{Session: d.session, Queue: "q"}) }()
		time.Sleep(engine.StallWarning - time.Millisecond)
		if strings.Contains(d.log.String(), "the disk is slow") {
			t.Errorf("warned too early:\n%s", d.log)
		}
		time.Sleep(2 * time.Millisecond)
		if !strings.Contains(d.log.String(), "level=WARN msg=\"the disk is slow") {
			t.Errorf("not warned:\n%s", d.log)
		}
		d.must(&queue.Send{Session: d.session, Queue: "memory"})
		time.Sleep(engine.StallBound - engine.StallWarning - 10*time.Millisecond)
		if len(answer)+len(d.failed) != 0 {
			t.Error("given up too early")
		}
		time.Sleep(20 * time.Millisecond)
		select {
		case err := <-d.failed:
			if !strings.Contains(err.Error(), "has not finished a sync for 30s") {
				t.Errorf("told: %v", err)
			}
		default:
			t.Fatal("the failure is not told")
		}
		if err := <-answer; !errors.Is(err, queue.ErrShuttingDown) {
			t.Errorf("the Send is answered with %v", err)
		}
		if err := d.Close(); err == nil {
			t.Error("Close answers nil")
		}
	})
}

// A disk that is slow but not too slow loses nothing.
func TestASlowSync(t *testing.T) {
	disk := newBadDisk(1 << 30)
	d := openDurable(t, disk, engine.Config{})
	d.must(&queue.Create{Session: d.session, Queue: "q"})
	slow := func() error { time.Sleep(30 * time.Millisecond); return nil }
	disk.sync.Store(&slow)
	for range 5 {
		d.must(&queue.Send{Session: d.session, Queue: "q"})
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := openDurable(t, disk, engine.Config{})
	defer func() { _ = again.Close() }()
	var tx engine.Tx
	again.Begin(&tx)
	defer tx.End()
	if q, err := tx.State().QueueNamed("q"); err != nil || q.Summary(tx.Now).Waiting != 5 {
		t.Errorf("%v, %v", q, err)
	}
}
