package frames

import (
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Between our structs and those of the generated code. What our structs keep
// encoded is decoded on the way, so that nonsense shows.

func encoded(m proto.Message) []byte {
	if !m.ProtoReflect().IsValid() {
		return nil
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append([]byte{}, b...) // empty, not nil
}

// known decodes without the fields that nobody knows: our structs drop them.
var known = proto.UnmarshalOptions{DiscardUnknown: true}

func headersOf(m map[string]string) (hs []Header) {
	for k, v := range m {
		hs = append(hs, Header{k, v})
	}
	return hs
}

func headerMap(hs []Header) map[string]string {
	m := make(map[string]string)
	for _, h := range hs {
		m[h.Key] = h.Value
	}
	return m
}

func sendOf(m *pb.SendRequest) *Send {
	return &Send{
		Queue: m.Queue, Body: m.Body, Headers: headersOf(m.Headers), CorrelationID: m.CorrelationId, ReplyTo: m.ReplyTo,
		TimeoutMS: m.TimeoutMs, Producer: m.Producer, Sequence: m.Sequence, Create: encoded(m.Create),
		RequireConsumer: m.RequireConsumer, MaxAttempts: m.MaxAttempts, Parent: m.Parent, StartMS: m.StartMs, Stream: m.Stream, Key: m.Key, KeyTTLMS: m.KeyTtlMs,
	}
}

func (m *Send) generated() (*pb.SendRequest, error) {
	out := &pb.SendRequest{
		Queue: m.Queue, Body: m.Body, Headers: headerMap(m.Headers), CorrelationId: m.CorrelationID, ReplyTo: m.ReplyTo,
		TimeoutMs: m.TimeoutMS, Producer: m.Producer, Sequence: m.Sequence,
		RequireConsumer: m.RequireConsumer, MaxAttempts: m.MaxAttempts, Parent: m.Parent, StartMs: m.StartMS, Stream: m.Stream, Key: m.Key, KeyTtlMs: m.KeyTTLMS,
	}
	if m.Create == nil {
		return out, nil
	}
	out.Create = &pb.QueueOptions{}
	return out, known.Unmarshal(m.Create, out.Create)
}

func replyOf(m *pb.ReplyRequest) *Reply {
	return &Reply{Lease: m.Lease, Body: m.Body, Headers: headersOf(m.Headers), Failure: encoded(m.Failure), Parts: m.Parts}
}

func (m *Reply) generated() (*pb.ReplyRequest, error) {
	out := &pb.ReplyRequest{Lease: m.Lease, Body: m.Body, Headers: headerMap(m.Headers), Parts: m.Parts}
	if m.Failure == nil {
		return out, nil
	}
	out.Failure = &pb.Failure{}
	return out, known.Unmarshal(m.Failure, out.Failure)
}

func partOf(m *pb.PartRequest) *Part {
	return &Part{Lease: m.Lease, Body: m.Body, Headers: headersOf(m.Headers), ReplyTo: m.ReplyTo, CorrelationID: m.CorrelationId,
		Part: m.Part, End: m.End, Ask: m.Ask}
}

func (m *Part) generated() *pb.PartRequest {
	return &pb.PartRequest{Lease: m.Lease, Body: m.Body, Headers: headerMap(m.Headers), ReplyTo: m.ReplyTo, CorrelationId: m.CorrelationID,
		Part: m.Part, End: m.End, Ask: m.Ask}
}

func ackOf(m *pb.AckRequest) *Ack {
	return &Ack{Leases: m.Leases, Through: m.Through, Consumer: m.Consumer, Sync: m.Sync}
}

func (m *Ack) generated() *pb.AckRequest {
	return &pb.AckRequest{Leases: m.Leases, Through: m.Through, Consumer: m.Consumer, Sync: m.Sync}
}

func deliveryOf(m *pb.Delivery) *Delivery {
	return &Delivery{
		Consumer: m.Consumer, Lease: m.Lease, MessageID: m.MessageId, Queue: m.Queue, Body: m.Body, Headers: headersOf(m.Headers),
		CorrelationID: m.CorrelationId, ReplyTo: m.ReplyTo, Attempt: m.Attempt,
		TimeoutMS: m.TimeoutMs, LeaseMS: m.LeaseMs, AgeMS: m.AgeMs, Failure: encoded(m.Failure),
		Part: m.Part, End: m.End, Stream: m.Stream, Key: m.Key,
	}
}

func (m *Delivery) generated() (*pb.Delivery, error) {
	out := &pb.Delivery{
		Consumer: m.Consumer, Lease: m.Lease, MessageId: m.MessageID, Queue: m.Queue, Body: m.Body, Headers: headerMap(m.Headers),
		CorrelationId: m.CorrelationID, ReplyTo: m.ReplyTo, Attempt: m.Attempt,
		TimeoutMs: m.TimeoutMS, LeaseMs: m.LeaseMS, AgeMs: m.AgeMS,
		Part: m.Part, End: m.End, Stream: m.Stream, Key: m.Key,
	}
	if m.Failure == nil {
		return out, nil
	}
	out.Failure = &pb.Failure{}
	return out, known.Unmarshal(m.Failure, out.Failure)
}

func sentOf(m *pb.SendResponse) *Sent {
	return &Sent{MessageID: m.MessageId, Duplicate: m.Duplicate, Durability: uint32(m.Durability), Joined: m.Joined}
}

func (m *Sent) generated() *pb.SendResponse {
	return &pb.SendResponse{MessageId: m.MessageID, Duplicate: m.Duplicate, Durability: pb.Durability(m.Durability), Joined: m.Joined}
}
