package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// failAttempts takes a message and gives it back until it is dead.
func (p *party) failAttempts(body string, attempts uint32) {
	p.Helper()
	for n := range attempts {
		p.retry(p.getsOne(body, n+1))
	}
	p.getsNothing()
}

// G3: what becomes of a message that nobody can handle.
var deathContracts = []contract{
	{name: "G3_after_5_attempts_it_is_a_dead_letter", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		sent := must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Body: []byte("1"), CorrelationId: "c", Headers: map[string]string{"mine": "kept"}})
		p.subscribe("q", 1)
		p.failAttempts("1", 5)
		p.subscribe("q.dead", 1)
		d := p.getsOne("1", 1)
		want := map[string]string{"mine": "kept", "switch-dead-queue": "q", "switch-dead-attempts": "5", "switch-dead-id": sent.GetMessageId()}
		for k, v := range want {
			if d.GetHeaders()[k] != v {
				s.Errorf("header %s is %q, want %q", k, d.GetHeaders()[k], v)
			}
		}
		s.has(d.GetHeaders()["switch-dead-reason"], "attempt 5 of 5", `"q"`)
		if d.GetCorrelationId() != "c" || d.GetMessageId() == sent.GetMessageId() {
			s.Errorf("the dead letter is %v", d)
		}
		if n := s.describe("q").GetCounters().GetDead(); n != 1 {
			s.Errorf("q counted %d dead", n)
		}
	}},
	{name: "G3_lease_ends_count_as_attempts", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{LeaseMs: 100, MaxAttempts: 2})
		p.send("q", "1")
		p.subscribe("q", 1)
		p.getsOne("1", 1)
		p.getsOne("1", 2)
		s.until("it is dead", func() bool { return s.isThere("q.dead") })
		p.subscribe("q.dead", 1)
		s.has(p.getsOne("1", 1).GetHeaders()["switch-dead-reason"], "attempt 2 of 2", "lease of 100ms")
	}},
	{name: "G3_a_rejected_message_is_dead_at_once", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		p.subscribe("q", 1)
		must[*pb.NackResponse](p, &pb.NackRequest{Leases: leasesOf(p.gets("1")), Kind: pb.NackKind_NACK_KIND_REJECT, Cause: "I can't read it"})
		p.getsNothing()
		p.subscribe("q.dead", 1)
		s.has(p.getsOne("1", 1).GetHeaders()["switch-dead-reason"], "rejected", "I can't read it")
	}},
	{name: "G3_the_dead_letter_queue_may_have_a_name", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxAttempts: 1, DeadLetterQueue: "graveyard"})
		p.send("q", "1")
		p.subscribe("q", 1)
		p.failAttempts("1", 1)
		p.subscribe("graveyard", 1)
		p.gets("1")
		if s.isThere("q.dead") {
			s.Error("there is a q.dead as well")
		}
	}},
	{name: "G3_the_dead_letter_queue_may_be_off", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxAttempts: 1, NoDeadLetter: true})
		p.send("q", "1")
		p.subscribe("q", 1)
		p.failAttempts("1", 1)
		if s.isThere("q.dead") || s.describe("q").GetCounters().GetDead() != 1 {
			s.Errorf("q.dead: %v, counted: %v", s.isThere("q.dead"), s.describe("q").GetCounters())
		}
	}},
	{name: "G3_a_send_may_ask_for_one_attempt", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Body: []byte("1"), MaxAttempts: 1})
		p.subscribe("q", 1)
		p.failAttempts("1", 1)
		if s.waiting("q.dead") != 1 {
			s.Error("it is not in q.dead")
		}
	}},
	{name: "G3_a_caller_is_told_when_attempts_run_out", play: func(s *scene) {
		caller, w := s.client("caller"), s.client("w")
		caller.create("q", &pb.QueueOptions{MaxAttempts: 2})
		caller.request("q", caller.temporary(), "c")
		w.subscribe("q", 1)
		w.failAttempts("c", 2)
		s.has(caller.isTold("c", codes.Aborted, pb.Reason_REASON_ATTEMPTS_EXHAUSTED).GetMessage(), "attempt 2 of 2", `"q"`)
	}},
	{name: "G3_a_caller_is_told_when_it_is_rejected", play: func(s *scene) {
		caller, w := s.client("caller"), s.client("w")
		caller.create("q", nil)
		caller.request("q", caller.temporary(), "c")
		w.subscribe("q", 1)
		must[*pb.NackResponse](w, &pb.NackRequest{Leases: leasesOf(w.gets("c")), Kind: pb.NackKind_NACK_KIND_REJECT, Cause: "not mine"})
		s.has(caller.isTold("c", codes.Aborted, pb.Reason_REASON_REJECTED).GetMessage(), "not mine")
	}},
	{name: "G3_a_caller_is_told_when_its_server_is_gone", play: func(s *scene) {
		caller := s.client("caller")
		w := s.login(&pb.LoginRequest{Name: "w", TtlMs: 1000, GraceMs: 100})
		caller.create("q", &pb.QueueOptions{MaxAttempts: 1})
		caller.request("q", caller.temporary(), "c")
		w.subscribe("q", 1)
		w.gets("c")
		w.dies()
		s.has(caller.isTold("c", codes.Unavailable, pb.Reason_REASON_SERVER_GONE).GetMessage(), `"w"`)
	}},
	{name: "G3_a_caller_is_told_when_it_is_purged", play: func(s *scene) {
		caller := s.client("caller")
		caller.create("q", nil)
		caller.request("q", caller.temporary(), "c")
		admin(s, pb.AdminServiceClient.Purge, &pb.PurgeRequest{Queue: "q"})
		caller.isTold("c", codes.Aborted, pb.Reason_REASON_PURGED)
	}},
	{name: "G3_a_caller_is_told_when_the_queue_is_destroyed", play: func(s *scene) {
		caller, w := s.client("caller"), s.client("w")
		caller.create("q", nil)
		replies := caller.temporary()
		caller.request("q", replies, "running")
		caller.request("q", replies, "waiting")
		w.subscribe("q", 1)
		d := w.take()
		if n := must[*pb.DestroyResponse](w, &pb.DestroyRequest{Queue: "q"}).GetMessages(); n != 2 {
			s.Errorf("%d messages went with the queue, want 2", n)
		}
		caller.isTold("running", codes.NotFound, pb.Reason_REASON_QUEUE_DESTROYED)
		caller.isTold("waiting", codes.NotFound, pb.Reason_REASON_QUEUE_DESTROYED)
		w.cannotUse(d.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
	}},
}

// A poisonous message does not hold up the ones behind it.
func TestPoisonDoesNotBlock(t *testing.T) {
	for _, f := range forms {
		inFakeTime(t, f, zero, func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.send("q", "poison", "fine")
			p.subscribe("q", 2)
			for n := range uint32(5) {
				ds := p.gets("poison")
				if n == 0 {
					p.ack(p.gets("fine")...)
				}
				p.retry(ds...)
			}
			if s.waiting("q.dead") != 1 {
				s.Error("the poison is not in q.dead")
			}
		})
	}
}
