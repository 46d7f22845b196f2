package server_test

import (
	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// G1, as far as a switch without a disk goes.
var durabilityContracts = []contract{
	{name: "G1_the_answer_says_the_durability_achieved", play: func(s *scene) {
		p := s.client("p")
		want := s.durability()
		created := must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: "q"})
		if d := created.GetOptions().GetDurability(); d != want {
			s.Errorf("Create says %v", d)
		}
		sent := must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q"})
		if sent.GetDurability() != want || sent.GetMessageId() == "" || sent.GetDuplicate() {
			s.Errorf("Send says %v", sent)
		}
	}},
	{name: "G1_durable_without_a_disk_is_refused", play: func(s *scene) {
		if s.disk {
			return
		}
		p := s.client("p")
		durable := &pb.QueueOptions{Durability: pb.Durability_DURABILITY_DURABLE}
		const no, why = codes.FailedPrecondition, pb.Reason_REASON_DURABILITY_UNAVAILABLE
		p.refused(&pb.CreateRequest{Queue: "q", Options: durable}, no, why)
		p.refused(&pb.SendRequest{Queue: "q", Create: durable}, no, why)
		f := p.refused(&pb.SubscribeRequest{Queue: "q", Create: durable}, no, why)
		s.has(f.GetMessage(), `"q"`, "data directory")
		if s.isThere("q") {
			s.Error("the refused queue was made")
		}
	}},
	{name: "G1_certain_refusals_enqueue_nothing", config: server.Config{MaxPayload: 100}, play: func(s *scene) {
		p, other := s.client("p"), s.client("other")
		p.create("q", &pb.QueueOptions{MaxMessages: 1})
		p.send("q", "the one")
		theirs := other.temporary()
		p.refused(&pb.SendRequest{Queue: "missing"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		p.refused(&pb.SendRequest{Queue: "q", Body: make([]byte, 101)}, codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE)
		p.refused(&pb.SendRequest{Queue: "q"}, codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		p.refused(&pb.SendRequest{Queue: theirs}, codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
		p.refused(&pb.SendRequest{Queue: "new", Create: &pb.QueueOptions{LeaseMs: 1}}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		p.refused(&pb.SendRequest{Queue: "q", ReplyTo: "nowhere", CorrelationId: "c"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		if n := s.waiting("q"); n != 1 || s.isThere("new") || s.isThere("missing") {
			s.Errorf("q has %d messages; new: %v, missing: %v", n, s.isThere("new"), s.isThere("missing"))
		}
		other.getsNothing()
	}},
	{name: "G1_what_may_pass_later_says_when_to_retry", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxMessages: 1})
		f := p.refused(&pb.SendRequest{Queue: "q", RequireConsumer: true}, codes.Unavailable, pb.Reason_REASON_NO_CONSUMER)
		if f.GetRetryAfterMs() == 0 {
			s.Errorf("no retry is advised: %v", f)
		}
		p.send("q", "x")
		f = p.refused(&pb.SendRequest{Queue: "q"}, codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		if f.GetRetryAfterMs() == 0 {
			s.Errorf("no retry is advised: %v", f)
		}
		f = p.refused(&pb.SendRequest{Queue: "nowhere"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		if f.GetRetryAfterMs() != 0 {
			s.Errorf("a retry is advised: %v", f)
		}
	}},
	{name: "G1_a_draining_switch_is_unavailable_for_now", play: func(s *scene) {
		holder, p := s.client("holder"), s.client("p")
		p.create("q", nil)
		p.send("q", "x")
		holder.subscribe("q", 1)
		held := holder.take()
		admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{BoundMs: 60_000})
		for _, verb := range []*pb.SendRequest{{Queue: "q"}, {Queue: "new", Create: &pb.QueueOptions{}}} {
			f := p.refused(verb, codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
			if f.GetRetryAfterMs() == 0 {
				s.Errorf("no retry is advised: %v", f)
			}
		}
		p.refused(&pb.SubscribeRequest{Queue: "q"}, codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
		p.refused(&pb.CreateRequest{Queue: "new"}, codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
		if _, err := s.tryLogin(s.Context(), &pb.LoginRequest{Name: "late"}); !isReason(err, pb.Reason_REASON_SHUTTING_DOWN) {
			s.Errorf("a new session: %v", err)
		}
		s.resume(p) // to get what it is owed
		holder.ack(held)
	}},
}
