package queue_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// A bench is a State in which a caller and servers are at work.
type bench struct {
	*testing.B
	state *queue.State
	fx    queue.Effects
	now   queue.Instant
}

func newBench(b *testing.B) *bench {
	h := &bench{B: b, state: queue.New(1, queue.Limits{}), now: 1e9}
	for id := range queue.SessionID(2) {
		h.apply(&queue.Login{Session: id + 1, Producer: "0123456789abcdef"})
		h.apply(&queue.Attach{Session: id + 1, Sink: int(id)})
	}
	b.ReportAllocs()
	return h
}

func (b *bench) apply(op queue.Op) {
	b.now++
	if err := b.state.Apply(b.now, op, &b.fx); err != nil {
		b.Fatal(err)
	}
}

// delivered is the lease of the only delivery that the last operation caused.
func (b *bench) delivered() queue.Lease {
	if len(b.fx.Deliveries) != 1 {
		b.Fatalf("%d deliveries, want 1", len(b.fx.Deliveries))
	}
	return b.fx.Deliveries[0].Lease
}

// BenchmarkCall is the whole way of a call as a client library makes it: the
// request is sent and delivered, the reply is sent and delivered, and the caller
// acks. The calls come in groups, as stream messages carry them.
func BenchmarkCall(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkCalls(b, n) })
	}
}

func benchmarkCalls(b *testing.B, n int) {
	h := newBench(b)
	h.apply(&queue.Create{Session: 1, Queue: "orders"})
	h.apply(&queue.Create{Session: 1, Queue: "tmp.0123456789abcdef", Temporary: true})
	h.apply(&queue.Subscribe{Session: 1, Queue: "tmp.0123456789abcdef", Credit: 100, Sink: 0})
	caller := h.fx.Consumer.ID
	h.apply(&queue.Subscribe{Session: 2, Queue: "orders", Credit: 100, Sink: 1})
	send := &queue.Send{Session: 1, Queue: "orders", Body: make([]byte, 128), ReplyTo: "tmp.0123456789abcdef", Timeout: 5 * time.Second}
	reply := &queue.Reply{Session: 2, Body: make([]byte, 128)}
	ack := &queue.Ack{Session: 1, Consumer: caller}
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	leases := make([]queue.Lease, n)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for j := range leases {
			send.Sequence++
			send.CorrelationID = ids[send.Sequence%uint64(len(ids))]
			h.apply(send)
			leases[j] = h.delivered()
		}
		for _, l := range leases {
			reply.Lease = l
			h.apply(reply)
			ack.Through = h.delivered()
		}
		h.apply(ack)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
}

// BenchmarkConsumers sends, delivers and acks one message at a time with many
// consumers in line.
func BenchmarkConsumers(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newBench(b)
			h.apply(&queue.Create{Session: 1, Queue: "q"})
			for range n {
				h.apply(&queue.Subscribe{Session: 2, Queue: "q", Sink: 1})
			}
			send := &queue.Send{Session: 1, Queue: "q", Body: make([]byte, 100)}
			ack := &queue.Ack{Session: 2, Leases: make([]queue.Lease, 1)}
			for b.Loop() {
				h.apply(send)
				ack.Leases[0] = h.delivered()
				h.apply(ack)
			}
		})
	}
}

// BenchmarkQueues sends, delivers and acks on one queue after the other.
func BenchmarkQueues(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newBench(b)
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("queue-%d", i)
				h.apply(&queue.Create{Session: 1, Queue: names[i]})
				if i%1000 == 0 { // a session may have so many consumers
					h.apply(&queue.Login{Session: queue.SessionID(1000 + i/1000)})
				}
				h.apply(&queue.Subscribe{Session: queue.SessionID(1000 + i/1000), Queue: names[i], Sink: 1})
			}
			send := &queue.Send{Session: 1, Body: make([]byte, 100)}
			ack := &queue.Ack{Leases: make([]queue.Lease, 1)}
			for i := 0; b.Loop(); i++ {
				send.Queue = names[i%n]
				h.apply(send)
				ack.Session, ack.Leases[0] = queue.SessionID(1000+i%n/1000), h.delivered()
				h.apply(ack)
			}
		})
	}
}

// BenchmarkBacklog sends to the end of a queue and takes from its head, with
// many messages between.
func BenchmarkBacklog(b *testing.B) {
	for _, n := range []int{0, 500_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newBench(b)
			h.apply(&queue.Create{Session: 1, Queue: "q"})
			send := &queue.Send{Session: 1, Queue: "q", Body: make([]byte, 100)}
			for range n {
				h.apply(send)
			}
			ack := &queue.Ack{Session: 2, Leases: make([]queue.Lease, 1)}
			held := func() {
				if len(h.fx.Deliveries) > 0 {
					ack.Leases[0] = h.delivered()
				}
			}
			h.apply(&queue.Subscribe{Session: 2, Queue: "q", Sink: 1})
			held()
			for b.Loop() {
				h.apply(send)
				held()
				h.apply(ack)
				held()
			}
		})
	}
}

// A benchDisk syncs as a store does that is infinitely fast.
type benchDisk struct {
	*bench
	unsaved queue.Unsaved
	synced  queue.Synced
}

func newBenchDisk(b *testing.B) *benchDisk {
	h := newBench(b)
	h.state = queue.New(1, queue.Limits{DurableAvailable: true, DefaultDurable: true})
	for id := range queue.SessionID(2) {
		h.apply(&queue.Login{Session: id + 1, Producer: "0123456789abcdef"})
		h.apply(&queue.Attach{Session: id + 1, Sink: int(id)})
	}
	return &benchDisk{bench: h}
}

func (b *benchDisk) sync() {
	b.state.TakeUnsaved(&b.unsaved)
	b.synced.Through = b.unsaved.Sequence
	b.apply(&b.synced)
}

// BenchmarkDurable sends, syncs, delivers and acks one message at a time, with
// and without the key that makes it idempotent.
func BenchmarkDurable(b *testing.B) {
	b.Run("plain", func(b *testing.B) { durableCycle(b, "") })
	b.Run("keyed", func(b *testing.B) { durableCycle(b, "p") })
}

func durableCycle(b *testing.B, producer string) {
	h := newBenchDisk(b)
	h.apply(&queue.Create{Session: 1, Queue: "q"})
	h.apply(&queue.Subscribe{Session: 2, Queue: "q", Credit: 100, Sink: 1})
	send := &queue.Send{Session: 1, Queue: "q", Body: make([]byte, 100), Producer: producer}
	ack := &queue.Ack{Session: 2, Leases: make([]queue.Lease, 1)}
	for b.Loop() {
		if producer != "" {
			send.Sequence++
		}
		h.apply(send)
		h.sync()
		ack.Leases[0] = h.delivered()
		h.apply(ack)
	}
}

// TestAllocations: neither the cycle of a call nor that of a durable message
// makes garbage.
func TestAllocations(t *testing.T) {
	for name, bench := range map[string]func(*testing.B){
		"a call":            BenchmarkCall,
		"a durable message": func(b *testing.B) { durableCycle(b, "p") },
	} {
		if n := testing.Benchmark(bench).AllocsPerOp(); n != 0 {
			t.Errorf("%s allocates %d times", name, n)
		}
	}
}
