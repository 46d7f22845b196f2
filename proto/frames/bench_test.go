package frames

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// What a request with a small payload looks like on its way.
var (
	typicalSend = &pb.SendRequest{
		Queue: "orders.create", Body: bytes.Repeat([]byte("x"), 256),
		Headers:       map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		CorrelationId: "01J5ZK9XQ4-000042", ReplyTo: "reply.01J5ZK9XQ4", TimeoutMs: 30_000, Sequence: 123_456,
	}
	typicalDelivery = &pb.Delivery{
		Consumer: 3, Lease: 1_234_567, MessageId: "0000018f3a2b4c5d-0000000000012345", Queue: "orders.create",
		Body: typicalSend.Body, Headers: typicalSend.Headers, CorrelationId: typicalSend.CorrelationId, ReplyTo: typicalSend.ReplyTo,
		Attempt: 1, TimeoutMs: 29_998, LeaseMs: 30_000, AgeMs: 2,
	}
	typicalSent = &pb.SendResponse{MessageId: typicalDelivery.MessageId, Durability: pb.Durability_DURABILITY_MEMORY}
	typicalAck  = &pb.AckRequest{Leases: []uint64{1_234_567, 1_234_568, 1_234_569}, Through: 1_234_560, Consumer: 3}
)

// work is one thing that both codecs do.
type work struct {
	name            string
	ours, generated func()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func appends() []work {
	buf := make([]byte, 0, 4096)
	send, delivery, sent, ack := sendOf(typicalSend), deliveryOf(typicalDelivery), sentOf(typicalSent), ackOf(typicalAck)
	marshal := func(m proto.Message) func() {
		return func() {
			_, err := proto.MarshalOptions{}.MarshalAppend(buf, m)
			must(err)
		}
	}
	request := func(f *pb.ClientFrame) func() {
		return marshal(&pb.AttachRequest{Frames: []*pb.ClientFrame{f}})
	}
	response := func(f *pb.ServerFrame) func() {
		return marshal(&pb.AttachResponse{Frames: []*pb.ServerFrame{f}})
	}
	return []work{
		{"send", func() { send.Append(buf, 42, false) },
			request(&pb.ClientFrame{Tag: 42, Verb: &pb.ClientFrame_Send{Send: typicalSend}})},
		{"ack", func() { ack.Append(buf, 42, true) },
			request(&pb.ClientFrame{Tag: 42, Quiet: true, Verb: &pb.ClientFrame_Ack{Ack: typicalAck}})},
		{"delivery", func() { delivery.Append(buf) },
			response(&pb.ServerFrame{Event: &pb.ServerFrame_Delivery{Delivery: typicalDelivery}})},
		{"sent", func() { sent.Append(buf, 42) },
			response(&pb.ServerFrame{Tag: 42, Event: &pb.ServerFrame_Send{Send: typicalSent}})},
	}
}

func unmarshals() []work {
	var send Send
	var ack Ack
	var delivery Delivery
	var sent Sent
	read := func(m proto.Message, ours func([]byte) error) (_, _ func()) {
		b, into := encoded(m), m.ProtoReflect().New().Interface()
		return func() { must(ours(b)) }, func() { must(proto.Unmarshal(b, into)) }
	}
	list := []work{{name: "send"}, {name: "ack"}, {name: "delivery"}, {name: "sent"}, {name: "request"}, {name: "response"}}
	list[0].ours, list[0].generated = read(typicalSend, send.Unmarshal)
	list[1].ours, list[1].generated = read(typicalAck, ack.Unmarshal)
	list[2].ours, list[2].generated = read(typicalDelivery, delivery.Unmarshal)
	list[3].ours, list[3].generated = read(typicalSent, sent.Unmarshal)
	request := &pb.AttachRequest{AnswersReceived: 99}
	response := &pb.AttachResponse{Applied: 7, AnswersSent: 99}
	for tag := range uint64(10) {
		request.Frames = append(request.Frames, &pb.ClientFrame{Tag: 1000 + tag, Verb: &pb.ClientFrame_Send{Send: typicalSend}})
		response.Frames = append(response.Frames, &pb.ServerFrame{Event: &pb.ServerFrame_Delivery{Delivery: typicalDelivery}})
	}
	list[4].ours, list[4].generated = read(request, func(b []byte) error {
		_, err := ReadRequest(b, func(f *ClientFrame) error { return send.Unmarshal(f.Raw) })
		return err
	})
	list[5].ours, list[5].generated = read(response, func(b []byte) error {
		_, err := ReadResponse(b, func(f *ServerFrame) error { return delivery.Unmarshal(f.Raw) })
		return err
	})
	return list
}

func TestNoAllocations(t *testing.T) {
	for what, list := range map[string][]work{"append": appends(), "unmarshal": unmarshals()} {
		for _, w := range list {
			if n := testing.AllocsPerRun(100, w.ours); n != 0 {
				t.Errorf("%s %s: %v allocations", what, w.name, n)
			}
		}
	}
}

func bench(b *testing.B, list []work) {
	for _, w := range list {
		b.Run(w.name+"/ours", func(b *testing.B) { repeat(b, w.ours) })
		b.Run(w.name+"/generated", func(b *testing.B) { repeat(b, w.generated) })
	}
}

func repeat(b *testing.B, do func()) {
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

func BenchmarkAppend(b *testing.B)    { bench(b, appends()) }
func BenchmarkUnmarshal(b *testing.B) { bench(b, unmarshals()) }
