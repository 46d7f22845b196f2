package server_test

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// aCall is a request that a server holds.
func aCall(s *scene) (caller, w *party, held *pb.Delivery) {
	s.Helper()
	caller, w = s.client("caller"), s.client("w")
	caller.create("q", nil)
	caller.request("q", caller.temporary(), "c")
	w.subscribe("q", 1)
	return caller, w, w.getsOne("c", 1)
}

// G5 and G11.
var replyContracts = []contract{
	{name: "G5_a_reply_is_delivered_and_the_request_acked", play: func(s *scene) {
		caller, w, d := aCall(s)
		if d.GetReplyTo() == "" || d.GetCorrelationId() != "c" {
			s.Errorf("the request is %v", d)
		}
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: d.GetLease(), Body: []byte("yes"), Headers: map[string]string{"a": "b"}})
		if sum := s.describe("q").GetSummary(); sum.GetLeased()+sum.GetWaiting() != 0 {
			s.Errorf("the request is still there: %v", sum)
		}
		r := caller.getsOne("yes", 1)
		if r.GetCorrelationId() != "c" || r.GetFailure() != nil || r.GetHeaders()["a"] != "b" || r.GetQueue() != d.GetReplyTo() {
			s.Errorf("the reply is %v", r)
		}
		if n := s.describe("q").GetCounters().GetAcked(); n != 1 {
			s.Errorf("q counted %d acked", n)
		}
	}},
	{name: "G5_a_second_reply_is_refused", play: func(s *scene) {
		caller, w, d := aCall(s)
		w.reply(d, "yes")
		w.refused(&pb.ReplyRequest{Lease: d.GetLease(), Body: []byte("no")}, codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		caller.ack(caller.gets("yes")...)
		caller.getsNothing()
	}},
	{name: "G5_a_reply_to_nobody_acks_all_the_same", play: func(s *scene) {
		caller, w, d := aCall(s)
		caller.logout()
		f := w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
		s.has(f.GetMessage(), "acked")
		if sum := s.describe("q").GetSummary(); sum.GetLeased()+sum.GetWaiting() != 0 || s.describe("q").GetCounters().GetAcked() != 1 {
			s.Errorf("the request is still there: %v", s.describe("q"))
		}
	}},
	{name: "G5_a_request_of_nobody_is_not_tried_again", play: func(s *scene) {
		caller, w, d := aCall(s)
		caller.logout()
		w.retry(d)
		w.getsNothing()
		if sum := s.describe("q").GetSummary(); sum.GetLeased()+sum.GetWaiting() != 0 || s.isThere("q.dead") {
			s.Errorf("the request is still there: %v; q.dead: %v", sum, s.isThere("q.dead"))
		}
	}},
	{name: "G5_a_handlers_failure_arrives_as_it_is", play: func(s *scene) {
		caller, w, d := aCall(s)
		detail, err := anypb.New(durationpb.New(42))
		if err != nil {
			s.Fatal(err)
		}
		sent := &pb.Failure{Code: int32(codes.DataLoss), Message: "the page is torn", Metadata: map[string]string{"page": "7"}, RetryAfterMs: 5,
			Details: []*anypb.Any{detail}}
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: d.GetLease(), Failure: sent})
		if r := caller.take(); !proto.Equal(r.GetFailure(), sent) {
			s.Errorf("the failure is %v, want %v", r.GetFailure(), sent)
		}
	}},
	{name: "G5_only_the_switch_gives_reasons", play: func(s *scene) {
		caller, w, d := aCall(s)
		for _, bad := range []*pb.Failure{
			{Code: 5, Reason: pb.Reason_REASON_QUEUE_NOT_FOUND}, {Code: 0}, {Code: 17}, {Code: -1},
		} {
			w.refused(&pb.ReplyRequest{Lease: d.GetLease(), Failure: bad}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		}
		w.reply(d, "yes") // the lease is as it was
		caller.gets("yes")
	}},
	{name: "G5_a_refused_reply_leaves_the_lease", config: server.Config{MaxPayload: 100}, play: func(s *scene) {
		caller, w, d := aCall(s)
		f := w.refused(&pb.ReplyRequest{Lease: d.GetLease(), Body: make([]byte, 101)}, codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE)
		s.has(f.GetMessage(), "101", "100")
		w.refused(&pb.ReplyRequest{Lease: d.GetLease(), Headers: map[string]string{"switch-x": ""}}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		w.reply(d, "yes")
		caller.gets("yes")
	}},
	{name: "G5_who_wants_no_reply_gets_none", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		p.subscribe("q", 1)
		d := p.take()
		p.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.FailedPrecondition, pb.Reason_REASON_NO_REPLY_TO)
		p.ack(d) // the lease is as it was
	}},
	{name: "G5_replies_may_go_to_a_named_queue", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.create("answers", nil)
		p.request("q", "answers", "c")
		w.subscribe("q", 1)
		w.reply(w.take(), "yes")
		p.subscribe("answers", 1)
		if d := p.getsOne("yes", 1); d.GetCorrelationId() != "c" {
			s.Errorf("the reply is %v", d)
		}
	}},
	{name: "G5_pending_requests_have_ids_of_their_own", play: func(s *scene) {
		caller, w, d := aCall(s)
		again := &pb.SendRequest{Queue: "q", ReplyTo: d.GetReplyTo(), CorrelationId: "c"}
		caller.refused(again, codes.AlreadyExists, pb.Reason_REASON_CORRELATION_IN_USE)
		w.reply(d, "yes")
		caller.ack(caller.gets("yes")...)
		must[*pb.SendResponse](caller, again) // once it is answered, the id is free
	}},
	{name: "G5_a_request_needs_a_correlation_id", play: func(s *scene) {
		caller := s.client("caller")
		caller.create("q", nil)
		caller.refused(&pb.SendRequest{Queue: "q", ReplyTo: caller.temporary()}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
	}},
	{name: "G11_reply_queues_are_in_memory", play: func(s *scene) {
		p := s.client("p")
		res := must[*pb.CreateResponse](p, &pb.CreateRequest{Options: &pb.QueueOptions{Durability: pb.Durability_DURABILITY_MEMORY}})
		if res.GetOptions().GetDurability() != pb.Durability_DURABILITY_MEMORY || !res.GetOptions().GetNoDeadLetter() {
			s.Errorf("the options are %v", res.GetOptions())
		}
		p.refused(&pb.CreateRequest{Options: &pb.QueueOptions{Durability: pb.Durability_DURABILITY_DURABLE}}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
	}},
	{name: "G11_a_reply_comes_once_at_most", play: func(s *scene) {
		caller, w, d := aCall(s)
		w.reply(d, "yes")
		consumerGone := caller.getsOne("yes", 1) // delivered, and not acked
		caller.getsNothing()
		caller.logout() // the reply goes with its caller
		w.refused(&pb.SendRequest{Queue: consumerGone.GetQueue()}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
	}},
}
