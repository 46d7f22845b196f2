package server_test

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// prey is what bad input is about: a client, and others who have things that it
// has no business with.
type prey struct {
	own      string // temporary queue
	theirs   string // a stranger's
	stale    uint64 // a lease of the client's that has ended
	stranger uint64 // somebody else's lease
	held     uint64 // a good lease of the client's, on a message without a reply-to
	consumer uint64
}

// A badVerb is a request that is refused, the same in both forms.
type badVerb struct {
	name string
	verb func(*prey) proto.Message
}

func always(verb proto.Message) func(*prey) proto.Message {
	return func(*prey) proto.Message { return verb }
}

var long = strings.Repeat("n", 10_000)

// badVerbs fill testdata/errors.txt, in this order.
var badVerbs = []badVerb{
	{"Send to an unknown queue", always(&pb.SendRequest{Queue: "nowhere"})},
	{"Send to no queue", always(&pb.SendRequest{})},
	{"Send to a name of 10,000 characters", always(&pb.SendRequest{Queue: long})},
	{"Send to a name with a control character", always(&pb.SendRequest{Queue: "a\nb"})},
	{"Send to a stranger's temporary queue", func(p *prey) proto.Message { return &pb.SendRequest{Queue: p.theirs} }},
	{"Send to a full queue", always(&pb.SendRequest{Queue: "full"})},
	{"Send a body just too large", always(&pb.SendRequest{Queue: "q", Body: make([]byte, maxBody+1)})},
	{"Send a header of the switch's", always(&pb.SendRequest{Queue: "q", Headers: map[string]string{"switch-id": "1"}})},
	{"Send a header without a name", always(&pb.SendRequest{Queue: "q", Headers: map[string]string{"": "1"}})},
	{"Send a header with a control character", always(&pb.SendRequest{Queue: "q", Headers: map[string]string{"a\x00b": "1"}})},
	{"Send 65 headers", always(&pb.SendRequest{Queue: "q", Headers: manyHeaders(65)})},
	{"Send 17 KiB of headers", always(&pb.SendRequest{Queue: "q", Headers: map[string]string{"a": strings.Repeat("v", 17<<10)}})},
	{"Send a correlation id of 10,000 characters", always(&pb.SendRequest{Queue: "q", CorrelationId: long})},
	{"Send a producer of 65 bytes", always(&pb.SendRequest{Queue: "q", Producer: make([]byte, 65), Sequence: 1})},
	{"Send a sequence without a producer", always(&pb.SendRequest{Queue: "q", Sequence: 1})},
	{"Send with a negative timeout", always(&pb.SendRequest{Queue: "q", TimeoutMs: -1})},
	{"Send with the least timeout of all", always(&pb.SendRequest{Queue: "q", TimeoutMs: math.MinInt64})},
	{"Send with the largest timeout of all", always(&pb.SendRequest{Queue: "q", TimeoutMs: math.MaxInt64})},
	{"Send with too many attempts", always(&pb.SendRequest{Queue: "q", MaxAttempts: math.MaxUint32})},
	{"Send a request without a correlation id", func(p *prey) proto.Message { return &pb.SendRequest{Queue: "q", ReplyTo: p.own} }},
	{"Send a request with a stranger's reply queue", func(p *prey) proto.Message {
		return &pb.SendRequest{Queue: "q", ReplyTo: p.theirs, CorrelationId: "c"}
	}},
	{"Send a request with an unknown reply queue", always(&pb.SendRequest{Queue: "q", ReplyTo: "nowhere", CorrelationId: "c"})},
	{"Send with nobody there", always(&pb.SendRequest{Queue: "q", RequireConsumer: true})},
	{"Send for a parent that is none", always(&pb.SendRequest{Queue: "q", Parent: "garbage"})},
	{"Send to be begun in the past", always(&pb.SendRequest{Queue: "q", StartMs: -1})},
	{"Send and create with an unknown enum", always(&pb.SendRequest{Queue: "new", Create: &pb.QueueOptions{Overflow: 3}})},

	{"Create a temporary name", always(&pb.CreateRequest{Queue: "tmp.mine"})},
	{"Create a name of 10,000 characters", always(&pb.CreateRequest{Queue: long})},
	{"Create a name with a control character", always(&pb.CreateRequest{Queue: "a\tb"})},
	{"Create a name that leaves no room for .dead", always(&pb.CreateRequest{Queue: long[:251]})},
	{"Create with other options", always(&pb.CreateRequest{Queue: "full", Options: &pb.QueueOptions{MaxMessages: 2}})},
	{"Create a durable queue", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{Durability: pb.Durability_DURABILITY_DURABLE}})},
	{"Create with an unknown durability", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{Durability: -1}})},
	{"Create with too short a lease", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{LeaseMs: 99}})},
	{"Create with the longest lease of all", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{LeaseMs: math.MaxInt64}})},
	{"Create with a negative age", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{MaxAgeMs: math.MinInt64}})},
	{"Create with endless messages", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{MaxMessages: math.MaxUint64}})},
	{"Create with endless bytes", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{MaxBytes: math.MaxUint64}})},
	{"Create with too many attempts", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{MaxAttempts: math.MaxUint32}})},
	{"Create with a temporary dead-letter queue", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{DeadLetterQueue: "tmp.x"}})},
	{"Create with a bad dead-letter queue", always(&pb.CreateRequest{Queue: "new", Options: &pb.QueueOptions{DeadLetterQueue: "\x7f"}})},
	{"Create a temporary queue with options", always(&pb.CreateRequest{Options: &pb.QueueOptions{MaxMessages: 1, LeaseMs: 1000}})},
	{"Create a temporary queue with endless bytes", always(&pb.CreateRequest{Options: &pb.QueueOptions{MaxBytes: math.MaxUint64}})},

	{"Destroy an unknown queue", always(&pb.DestroyRequest{Queue: "nowhere"})},
	{"Destroy a stranger's temporary queue", func(p *prey) proto.Message { return &pb.DestroyRequest{Queue: p.theirs} }},
	{"Destroy no queue", always(&pb.DestroyRequest{})},

	{"Subscribe to an unknown queue", always(&pb.SubscribeRequest{Queue: "nowhere"})},
	{"Subscribe to a stranger's temporary queue", func(p *prey) proto.Message { return &pb.SubscribeRequest{Queue: p.theirs} }},
	{"Subscribe with too much credit", always(&pb.SubscribeRequest{Queue: "q", Credit: math.MaxUint32})},
	{"Subscribe with endless credit of bytes", always(&pb.SubscribeRequest{Queue: "q", CreditBytes: math.MaxUint64})},
	{"Subscribe with too short a lease", always(&pb.SubscribeRequest{Queue: "q", LeaseMs: 1})},
	{"Subscribe with a negative lease", always(&pb.SubscribeRequest{Queue: "q", LeaseMs: math.MinInt64})},
	{"Subscribe an unknown consumer", always(&pb.SubscribeRequest{Consumer: math.MaxUint64})},
	{"Unsubscribe an unknown consumer", always(&pb.UnsubscribeRequest{Consumer: 99})},
	{"Unsubscribe nobody", always(&pb.UnsubscribeRequest{})},

	{"Ack a stale lease", func(p *prey) proto.Message { return &pb.AckRequest{Leases: []uint64{p.stale}} }},
	{"Ack a stranger's lease", func(p *prey) proto.Message { return &pb.AckRequest{Leases: []uint64{p.stranger}} }},
	{"Ack a lease that never was", always(&pb.AckRequest{Leases: []uint64{math.MaxUint64}})},
	{"Ack nothing", always(&pb.AckRequest{})},
	{"Ack 4,097 leases", always(&pb.AckRequest{Leases: make([]uint64, 4097)})},
	{"Ack through an unknown consumer's lease", always(&pb.AckRequest{Through: 1, Consumer: 99})},
	{"Nack a stale lease", func(p *prey) proto.Message { return &pb.NackRequest{Leases: []uint64{p.stale}} }},
	{"Nack nothing", always(&pb.NackRequest{})},
	{"Nack in an unknown way", func(p *prey) proto.Message { return &pb.NackRequest{Leases: []uint64{p.held}, Kind: 4} }},
	{"Nack with a negative delay", func(p *prey) proto.Message { return &pb.NackRequest{Leases: []uint64{p.held}, DelayMs: -1} }},
	{"Nack with the longest delay of all", func(p *prey) proto.Message { return &pb.NackRequest{Leases: []uint64{p.held}, DelayMs: math.MaxInt64} }},
	{"Release with a delay", func(p *prey) proto.Message {
		return &pb.NackRequest{Leases: []uint64{p.held}, DelayMs: 1, Kind: pb.NackKind_NACK_KIND_RELEASE}
	}},
	{"Nack with a cause of 10,000 characters", func(p *prey) proto.Message { return &pb.NackRequest{Leases: []uint64{p.held}, Cause: long} }},
	{"Extend a stranger's lease", func(p *prey) proto.Message { return &pb.ExtendRequest{Leases: []uint64{p.stranger}} }},
	{"Extend by too little", func(p *prey) proto.Message { return &pb.ExtendRequest{Leases: []uint64{p.held}, LeaseMs: 99} }},
	{"Extend by a negative time", func(p *prey) proto.Message {
		return &pb.ExtendRequest{Leases: []uint64{p.held}, LeaseMs: math.MinInt64}
	}},
	{"Extend by the longest time of all", func(p *prey) proto.Message {
		return &pb.ExtendRequest{Leases: []uint64{p.held}, LeaseMs: math.MaxInt64}
	}},

	{"Reply to a stale lease", func(p *prey) proto.Message { return &pb.ReplyRequest{Lease: p.stale} }},
	{"Reply to a stranger's lease", func(p *prey) proto.Message { return &pb.ReplyRequest{Lease: p.stranger} }},
	{"Reply to who wants none", func(p *prey) proto.Message { return &pb.ReplyRequest{Lease: p.held} }},
	{"Reply to nothing", always(&pb.ReplyRequest{})},
	{"Reply with a body just too large", func(p *prey) proto.Message { return &pb.ReplyRequest{Lease: p.held, Body: make([]byte, maxBody+1)} }},
	{"Reply with a code that is none", func(p *prey) proto.Message { return &pb.ReplyRequest{Lease: p.held, Failure: &pb.Failure{Code: 99}} }},
	{"Reply with a reason of the switch's", func(p *prey) proto.Message {
		return &pb.ReplyRequest{Lease: p.held, Failure: &pb.Failure{Code: 5, Reason: pb.Reason_REASON_QUEUE_NOT_FOUND}}
	}},
	{"Reply with a failure of 30 KB", func(p *prey) proto.Message {
		return &pb.ReplyRequest{Lease: p.held, Failure: &pb.Failure{Code: 5, Message: strings.Repeat("m", 30_000)}}
	}},
	{"Cancel in an unknown queue", always(&pb.CancelRequest{ReplyTo: "nowhere", CorrelationId: "c"})},
	{"Cancel in a named queue", always(&pb.CancelRequest{ReplyTo: "q", CorrelationId: "c"})},
	{"Cancel a stranger's request", func(p *prey) proto.Message { return &pb.CancelRequest{ReplyTo: p.theirs, CorrelationId: "c"} }},
	{"Cancel nothing", always(&pb.CancelRequest{})},

	{"Send a stream without a reply queue", always(&pb.SendRequest{Queue: "q", Stream: true})},
	{"Send a stream with a named reply queue", always(&pb.SendRequest{Queue: "q", Stream: true, ReplyTo: "q", CorrelationId: "c"})},
	{"Send a stream with a stranger's reply queue", func(p *prey) proto.Message {
		return &pb.SendRequest{Queue: "q", Stream: true, ReplyTo: p.theirs, CorrelationId: "c"}
	}},
	{"Part of nothing", always(&pb.PartRequest{})},
	{"Part of a stale lease", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.stale} }},
	{"Part of a stranger's lease", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.stranger} }},
	{"Part of what is no stream", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.held} }},
	{"Part of both sides", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.held, CorrelationId: "c"} }},
	{"Part of an unknown request", func(p *prey) proto.Message { return &pb.PartRequest{ReplyTo: p.own, CorrelationId: "c"} }},
	{"Part of a stranger's request", func(p *prey) proto.Message { return &pb.PartRequest{ReplyTo: p.theirs, CorrelationId: "c"} }},
	{"Part of an unknown queue", always(&pb.PartRequest{ReplyTo: "nowhere", CorrelationId: "c"})},
	{"Part just too large", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.held, Body: make([]byte, maxBody+1)} }},
	{"Part with a header of the switch's", func(p *prey) proto.Message {
		return &pb.PartRequest{Lease: p.held, Headers: map[string]string{"switch-id": "1"}}
	}},
	{"Part that accepts and says more", func(p *prey) proto.Message {
		return &pb.PartRequest{Lease: p.held, ReplyTo: p.own, Body: []byte("more")}
	}},
	{"Part that asks and says more", func(p *prey) proto.Message { return &pb.PartRequest{Lease: p.held, Ask: true, Part: 1} }},
}

// badPolls are refused as well; only the unary form has them.
var badPolls = []badVerb{
	{"Transfer with a negative wait", always(&pb.TransferRequest{WaitMs: math.MinInt64})},
	{"Transfer with the longest wait of all", always(&pb.TransferRequest{WaitMs: math.MaxInt64})},
	{"Transfer too many messages", always(&pb.TransferRequest{MaxMessages: 1025})},
	{"Transfer too many bytes", always(&pb.TransferRequest{MaxBytes: math.MaxUint64})},
	{"Transfer for an unknown consumer", always(&pb.TransferRequest{Consumers: []uint64{99}})},
	{"Subscribe a poller after a lease", func(p *prey) proto.Message { return &pb.SubscribeRequest{Consumer: p.consumer, AfterLease: 1} }},
	{"Send with a forged session", always(&pb.SendRequest{Queue: "q", Session: strings.Repeat("A", 32)})},
}

// badLogins are refused in both forms.
func badLogins(token, otherSwitch, ended string) []struct {
	name string
	req  *pb.LoginRequest
} {
	return []struct {
		name string
		req  *pb.LoginRequest
	}{
		{"Login with garbage for a token", &pb.LoginRequest{Session: "garbage"}},
		{"Login with a truncated token", &pb.LoginRequest{Session: token[:len(token)-4]}},
		{"Login with 10,000 characters for a token", &pb.LoginRequest{Session: long}},
		{"Login with another switch's token", &pb.LoginRequest{Session: otherSwitch}},
		{"Login with an ended session's token", &pb.LoginRequest{Session: ended}},
		{"Login under a name of 10,000 characters", &pb.LoginRequest{Name: long}},
		{"Login under a name with a control character", &pb.LoginRequest{Name: "a\x1b[2J"}},
		{"Login with too short a ttl", &pb.LoginRequest{TtlMs: 999}},
		{"Login with a negative ttl", &pb.LoginRequest{TtlMs: math.MinInt64}},
		{"Login with the longest ttl of all", &pb.LoginRequest{TtlMs: math.MaxInt64}},
		{"Login with a negative grace", &pb.LoginRequest{GraceMs: -1}},
		{"Login with the longest grace of all", &pb.LoginRequest{GraceMs: math.MaxInt64}},
		{"Login with a producer of 65 bytes", &pb.LoginRequest{Producer: make([]byte, 65)}},
	}
}

func manyHeaders(n int) map[string]string {
	hs := map[string]string{}
	for i := range n {
		hs[fmt.Sprint(i)] = ""
	}
	return hs
}
