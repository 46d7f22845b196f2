package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// A gate is a disk whose syncs can be held up.
type gate struct {
	mu   sync.Mutex // guards what is below
	shut chan struct{}
}

func (g *gate) String() string { return "gate" }

// MaybeError is called at each call of the file system.
func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData && op.Kind != errorfs.OpFileSyncTo {
		return nil
	}
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return nil
}

// close holds syncs up until the function that it returns is called.
func (g *gate) close() (open func()) {
	shut := make(chan struct{})
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	return sync.OnceFunc(func() {
		g.mu.Lock()
		g.shut = nil
		g.mu.Unlock()
		close(shut)
	})
}

// behindGate is a switch with a disk behind a gate.
func behindGate(t *testing.T) (*engine.Engine, *gate) {
	t.Helper()
	g := &gate{}
	disk, err := store.Open("dir", store.Options{FS: errorfs.Wrap(vfs.NewMem(), g)})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	return e, g
}

// apply does one operation. The ticket is what its answer waits for.
func apply(t *testing.T, e *engine.Engine, op queue.Op) (*queue.Effects, *engine.Ticket) {
	t.Helper()
	var tx engine.Tx
	e.Begin(&tx)
	defer tx.End()
	fx, err := tx.Apply(op)
	if err != nil {
		t.Fatalf("%T: %v", op, err)
	}
	copied := *fx
	return &copied, tx.Ticket()
}

// waits reports whether a ticket is still to be waited for, a moment later.
func waits(ticket *engine.Ticket) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	return errors.Is(ticket.Wait(ctx), context.DeadlineExceeded)
}

// Until the sync nothing leaves: no answer, no delivery, no answer to a repeated
// Send, and nothing that an operator could see.
func TestHeld(t *testing.T) {
	e, g := behindGate(t)
	defer func() { _ = e.Close() }()
	id := login(t, e, "p")
	must(t, e, &queue.Create{Session: id, Queue: "q"})
	must(t, e, &queue.Create{Session: id, Queue: "m", Options: queue.Options{Durability: queue.Memory}})
	b := &inbox{}
	must(t, e, &queue.Subscribe{Session: id, Queue: "q", Credit: 10, Sink: b})
	open := g.close()
	defer open()
	_, sent := apply(t, e, &queue.Send{Session: id, Queue: "q", Sequence: 1})
	again, repeated := apply(t, e, &queue.Send{Session: id, Queue: "q", Sequence: 1})
	if !again.Duplicate {
		t.Error("the second Send is no duplicate")
	}
	var tx engine.Tx
	e.Begin(&tx)
	seen := tx.TicketForAll()
	tx.End()
	for what, ticket := range map[string]*engine.Ticket{"an answer": sent, "the answer to a repeated Send": repeated, "a look": seen} {
		if !waits(ticket) {
			t.Errorf("%s did not wait for the sync", what)
		}
	}
	if n, _ := b.got(); n != 0 {
		t.Error("a message was delivered before it was synced")
	}
	if _, ticket := apply(t, e, &queue.Send{Session: id, Queue: "m"}); ticket != nil {
		t.Error("a memory queue waits for the disk")
	}
	open()
	for _, ticket := range []*engine.Ticket{sent, repeated, seen} {
		if err := ticket.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for n := 0; n == 0; n, _ = b.got() {
		time.Sleep(time.Millisecond) // the committer is about to flush
	}
}

// Acks are done at once, unless they are to be synced.
func TestLazyAcks(t *testing.T) {
	e, g := behindGate(t)
	defer func() { _ = e.Close() }()
	id := login(t, e, "")
	must(t, e, &queue.Create{Session: id, Queue: "q"})
	b := &inbox{}
	must(t, e, &queue.Subscribe{Session: id, Queue: "q", Credit: 10, Sink: b})
	must(t, e, &queue.Send{Session: id, Queue: "q"})
	must(t, e, &queue.Send{Session: id, Queue: "q"})
	for n := 0; n < 2; n, _ = b.got() {
		time.Sleep(time.Millisecond)
	}
	open := g.close()
	defer open()
	if _, ticket := apply(t, e, &queue.Ack{Session: id, Leases: b.leases[:1]}); ticket != nil {
		t.Error("an ack waits for the disk")
	}
	_, ticket := apply(t, e, &queue.Ack{Session: id, Leases: b.leases[1:], Sync: true})
	if !waits(ticket) {
		t.Error("a synced ack did not wait")
	}
	open()
	if err := ticket.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
