package server

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// From requests to operations. The core checks the limits; here numbers only
// change their type, and saturate where they do not fit.

// millis is a number of milliseconds as a duration.
func millis(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(-most, min(most, n))) * time.Millisecond
}

// toMillis rounds up, so that what is left of a deadline never reads as none.
func toMillis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

func toInt(n uint64) int { return int(min(n, math.MaxInt)) }

func options(o *pb.QueueOptions) queue.Options {
	return queue.Options{
		Durability:      queue.Durability(o.GetDurability()),
		MaxMessages:     toInt(o.GetMaxMessages()),
		MaxBytes:        toInt(o.GetMaxBytes()),
		MaxAge:          millis(o.GetMaxAgeMs()),
		Overflow:        queue.Overflow(o.GetOverflow()),
		MaxAttempts:     int(o.GetMaxAttempts()),
		DeadLetterQueue: strings.Clone(o.GetDeadLetterQueue()),
		NoDeadLetter:    o.GetNoDeadLetter(),
		Lease:           millis(o.GetLeaseMs()),
	}
}

// checkEnums says whether the enums of o are ones that this switch knows.
func checkEnums(o *pb.QueueOptions) error {
	if pb.Durability_name[int32(o.GetDurability())] == "" || pb.Overflow_name[int32(o.GetOverflow())] == "" {
		return invalid("options.durability is %d and options.overflow is %d: this switch knows 0 to 2", o.GetDurability(), o.GetOverflow())
	}
	return nil
}

func pbOptions(o queue.Options) *pb.QueueOptions {
	return &pb.QueueOptions{
		Durability:      pb.Durability(o.Durability),
		MaxMessages:     uint64(o.MaxMessages),
		MaxBytes:        uint64(o.MaxBytes),
		MaxAgeMs:        o.MaxAge.Milliseconds(),
		Overflow:        pb.Overflow(o.Overflow),
		MaxAttempts:     uint32(o.MaxAttempts),
		DeadLetterQueue: o.DeadLetterQueue,
		NoDeadLetter:    o.NoDeadLetter,
		LeaseMs:         o.Lease.Milliseconds(),
	}
}

// sendOp makes op, but for its body, from an encoded SendRequest, without garbage
// but for what the core keeps. It may be called without the engine's lock.
func sendOp(op *queue.Send, m *frames.Send) error {
	*op = queue.Send{
		Queue:           m.Queue,
		Headers:         headers(m.Headers),
		CorrelationID:   strings.Clone(m.CorrelationID),
		ReplyTo:         m.ReplyTo,
		Timeout:         millis(m.TimeoutMS),
		Producer:        string(m.Producer),
		Sequence:        m.Sequence,
		RequireConsumer: m.RequireConsumer,
		MaxAttempts:     int(m.MaxAttempts),
		Stream:          m.Stream,
		Key:             m.Key,
		KeyTTL:          millis(m.KeyTTLMS),
		StartWithin:     millis(m.StartMS),
	}
	if m.Key != "" {
		op.Digest = queue.DigestOf(m.Body)
	}
	if m.Parent != "" {
		var err error
		if op.Parent, err = parentID(m.Parent); err != nil {
			return err
		}
	}
	if m.Create == nil {
		return nil
	}
	var o pb.QueueOptions
	if err := proto.Unmarshal(m.Create, &o); err != nil {
		return malformed("QueueOptions")
	}
	op.Create, op.CreateOptions = true, options(&o)
	return checkEnums(&o)
}

// parentID is the parent of a SendRequest; zero when it names none.
func parentID(s string) (queue.ID, error) {
	if s == "" {
		return queue.ID{}, nil
	}
	return queue.ParseID(s)
}

// replyOp makes op, but for its body, from an encoded ReplyRequest.
func replyOp(op *queue.Reply, m *frames.Reply) error {
	*op = queue.Reply{Lease: queue.Lease(m.Lease), Headers: headers(m.Headers), Parts: m.Parts}
	if m.Failure == nil {
		return nil
	}
	var f pb.Failure
	if err := proto.Unmarshal(m.Failure, &f); err != nil {
		return malformed("Failure")
	}
	if f.GetCode() < 1 || f.GetCode() > 16 {
		return invalid("failure.code is %d: it must be a gRPC code from 1 to 16", f.GetCode())
	}
	if f.GetReason() != pb.Reason_REASON_UNSPECIFIED {
		return invalid("failure.reason is %v: only the switch sets reasons; leave it out", f.GetReason())
	}
	op.Failure, op.FailureText = cloneBytes(m.Failure), strings.Clone(f.GetMessage())
	return nil
}

// partOp makes op, but for its body, from an encoded PartRequest.
func partOp(op *queue.Part, m *frames.Part) {
	*op = queue.Part{Lease: queue.Lease(m.Lease), Headers: headers(m.Headers), Number: m.Part, End: m.End, Ask: m.Ask}
	if m.Lease != 0 {
		op.Inbox = m.ReplyTo
	} else {
		op.ReplyTo = m.ReplyTo
	}
	op.CorrelationID = m.CorrelationID
}

// partResponse says how far a half of a stream is.
func partResponse(h *queue.Half) *pb.PartResponse {
	return &pb.PartResponse{Part: h.Sent, ConsumedBytes: h.TakenBytes, ConsumedParts: h.TakenParts,
		WindowBytes: uint64(h.WindowBytes), WindowParts: uint64(h.WindowParts)}
}

func ackOp(op *queue.Ack, m *frames.Ack) {
	leases := op.Leases[:0]
	for _, l := range m.Leases {
		leases = append(leases, queue.Lease(l))
	}
	*op = queue.Ack{Leases: leases, Consumer: queue.ConsumerID(m.Consumer), Through: queue.Lease(m.Through), Sync: m.Sync}
}

func leases(ls []uint64) []queue.Lease {
	out := make([]queue.Lease, len(ls))
	for i, l := range ls {
		out[i] = queue.Lease(l)
	}
	return out
}

func numbers(ls []queue.Lease) []uint64 {
	var out []uint64
	for _, l := range ls {
		out = append(out, uint64(l))
	}
	return out
}

// largeBody is from where on memory is handed out in pages, and a body stays in the
// buffer of its stream message.
const largeBody = 32 << 10

// cloneBytes copies what the core keeps out of a buffer that goes back to its
// pool.
func cloneBytes(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if len(b) > largeBody {
		return append([]byte(nil), b...) // this does not clear it first
	}
	return append(make([]byte, 0, len(b)), b...) // this takes not a byte too many
}

func headers(hs []frames.Header) []queue.Header {
	if len(hs) == 0 {
		return nil
	}
	out := make([]queue.Header, len(hs))
	for i, h := range hs {
		out[i] = queue.Header{Key: strings.Clone(h.Key), Value: strings.Clone(h.Value)}
	}
	return out
}

func headersOf(m map[string]string) []frames.Header {
	var out []frames.Header
	for k, v := range m {
		out = append(out, frames.Header{Key: k, Value: v})
	}
	return out
}

func headerMap(hs []queue.Header) map[string]string {
	if len(hs) == 0 {
		return nil
	}
	m := make(map[string]string, len(hs))
	for _, h := range hs {
		m[h.Key] = h.Value
	}
	return m
}

// encodedFailure is a reply's failure as it stands on the wire; nil for none.
func (s *Server) encodedFailure(f *queue.Failure) []byte {
	switch {
	case f == nil:
		return nil
	case f.Err == nil:
		return f.Handler
	}
	b, err := proto.Marshal(s.failure(f.Err))
	if err != nil {
		s.log.Error("encode a failure", "err", err)
	}
	return b
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		return []byte{} // it came over the wire, so it can be encoded
	}
	return b
}
