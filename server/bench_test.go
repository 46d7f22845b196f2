package server_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// BenchmarkStream is what the switch does for 64 messages that travel together,
// from the bytes of one stream message to those of the next, without gRPC. All of
// it happens on the benchmark's goroutine, so the allocations are always the same.
func BenchmarkStream(b *testing.B) {
	b.Run("sends", benchmarkStreamSends)
	b.Run("calls", benchmarkStreamCalls)
}

// together is how many messages one stream message carries.
const together = 64

// benchmarkStreamSends sends messages that each get an answer, and acks them.
func benchmarkStreamSends(b *testing.B) {
	sw := server.New(server.Config{})
	defer sw.Close()
	sender, consumer := newWire(b, sw), newWire(b, sw)
	defer sender.loop.End()
	defer consumer.loop.End()
	sender.do(frames.VerbCreate, &pb.CreateRequest{Queue: "orders"})
	consumer.do(frames.VerbSubscribe, &pb.SubscribeRequest{Queue: "orders", Credit: 2 * together})
	send := frames.Send{Queue: "orders", Body: make([]byte, 128)}
	b.ReportAllocs()
	for b.Loop() {
		for range together {
			sender.send(&send, false)
		}
		sender.flush()
		consumer.ack()
	}
}

// benchmarkStreamCalls is the way of calls as package rpc makes them: quiet
// requests, quiet replies, and one ack of the caller for all.
func benchmarkStreamCalls(b *testing.B) {
	sw := server.New(server.Config{})
	defer sw.Close()
	caller, callee := newWire(b, sw), newWire(b, sw)
	defer caller.loop.End()
	defer callee.loop.End()
	caller.do(frames.VerbCreate, &pb.CreateRequest{Queue: "orders"})
	caller.do(frames.VerbCreate, &pb.CreateRequest{})
	caller.do(frames.VerbSubscribe, &pb.SubscribeRequest{Queue: caller.created, Credit: 2 * together})
	callee.do(frames.VerbSubscribe, &pb.SubscribeRequest{Queue: "orders", Credit: 2 * together})
	send := frames.Send{Queue: "orders", Body: make([]byte, 128), ReplyTo: caller.created, TimeoutMS: 30_000}
	var ids [together]string // of calls under way
	for i := range ids {
		ids[i] = fmt.Sprintf("01J5ZK9XQ4-%06d", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, send.CorrelationID = range ids {
			caller.send(&send, true)
		}
		caller.flush()
		callee.reply(send.Body)
		caller.ack()
	}
}

// A wire is the client's end of a stream: what it writes goes straight into the
// switch's receive loop, and what the switch sends comes back from within.
type wire struct {
	grpc.ServerStream // nil: the switch only sends
	*testing.B
	loop     *server.Loop
	tag      uint64 // of the last frame
	out      []byte // the stream message to be
	answers  uint64 // received
	created  string // the last queue
	consumer uint64
	leases   []uint64 // delivered and not used up
	refused  error    // a frame of ours; nil: none

	delivery frames.Delivery // scratch
}

func newWire(b *testing.B, sw *server.Server) *wire {
	w := &wire{B: b}
	w.loop = sw.NewLoop(w)
	w.write(frames.AppendVerb(nil, 0, false, frames.VerbLogin, &pb.LoginRequest{}))
	return w
}

// SendMsg reads what the switch sends, and gives the memory back.
func (w *wire) SendMsg(m any) error {
	o := m.(*frames.Outgoing)
	_, err := frames.ReadResponse(*o.Data, w.read)
	o.Pool.Put(o.Data)
	return err
}

func (w *wire) read(f *frames.ServerFrame) error {
	if f.Tag != 0 {
		w.answers++
	}
	switch f.Event {
	case frames.EventFailure:
		w.refused = fmt.Errorf("the switch refuses frame %d", f.Tag)
	case frames.EventCreate:
		var res pb.CreateResponse
		if err := proto.Unmarshal(f.Raw, &res); err != nil {
			return err
		}
		w.created = res.GetQueue()
	case frames.EventDelivery:
		if err := w.delivery.Unmarshal(f.Raw); err != nil {
			return err
		}
		w.consumer = w.delivery.Consumer
		w.leases = append(w.leases, w.delivery.Lease)
	default: // it is enough that it came
	}
	return nil
}

// write has the switch handle one stream message.
func (w *wire) write(message []byte, err error) {
	if err == nil {
		err = w.loop.Handle(message)
	}
	if err == nil {
		err = w.refused
	}
	if err != nil {
		w.Fatal(err)
	}
}

// do has the switch do a verb that is not hot.
func (w *wire) do(verb frames.Verb, m proto.Message) {
	w.tag++
	w.write(frames.AppendVerb(nil, w.tag, false, verb, m))
}

func (w *wire) send(m *frames.Send, quiet bool) {
	w.tag++
	w.out = m.Append(w.out, w.tag, quiet)
}

// reply answers all that was delivered.
func (w *wire) reply(body []byte) {
	w.all()
	for _, lease := range w.leases {
		w.tag++
		w.out = (&frames.Reply{Lease: lease, Body: body}).Append(w.out, w.tag, true)
	}
	w.leases = w.leases[:0]
	w.flush()
}

// ack acks all that was delivered.
func (w *wire) ack() {
	w.all()
	w.tag++
	w.out = (&frames.Ack{Consumer: w.consumer, Through: w.leases[together-1]}).Append(w.out, w.tag, true)
	w.leases = w.leases[:0]
	w.flush()
}

// all sees that all messages of a round have come.
func (w *wire) all() {
	if len(w.leases) != together {
		w.Fatalf("%d deliveries, want %d", len(w.leases), together)
	}
}

// flush writes what has collected, and says which answers have come.
func (w *wire) flush() {
	w.write(frames.AppendAnswersReceived(w.out, w.answers), nil)
	w.out = w.out[:0]
}
