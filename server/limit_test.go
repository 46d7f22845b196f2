package server_test

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// atLimit says that a verb is refused for a limit, which the details name.
func (p *party) atLimit(verb proto.Message, limit string, reason pb.Reason, says ...string) {
	p.Helper()
	f := p.refused(verb, codes.ResourceExhausted, reason)
	p.has(f.GetMessage(), says...)
	if f.GetMetadata()["limit"] != limit || f.GetRetryAfterMs() == 0 {
		p.Errorf("the details are %v, retry after %d ms", f.GetMetadata(), f.GetRetryAfterMs())
	}
}

// G9: limits instead of collapse.
var limitContracts = []contract{
	{name: "G9_messages_of_a_queue", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxMessages: 2})
		p.send("q", "1", "2")
		more := &pb.SendRequest{Queue: "q", Body: []byte("3")}
		p.atLimit(more, "max_messages", pb.Reason_REASON_QUEUE_FULL, `"q"`, "2 messages", "retry later")
		p.subscribe("q", 1)
		d := p.gets("1")
		p.atLimit(more, "max_messages", pb.Reason_REASON_QUEUE_FULL) // what is leased counts
		p.ack(d...)
		must[*pb.SendResponse](p, more)
		p.gets("2")
		if n := s.describe("q").GetCounters().GetRefused(); n != 2 {
			s.Errorf("%d sends were counted as refused, want 2", n)
		}
	}},
	{name: "G9_bytes_of_a_queue", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxBytes: 10})
		p.send("q", "12345", "1234")
		p.atLimit(&pb.SendRequest{Queue: "q", Body: []byte("12")}, "max_bytes", pb.Reason_REASON_QUEUE_FULL, `"q"`, "9 of 10 bytes")
		p.send("q", "1")
		p.atLimit(&pb.SendRequest{Queue: "q", Body: make([]byte, 11)}, "max_bytes", pb.Reason_REASON_QUEUE_FULL, "11 bytes", "takes 10")
	}},
	{name: "G9_payload", config: server.Config{MaxPayload: 1000}, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", string(make([]byte, 1000)))
		f := p.refused(&pb.SendRequest{Queue: "q", Body: make([]byte, 1001)}, codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE)
		s.has(f.GetMessage(), "1001", "1000")
	}},
	{name: "G9_sessions", config: server.Config{MaxSessions: 2}, play: func(s *scene) {
		a := s.client("a")
		s.client("b")
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Name: "c"})
		s.has(s.isRefusal(err, codes.ResourceExhausted, pb.Reason_REASON_LIMIT_REACHED).GetMessage(), "2 sessions")
		a.logout()
		s.client("c")
	}},
	{name: "G9_queues", config: server.Config{MaxQueues: 2}, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.temporary()
		p.atLimit(&pb.CreateRequest{Queue: "r"}, "queues", pb.Reason_REASON_LIMIT_REACHED, "2 queues")
		p.atLimit(&pb.CreateRequest{}, "queues", pb.Reason_REASON_LIMIT_REACHED)
		p.atLimit(&pb.SendRequest{Queue: "r", Create: &pb.QueueOptions{}}, "queues", pb.Reason_REASON_LIMIT_REACHED)
		p.send("q", "1") // what is there goes on
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		p.create("r", nil)
	}},
	{name: "G9_temporary_queues_of_a_session", fake: true, play: func(s *scene) {
		p := s.client("p")
		for range 1024 {
			must[*pb.CreateResponse](p, &pb.CreateRequest{})
		}
		p.atLimit(&pb.CreateRequest{}, "temporary_queues", pb.Reason_REASON_LIMIT_REACHED, "1024")
		p.create("q", nil) // named ones are nobody's
	}},
	{name: "G9_consumers_of_a_session", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		for range 1023 {
			p.subscribe("q", 1)
		}
		last := p.subscribe("q", 1)
		p.atLimit(&pb.SubscribeRequest{Queue: "q"}, "consumers", pb.Reason_REASON_LIMIT_REACHED, "1024")
		p.unsubscribe(last)
		p.subscribe("q", 1)
	}},
	{name: "G9_leases_of_a_request", fake: true, play: func(s *scene) {
		p := s.client("p")
		many := make([]uint64, 4097)
		for _, verb := range []proto.Message{&pb.AckRequest{Leases: many}, &pb.NackRequest{Leases: many}, &pb.ExtendRequest{Leases: many}} {
			s.has(p.refused(verb, codes.InvalidArgument, pb.Reason_REASON_INVALID).GetMessage(), "4097", "4096")
		}
		res := must[*pb.AckResponse](p, &pb.AckRequest{Leases: many[:4096]})
		if len(res.GetFailures()) != 4096 {
			s.Errorf("%d were refused", len(res.GetFailures()))
		}
	}},
	{name: "G9_headers_of_a_message", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		many := map[string]string{}
		for i := range 64 {
			many[fmt.Sprint(i)] = ""
		}
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Headers: many})
		many["one more"] = ""
		s.has(p.refused(&pb.SendRequest{Queue: "q", Headers: many}, codes.InvalidArgument, pb.Reason_REASON_INVALID).GetMessage(), "65", "64")
		large := map[string]string{"k": string(make([]byte, 16<<10-1))}
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Headers: large})
		large["k"] += "x"
		s.has(p.refused(&pb.SendRequest{Queue: "q", Headers: large}, codes.InvalidArgument, pb.Reason_REASON_INVALID).GetMessage(), "16385", "16384")
	}},
	{name: "G9_memory", config: server.Config{MemoryBudget: 100}, play: func(s *scene) {
		p := s.client("p")
		p.create("q", inMemory)
		p.create("r", inMemory)
		p.send("q", string(make([]byte, 90)))
		p.atLimit(&pb.SendRequest{Queue: "r", Body: make([]byte, 11)}, "memory", pb.Reason_REASON_LIMIT_REACHED, "90", "100")
		p.send("r", "1234567890")
		p.subscribe("q", 1)
		p.ack(p.take())
		p.send("r", string(make([]byte, 90)))
	}},
}

var inMemory = &pb.QueueOptions{Durability: pb.Durability_DURABILITY_MEMORY}

// G9: what goes on when nothing more is let in, and what gives way if asked to.
var overflowContracts = []contract{
	{name: "G9_acks_replies_and_deliveries_work_when_sends_are_refused", config: server.Config{MemoryBudget: 30}, play: func(s *scene) {
		caller, w := s.client("caller"), s.client("w")
		caller.create("q", inMemory)
		replies := caller.temporary()
		for _, c := range []string{"1", "2", "3"} {
			must[*pb.SendResponse](caller, &pb.SendRequest{Queue: "q", ReplyTo: replies, CorrelationId: c, Body: make([]byte, 10)})
		}
		caller.refused(&pb.SendRequest{Queue: "q", Body: []byte("x")}, codes.ResourceExhausted, pb.Reason_REASON_LIMIT_REACHED)
		w.subscribe("q", 1)
		w.reply(w.take(), "much longer than ten bytes")
		caller.gets("much longer than ten bytes")
		w.ack(w.take())
		w.reject(w.take()) // dead letters, too
		if s.waiting("q.dead") != 1 {
			s.Error("the dead letter is missing")
		}
		caller.isTold("3", codes.Aborted, pb.Reason_REASON_REJECTED)
	}},
	{name: "G9_replies_reach_a_full_reply_queue", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.create("answers", &pb.QueueOptions{MaxMessages: 1})
		p.send("answers", "full")
		p.request("q", "answers", "c")
		w.subscribe("q", 1)
		w.reply(w.take(), "yes")
		if s.waiting("answers") != 2 {
			s.Error("the reply is missing")
		}
	}},
	{name: "G9_drop_oldest_makes_room", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxMessages: 2, Overflow: pb.Overflow_OVERFLOW_DROP_OLDEST})
		replies := p.temporary()
		p.request("q", replies, "1")
		p.send("q", "2", "3", "4")
		p.isTold("1", codes.ResourceExhausted, pb.Reason_REASON_DROPPED)
		p.subscribe("q", 10)
		p.gets("3", "4")
		if n := s.describe("q").GetCounters().GetDropped(); n != 2 {
			s.Errorf("%d were counted as dropped, want 2", n)
		}
	}},
	{name: "G9_drop_oldest_makes_room_by_bytes", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxBytes: 10, Overflow: pb.Overflow_OVERFLOW_DROP_OLDEST})
		p.send("q", "1234", "5678", "90", "abcdefg")
		p.subscribe("q", 10)
		p.gets("90", "abcdefg")
	}},
	{name: "G9_drop_oldest_leaves_what_is_leased", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", &pb.QueueOptions{MaxMessages: 2, Overflow: pb.Overflow_OVERFLOW_DROP_OLDEST})
		p.send("q", "1", "2")
		w.subscribe("q", 2)
		ds := w.gets("1", "2")
		p.atLimit(&pb.SendRequest{Queue: "q"}, "max_messages", pb.Reason_REASON_QUEUE_FULL)
		w.ack(ds[0])
		p.send("q", "3")
		w.gets("3")
	}},
	{name: "G9_age", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxAgeMs: 1000, MaxMessages: 1})
		p.send("q", "old")
		s.pass(time.Second)
		p.send("q", "new") // the old one has made room
		p.subscribe("q", 1)
		p.gets("new")
	}},
}

// Temporary queues (G5, G7 and DESIGN §4).
var temporaryContracts = []contract{
	{name: "Temporary_queues_are_their_owners", play: func(s *scene) {
		p, stranger := s.client("p"), s.client("stranger")
		own := p.temporary()
		for _, verb := range []proto.Message{
			&pb.SubscribeRequest{Queue: own}, &pb.SendRequest{Queue: own}, &pb.DestroyRequest{Queue: own},
			&pb.SendRequest{Queue: "q", Create: &pb.QueueOptions{}, ReplyTo: own, CorrelationId: "c"},
		} {
			stranger.refused(verb, codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
		}
		p.send(own, "a note to myself")
		p.gets("a note to myself")
	}},
	{name: "Only_the_holder_of_a_lease_replies", play: func(s *scene) {
		caller, w, d := aCall(s)
		stranger := s.client("stranger")
		stranger.refused(&pb.ReplyRequest{Lease: d.GetLease(), Body: []byte("forged")}, codes.PermissionDenied, pb.Reason_REASON_LEASE_NOT_YOURS)
		w.reply(d, "genuine")
		caller.gets("genuine")
		caller.getsNothing()
	}},
	{name: "Their_names_are_reserved", play: func(s *scene) {
		p := s.client("p")
		s.has(p.refused(&pb.CreateRequest{Queue: "tmp.mine"}, codes.InvalidArgument, pb.Reason_REASON_INVALID).GetMessage(), `"tmp."`)
		p.refused(&pb.SendRequest{Queue: "tmp.mine", Create: &pb.QueueOptions{}}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		p.refused(&pb.CreateRequest{Queue: "q", Options: &pb.QueueOptions{DeadLetterQueue: "tmp.mine"}}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
	}},
	{name: "They_take_no_options_but_limits", play: func(s *scene) {
		p := s.client("p")
		for _, o := range []*pb.QueueOptions{{LeaseMs: 1000}, {MaxAgeMs: 1}, {MaxMessages: 1, Overflow: pb.Overflow_OVERFLOW_DROP_OLDEST}, {NoDeadLetter: true}} {
			p.refused(&pb.CreateRequest{Options: o}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		}
		own := must[*pb.CreateResponse](p, &pb.CreateRequest{Options: &pb.QueueOptions{MaxMessages: 1, MaxBytes: 10}})
		if o := own.GetOptions(); o.GetMaxMessages() != 1 || o.GetMaxBytes() != 10 {
			s.Errorf("its options are %v", o)
		}
		p.send(own.GetQueue(), "1")
		p.refused(&pb.SendRequest{Queue: own.GetQueue()}, codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
	}},
	{name: "Their_owner_may_destroy_them", play: func(s *scene) {
		caller, w, d := aCall(s)
		must[*pb.DestroyResponse](caller, &pb.DestroyRequest{Queue: d.GetReplyTo()})
		w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
	}},
}
