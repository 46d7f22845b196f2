package server_test

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

func numbered(queue, producer string, n uint64) *pb.SendRequest {
	return &pb.SendRequest{Queue: queue, Producer: []byte(producer), Sequence: n, Body: fmt.Append(nil, n)}
}

// isNew sends a message that nobody has sent before.
func (p *party) isNew(req *pb.SendRequest) (id string) {
	p.Helper()
	res := must[*pb.SendResponse](p, req)
	if res.GetDuplicate() || res.GetMessageId() == "" {
		p.Fatalf("%s/%d: %v, want a new message", req.GetProducer(), req.GetSequence(), res)
	}
	return res.GetMessageId()
}

// isRepeated sends what was sent before.
func (p *party) isRepeated(req *pb.SendRequest) (id string) {
	p.Helper()
	res := must[*pb.SendResponse](p, req)
	if !res.GetDuplicate() {
		p.Fatalf("%s/%d: %v, want a duplicate", req.GetProducer(), req.GetSequence(), res)
	}
	return res.GetMessageId()
}

// G2.
var idempotencyContracts = []contract{
	{name: "G2_a_repeated_send_answers_the_first_id", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		first := p.isNew(numbered("q", "me", 1))
		if again := p.isRepeated(numbered("q", "me", 1)); again != first {
			s.Errorf("the duplicate is %s, the first %s", again, first)
		}
		if d := s.describe("q"); d.GetSummary().GetWaiting() != 1 || d.GetCounters().GetDuplicates() != 1 || d.GetCounters().GetSent() != 1 {
			s.Errorf("the queue has %v and counted %v", d.GetSummary(), d.GetCounters())
		}
	}},
	{name: "G2_also_after_the_message_was_acked", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.isNew(numbered("q", "me", 1))
		p.subscribe("q", 10)
		p.ack(p.take())
		p.isRepeated(numbered("q", "me", 1))
		p.getsNothing()
	}},
	{name: "G2_also_from_another_session", play: func(s *scene) {
		p, again := s.client("p"), s.client("again")
		p.create("q", nil)
		p.isNew(numbered("q", "me", 1))
		again.isRepeated(numbered("q", "me", 1))
	}},
	{name: "G2_the_window_is_4096_sequences", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.isNew(numbered("q", "me", 2))
		p.isNew(numbered("q", "me", 4097)) // 2 to 4097 are 4096 numbers
		p.isRepeated(numbered("q", "me", 2))
		p.isNew(numbered("q", "me", 4098))
		p.isRepeated(numbered("q", "me", 4097))
		p.isNew(numbered("q", "me", 3))
		f := p.refused(numbered("q", "me", 1), codes.AlreadyExists, pb.Reason_REASON_SEQUENCE_TOO_OLD)
		s.has(f.GetMessage(), "sequence 1", "4096")
	}},
	{name: "G2_a_late_number_in_the_window_is_new", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		for _, n := range []uint64{10, 12, 11, 9, 5} {
			p.isNew(numbered("q", "me", n))
		}
		for _, n := range []uint64{12, 5, 11, 10, 9} {
			p.isRepeated(numbered("q", "me", n))
		}
		if n := s.waiting("q"); n != 5 {
			s.Errorf("%d messages, want 5", n)
		}
	}},
	{name: "G2_producers_do_not_share_numbers", play: func(s *scene) {
		p := s.login(&pb.LoginRequest{Name: "p", Producer: []byte("of the session")})
		p.create("q", nil)
		p.isNew(numbered("q", "", 1))
		p.isRepeated(numbered("q", "of the session", 1))
		p.isNew(numbered("q", "another", 1))
	}},
	{name: "G2_a_producer_outlives_its_session", fake: true, play: func(s *scene) {
		login := &pb.LoginRequest{Name: "p", Producer: []byte("of the session"), TtlMs: 5000, GraceMs: 5000}
		p := s.login(login)
		p.create("q", nil)
		p.isNew(numbered("q", "", 1))
		p.logout()
		p = s.login(login)
		p.isRepeated(numbered("q", "", 1))
		p.dies()
		s.pass(time.Minute)
		s.client("another").isRepeated(numbered("q", "of the session", 1))
	}},
	{name: "G2_a_silent_producer_is_forgotten_in_the_end", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.isNew(numbered("q", "me", 1))
		s.pass(59 * time.Minute)
		p.isNew(numbered("q", "somebody else", 1))
		p.isRepeated(numbered("q", "me", 1))
		s.pass(2 * time.Minute)
		p.isNew(numbered("q", "somebody else", 2)) // memory is cleaned up when somebody sends
		p.isNew(numbered("q", "me", 1))
	}},
	{name: "G2_a_refused_send_has_not_used_its_number", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxMessages: 1})
		p.send("q", "x")
		p.refused(numbered("q", "me", 1), codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		p.refused(numbered("missing", "me", 1), codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		p.subscribe("q", 1)
		p.ack(p.take())
		p.isNew(numbered("q", "me", 1))
	}},
	{name: "G2_a_number_needs_a_producer", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		f := p.refused(numbered("q", "", 1), codes.InvalidArgument, pb.Reason_REASON_INVALID)
		s.has(f.GetMessage(), "producer")
	}},
	{name: "G2_no_number_no_promise", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.isNew(numbered("q", "me", 0))
		p.isNew(numbered("q", "me", 0))
	}},
}
