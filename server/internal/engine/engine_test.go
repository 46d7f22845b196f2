package engine_test

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

func TestMain(m *testing.M) {
	if os.Getenv(apartEnv) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// An inbox is a Sink that keeps what it is told.
type inbox struct {
	flushed func() // called by Flush; nil: nothing

	mu      sync.Mutex // guards what is below
	leases  []queue.Lease
	bodies  []string
	ids     []queue.ID
	queues  []string
	ended   []error
	flushes int
}

func (b *inbox) Deliver(_ queue.Instant, d *queue.Delivery) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases = append(b.leases, d.Lease)
	b.bodies = append(b.bodies, string(d.Message.Body))
	b.ids = append(b.ids, d.Message.ID)
	b.queues = append(b.queues, d.Consumer.Queue.Name)
	return len(b.leases) == 1 // dirty once
}

func (b *inbox) ConsumerEnded(_ queue.ConsumerID, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = append(b.ended, err)
	return true
}

func (b *inbox) SessionEnded(err error) bool { return b.ConsumerEnded(0, err) }

// Cancelled ignores it.
func (b *inbox) Cancelled(*queue.Cancelled) bool { return false }

// Taken ignores it.
func (b *inbox) Taken(*queue.Taken) bool { return false }

func (b *inbox) Flush() {
	b.mu.Lock()
	b.flushes++
	b.mu.Unlock()
	if b.flushed != nil {
		b.flushed()
	}
}

// got is what it was told so far.
func (b *inbox) got() (deliveries, flushes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.leases), b.flushes
}

// A rig is an engine with one session, which has a queue, in fake time.
type rig struct {
	*testing.T
	*engine.Engine
	session queue.SessionID
	over    []queue.SessionID
}

func play(t *testing.T, play func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t}
		e, err := engine.New(engine.Config{SessionEnded: func(id queue.SessionID) { r.over = append(r.over, id) }})
		if err != nil {
			t.Fatal(err)
		}
		r.Engine = e
		defer func() { _ = e.Close() }()
		r.session = r.login(time.Hour)
		r.apply(&queue.Create{Session: r.session, Queue: "q"})
		play(r)
	})
}

// apply does operations under one hold of the lock.
func (r *rig) apply(ops ...queue.Op) *queue.Effects {
	r.Helper()
	var tx engine.Tx
	r.Begin(&tx)
	defer tx.End()
	var fx *queue.Effects
	for _, op := range ops {
		var err error
		if fx, err = tx.Apply(op); err != nil {
			r.Fatalf("%T: %v", op, err)
		}
	}
	return fx
}

func (r *rig) login(ttl time.Duration) queue.SessionID {
	var tx engine.Tx
	r.Begin(&tx)
	defer tx.End()
	id := tx.State().NewSessionID()
	if _, err := tx.Apply(&queue.Login{Session: id, TTL: ttl}); err != nil {
		r.Fatal(err)
	}
	return id
}

// leases delivers n messages to a consumer with some lease.
func (r *rig) leases(n int, lease time.Duration) (*inbox, []queue.Lease) {
	r.Helper()
	b := &inbox{}
	for range n {
		r.apply(&queue.Send{Session: r.session, Queue: "q"})
	}
	r.apply(&queue.Subscribe{Session: r.session, Queue: "q", Credit: n, Lease: lease, Sink: b})
	b.mu.Lock()
	defer b.mu.Unlock()
	return b, slices.Clone(b.leases)
}

// delivered says how many deliveries an inbox has had.
func (r *rig) delivered(b *inbox, want int) {
	r.Helper()
	if n, _ := b.got(); n != want {
		r.Errorf("%d deliveries, want %d", n, want)
	}
}

// in is how long from now the timer fires.
func (r *rig) in() time.Duration {
	if r.Armed() == 0 {
		return 0
	}
	return r.Armed().Sub(r.Now())
}

// There is one timer: it is set for the first deadline, and moved only to be
// earlier. When it is early it looks, and is set again.
func TestTimer(t *testing.T) {
	play(t, func(r *rig) {
		if r.in() != time.Hour {
			r.Errorf("the session ends in %v", r.in())
		}
		b, leases := r.leases(1, 10*time.Second)
		if r.in() != 10*time.Second {
			r.Errorf("the timer fires in %v, not with the lease", r.in())
		}
		time.Sleep(6 * time.Second)
		r.apply(&queue.Extend{Session: r.session, Leases: leases})
		if r.in() != 4*time.Second {
			r.Errorf("the timer was moved to %v", r.in())
		}
		time.Sleep(5 * time.Second) // it fired, and nothing was due
		synctest.Wait()
		r.delivered(b, 1)
		if r.in() != 5*time.Second {
			r.Errorf("the timer fires in %v", r.in())
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		r.delivered(b, 2) // the lease ended, and the message came again
	})
}

// A deadline that comes nearer moves the timer.
func TestTimerComesForward(t *testing.T) {
	play(t, func(r *rig) {
		b, leases := r.leases(1, time.Hour)
		r.apply(&queue.Extend{Session: r.session, Leases: leases, Lease: time.Second})
		if r.in() != time.Second {
			r.Errorf("the timer fires in %v", r.in())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		r.delivered(b, 2)
	})
}

// More deadlines at one instant than a Tick does are all met at that instant.
func TestManyDeadlines(t *testing.T) {
	play(t, func(r *rig) {
		const n = 2500
		b, _ := r.leases(n, time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		r.delivered(b, 2*n)
	})
}

// The end of a session is told to its sinks and to the engine's owner.
func TestSessionEnds(t *testing.T) {
	play(t, func(r *rig) {
		short := r.login(2 * time.Second)
		stream := &inbox{}
		r.apply(&queue.Attach{Session: short, Sink: stream})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.over) != 0 {
			r.Fatal("an attached session ended")
		}
		r.apply(&queue.Logout{Session: short})
		if len(r.over) != 1 || r.over[0] != short || len(stream.ended) != 1 || !errors.Is(stream.ended[0], queue.ErrSessionEnded) || stream.flushes != 1 {
			r.Errorf("ended: %v; the stream was told %v in %d flushes", r.over, stream.ended, stream.flushes)
		}
		r.apply(&queue.Attach{Session: r.session, Sink: stream})
		r.apply(&queue.Attach{Session: r.session, Sink: &inbox{}})
		if len(r.over) != 1 || !errors.Is(stream.ended[1], queue.ErrSuperseded) {
			r.Errorf("ended: %v; the stream was told %v", r.over, stream.ended)
		}
	})
}

// A Sink is flushed once for a hold of the lock, when the lock is free.
func TestFlush(t *testing.T) {
	play(t, func(r *rig) {
		b := &inbox{}
		b.flushed = func() { r.apply(&queue.Renew{Session: r.session}) } // would wait for ever otherwise
		r.apply(&queue.Subscribe{Session: r.session, Queue: "q", Credit: 10, Sink: b},
			&queue.Send{Session: r.session, Queue: "q"}, &queue.Send{Session: r.session, Queue: "q"})
		if n, flushes := b.got(); n != 2 || flushes != 1 {
			r.Errorf("%d deliveries in %d flushes", n, flushes)
		}
	})
}

// An operation that is refused causes nothing.
func TestRefusal(t *testing.T) {
	play(t, func(r *rig) {
		var tx engine.Tx
		r.Begin(&tx)
		fx, err := tx.Apply(&queue.Send{Session: r.session, Queue: "nowhere"})
		if fx != nil || !errors.Is(err, queue.ErrQueueNotFound) {
			r.Errorf("got %v, %v", fx, err)
		}
		tx.End()
	})
}

// A closed engine ticks no more.
func TestClose(t *testing.T) {
	play(t, func(r *rig) {
		b, _ := r.leases(1, time.Second)
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			r.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		r.delivered(b, 1)
	})
}

// What the engine hands to sinks as any must be one.
var _, _ engine.Sink = (*inbox)(nil), (*lastLease)(nil)
