package frames

import (
	"math"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// seed leaves out what is long: the fuzzer would spend its time on making it
// shorter. The tests have read it.
func seed(f *testing.F, b []byte) {
	if len(b) <= 200 {
		f.Add(b)
	}
}

// FuzzReadRequest: ours takes what the generated code takes, but for what doc.go
// says, and reads the same in it.
func FuzzReadRequest(f *testing.F) {
	for _, r := range requests() {
		seed(f, encoded(r))
	}
	for _, o := range oddRequests() {
		seed(f, o.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameRequest(t, b)
	})
}

// FuzzReadResponse is FuzzReadRequest for the other direction.
func FuzzReadResponse(f *testing.F) {
	for _, r := range responses() {
		seed(f, encoded(r))
	}
	for _, o := range oddResponses() {
		seed(f, o.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameResponse(t, b)
	})
}

// FuzzRoundTrip: what ours writes, the generated code reads, and ours reads
// again. What is not UTF-8 neither reads.
func FuzzRoundTrip(f *testing.F) {
	f.Add("orders", "key", "value", "corr", "reply", []byte("body"), []byte("p"), uint64(1), uint64(2), int64(3), uint32(4), uint8(0))
	f.Add("", "", "", "", "", []byte{}, []byte{}, uint64(0), uint64(0), int64(0), uint32(0), uint8(0xff))
	f.Add("\xff", "\x00", "é", "🚂", "r", []byte{0xff}, []byte{0}, uint64(math.MaxUint64), uint64(1<<63), int64(-1), uint32(math.MaxUint32), uint8(0x55))
	f.Fuzz(func(t *testing.T, queue, key, value, corr, reply string, body, producer []byte, a, b uint64, ms int64, n uint32, bits uint8) {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		var create *pb.QueueOptions
		if bit(0) {
			create = &pb.QueueOptions{MaxMessages: a, LeaseMs: ms, NoDeadLetter: bit(1)}
		}
		var failure *pb.Failure
		if bit(2) {
			failure = &pb.Failure{Code: int32(n), RetryAfterMs: ms}
		}
		var headers map[string]string
		if bit(3) {
			headers = map[string]string{key: value, "second": corr}
		}
		leases := []uint64{a, b, uint64(n), 0}[:bits>>6]
		request := &pb.AttachRequest{AnswersReceived: b, Frames: []*pb.ClientFrame{
			{Tag: a, Quiet: bit(4), Verb: &pb.ClientFrame_Send{Send: &pb.SendRequest{
				Queue: queue, Body: body, Headers: headers, CorrelationId: corr, ReplyTo: reply, TimeoutMs: ms,
				Producer: producer, Sequence: b, Create: create, RequireConsumer: bit(5), MaxAttempts: n, Stream: bit(6),
			}}},
			{Tag: b, Verb: &pb.ClientFrame_Reply{Reply: &pb.ReplyRequest{Lease: a, Body: body, Headers: headers, Failure: failure, Parts: b}}},
			{Tag: a, Quiet: bit(5), Verb: &pb.ClientFrame_Ack{Ack: &pb.AckRequest{Leases: leases, Through: a, Consumer: b, Sync: bit(6)}}},
			{Tag: b, Quiet: bit(6), Verb: &pb.ClientFrame_Part{Part: &pb.PartRequest{
				Lease: a, Body: body, Headers: headers, ReplyTo: reply, CorrelationId: corr, Part: b, End: bit(4), Ask: bit(5),
			}}},
		}}
		response := &pb.AttachResponse{Applied: a, AnswersSent: b, Frames: []*pb.ServerFrame{
			{Event: &pb.ServerFrame_Delivery{Delivery: &pb.Delivery{
				Consumer: a, Lease: b, MessageId: reply, Queue: queue, Body: body, Headers: headers, CorrelationId: corr, ReplyTo: value,
				Attempt: n, TimeoutMs: ms, LeaseMs: ms / 2, AgeMs: -ms, Failure: failure, Part: a, End: bit(5), Stream: bit(6),
			}}},
			{Tag: b, Event: &pb.ServerFrame_Send{Send: &pb.SendResponse{MessageId: key, Duplicate: bit(4), Durability: pb.Durability(n)}}},
		}}
		text := utf8.ValidString(queue) && utf8.ValidString(reply) && utf8.ValidString(corr) && (headers == nil || utf8.ValidString(key+"|"+value))
		ours, err := readRequest(appendRequest(t, request))
		roundTrip(t, request, appendRequest(t, request), ours, err, text)
		text = text && utf8.ValidString(key) && utf8.ValidString(value)
		back, err := readResponse(appendResponse(t, response))
		roundTrip(t, response, appendResponse(t, response), back, err, text)
	})
}

func roundTrip(t *testing.T, m proto.Message, b []byte, ours proto.Message, err error, text bool) {
	t.Helper()
	generated := m.ProtoReflect().New().Interface()
	generatedErr := proto.Unmarshal(b, generated)
	switch {
	case !text:
		if err == nil || generatedErr == nil {
			t.Errorf("%v is not all UTF-8: ours says %v, the generated code %v", m, err, generatedErr)
		}
	case err != nil || generatedErr != nil:
		t.Errorf("%v: ours says %v, the generated code %v", m, err, generatedErr)
	case !proto.Equal(m, ours) || !proto.Equal(m, generated):
		t.Errorf("wrote %v\nours reads %v\nthe generated code %v", m, ours, generated)
	}
}
