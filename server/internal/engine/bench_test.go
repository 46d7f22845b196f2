package engine_test

import (
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// BenchmarkCommit has 64 durable messages sent in one batch, which is synced to
// the disk of the temporary directory and releases their deliveries. The acks go
// with the next batch.
func BenchmarkCommit(b *testing.B) {
	e, err := engine.Open(b.TempDir(), engine.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	const messages = 64
	last := &lastLease{}
	session := benchSession(b, e)
	do(b, e, &queue.Create{Session: session, Queue: "q"})
	consumer := do(b, e, &queue.Subscribe{Session: session, Queue: "q", Credit: messages, Sink: last}).Consumer.ID
	send := &queue.Send{Session: session, Queue: "q", Body: make([]byte, 128)}
	ack := &queue.Ack{Session: session, Consumer: consumer}
	var tx engine.Tx
	b.ReportAllocs()
	for b.Loop() {
		e.Begin(&tx)
		for range messages {
			if _, err := tx.Apply(send); err != nil {
				b.Fatal(err)
			}
		}
		wait := tx.Ticket()
		tx.End()
		if err := wait.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		e.Begin(&tx) // after this the batch is released
		ack.Through = last.lease
		if _, err := tx.Apply(ack); err != nil {
			b.Fatal(err)
		}
		tx.End()
	}
	if want := b.N * messages; last.delivered != want {
		b.Errorf("%d deliveries, want %d", last.delivered, want)
	}
}

// benchSession logs in.
func benchSession(b *testing.B, e *engine.Engine) queue.SessionID {
	var tx engine.Tx
	e.Begin(&tx)
	id := tx.State().NewSessionID()
	tx.End()
	do(b, e, &queue.Login{Session: id, TTL: time.Hour})
	return id
}

// do applies one operation that needs no answer.
func do(b *testing.B, e *engine.Engine, op queue.Op) *queue.Effects {
	var tx engine.Tx
	e.Begin(&tx)
	defer tx.End()
	fx, err := tx.Apply(op)
	if err != nil {
		b.Fatal(err)
	}
	return fx
}

// lastLease is a Sink that notes the newest lease. The engine's lock guards it.
type lastLease struct {
	lease     queue.Lease
	delivered int
}

func (l *lastLease) Deliver(_ queue.Instant, d *queue.Delivery) bool {
	l.lease = d.Lease
	l.delivered++
	return false
}

func (*lastLease) ConsumerEnded(queue.ConsumerID, error) bool { return false }
func (*lastLease) SessionEnded(error) bool                    { return false }
func (*lastLease) Cancelled(*queue.Cancelled) bool            { return false }
func (*lastLease) Taken(*queue.Taken) bool                    { return false }
func (*lastLease) Flush()                                     {}
