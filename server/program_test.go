package server_test

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

type pbNumber = protowire.Number

// A program is bytes that a fuzzer makes up, read as choices.
type program struct{ rest []byte }

// seen is what a game has seen of its switch, so that a program can be
// plausible. Steps read it when nothing else runs.
type seen struct {
	leases   []uint64
	messages []string
	queues   []string
}

func (s *seen) all(ds ...*pb.Delivery) {
	for _, d := range ds {
		s.leases, s.messages = append(s.leases, d.GetLease()), append(s.messages, d.GetMessageId())
	}
}

func (p *program) byte() byte {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

// upTo is a number below n.
func (p *program) upTo(n int) int { return int(p.byte()) % n }

func (p *program) bytes() []byte {
	n := min(int(p.byte()), len(p.rest))
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

// one is one of some values; most often the first.
func one[T any](p *program, values ...T) T {
	if i := p.upTo(2 * len(values)); i < len(values) {
		return values[i]
	}
	return values[0]
}

func (p *program) uint64() uint64 { return one(p, uint64(p.byte()), 0, 1<<31, math.MaxUint64) }

func (p *program) int64() int64 {
	return one(p, 0, int64(p.byte())*10, -1, 100, 60_000, math.MinInt64, math.MaxInt64)
}

func (p *program) while() time.Duration {
	return one(p, time.Millisecond, time.Second, 11*time.Second, time.Minute, 10*time.Minute)
}

func (p *program) name(s *seen) string {
	return one(p, append([]string{"q", "q.dead", "r", "", "tmp.x", string(rune(p.byte()))}, s.queues...)...)
}

func (p *program) lease(s *seen) uint64 {
	return one(p, append(append([]uint64{}, s.leases...), 0, 1, math.MaxUint64)...)
}

func (p *program) options() *pb.QueueOptions {
	if p.upTo(2) == 0 {
		return nil
	}
	return &pb.QueueOptions{Durability: pb.Durability(p.upTo(4)), MaxMessages: p.uint64(), MaxBytes: p.uint64(), MaxAgeMs: p.int64(),
		Overflow: pb.Overflow(p.upTo(4)), MaxAttempts: uint32(p.uint64()), NoDeadLetter: p.upTo(4) == 0, LeaseMs: p.int64()}
}

// verb is one request.
func (p *program) verb(s *seen) proto.Message {
	switch p.upTo(16) {
	case 0:
		return &pb.CreateRequest{Queue: p.name(s), Options: p.options()}
	case 1:
		return &pb.CreateRequest{}
	case 2:
		return &pb.DestroyRequest{Queue: p.name(s)}
	case 3, 4, 5:
		return &pb.SendRequest{Queue: p.name(s), Body: p.bytes(), Create: p.options(), TimeoutMs: p.int64(), RequireConsumer: p.upTo(4) == 1,
			Producer: []byte{byte(p.upTo(2))}, Sequence: p.uint64(), MaxAttempts: uint32(p.upTo(3))}
	case 6, 7:
		return &pb.SendRequest{Queue: p.name(s), Body: p.bytes(), ReplyTo: p.name(s), CorrelationId: p.name(s), Create: p.options(), TimeoutMs: p.int64()}
	case 8, 9:
		return &pb.SubscribeRequest{Queue: p.name(s), Credit: uint32(p.uint64()), CreditBytes: p.uint64(), LeaseMs: p.int64(), Create: p.options(),
			Consumer: uint64(p.upTo(3)), AfterLease: p.lease(s)}
	case 10:
		return &pb.UnsubscribeRequest{Consumer: uint64(p.upTo(4))}
	case 11:
		return &pb.AckRequest{Leases: []uint64{p.lease(s), p.lease(s)}, Through: p.lease(s), Consumer: uint64(p.upTo(4))}
	case 12:
		return &pb.NackRequest{Leases: []uint64{p.lease(s)}, Kind: pb.NackKind(p.upTo(5)), DelayMs: p.int64(), Cause: p.name(s)}
	case 13:
		return &pb.ExtendRequest{Leases: []uint64{p.lease(s)}, LeaseMs: p.int64()}
	case 14:
		req := &pb.ReplyRequest{Lease: p.lease(s), Body: p.bytes()}
		if p.upTo(3) == 1 {
			req.Failure = &pb.Failure{Code: int32(p.upTo(20)), Message: p.name(s)}
		}
		return req
	}
	if p.upTo(8) == 7 {
		return &pb.LogoutRequest{}
	}
	return &pb.CancelRequest{ReplyTo: p.name(s), CorrelationId: p.name(s)}
}

// seeds are programs to begin with: some of every step, and one each of bytes
// that all say the same.
var seeds = func() (codes [][]byte) {
	for b := range 16 {
		code := make([]byte, 64)
		for i := range code {
			code[i] = byte(b)
		}
		codes = append(codes, code)
	}
	for stride := 1; stride < 40; stride += 3 {
		code := make([]byte, 400)
		for i := range code {
			code[i] = byte(i * stride * (i/7 + 1))
		}
		codes = append(codes, code)
	}
	return append(codes, nil)
}()
