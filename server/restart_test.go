package server_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// TestRestart ends a switch with a data directory and starts it again: to its
// clients that is a pause (G1, G2, G7, G8). What a crash leaves is the business
// of the store's and the binary's tests.
func TestRestart(t *testing.T) {
	for _, c := range append(restartContracts, keyRestarts...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range forms {
				t.Run(f.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { c.play(newScene(t, f, transports[3], c.config)) })
				})
			}
		})
	}
}

// again restarts the switch and resumes some sessions.
func (s *scene) again(ps ...**party) {
	s.Helper()
	s.restart(server.Config{})
	for _, p := range ps {
		*p = s.resume(*p)
	}
}

// bound makes deliveries of a consumer flow to p again.
func (p *party) bound(consumer uint64) *party {
	p.Helper()
	if err := p.rebind(p.Context(), consumer, 0); err != nil {
		p.Fatal(err)
	}
	return p
}

var restartContracts = []contract{
	{name: "G1_messages_come_back_in_order", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		ids := p.send("q", "1", "2", "3")
		p.subscribe("q", 1)
		p.ack(p.take())
		s.again()
		w := s.client("w")
		w.subscribe("q", 10)
		for i, d := range w.gets("2", "3") {
			if d.GetMessageId() != ids[i+1] || d.GetAttempt() != 1 {
				s.Errorf("message %s came back as %v", ids[i+1], d)
			}
		}
		w.getsNothing()
	}},
	{name: "G1_everything_of_a_message_comes_back", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.create("answers", nil)
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Body: []byte("b"), Headers: map[string]string{"k": "v", "l": ""},
			CorrelationId: "c", ReplyTo: "answers", TimeoutMs: 60_000, MaxAttempts: 2})
		s.again()
		w := s.client("w")
		w.subscribe("q", 1)
		d := w.getsOne("b", 1)
		if d.GetHeaders()["k"] != "v" || len(d.GetHeaders()) != 2 || d.GetCorrelationId() != "c" || d.GetReplyTo() != "answers" ||
			d.GetTimeoutMs() <= 0 || d.GetTimeoutMs() > 60_000 {
			s.Errorf("got %v", d)
		}
		w.retry(d)
		w.retry(w.getsOne("b", 2))
		if s.waiting("q.dead") != 1 {
			s.Error("the message has more attempts than it was given")
		}
	}},
	{name: "G6_a_tree_of_calls_comes_back", play: func(s *scene) {
		caller, mid := s.client("caller"), s.client("mid")
		caller.create("mid", nil)
		caller.create("nobody", nil)
		to := caller.temporary()
		caller.request("mid", to, "root")
		work := mid.subscribe("mid", 1)
		root := mid.take()
		replies := must[*pb.CreateResponse](mid, &pb.CreateRequest{}).GetQueue()
		answers := mid.subscribe(replies, 10)
		mid.callFor(root, "nobody", replies, "child")
		must[*pb.SendResponse](mid, &pb.SendRequest{Queue: "nobody", ReplyTo: replies, CorrelationId: "soon", StartMs: 60_000})
		s.again(&caller, &mid)
		mid.bound(work).getsOne("root", 1)
		mid.bound(answers)
		calls, _ := s.calls(&pb.ListCallsRequest{Queue: "nobody"})
		if len(calls) != 2 || calls[0].GetParent() != root.GetMessageId() || calls[1].GetStartMs() <= 0 || calls[1].GetStartMs() > 60_000 {
			s.Fatalf("the calls are %v", calls)
		}
		caller.cancelled(to, "root", pb.CancelState_CANCEL_STATE_RUNNING)
		mid.isTold("child", codes.Canceled, pb.Reason_REASON_PARENT_GONE)
		s.pass(61 * time.Second)
		mid.isTold("soon", codes.Unavailable, pb.Reason_REASON_NOT_STARTED)
	}},
	{name: "G1_queues_come_back_as_they_were", play: func(s *scene) {
		p := s.client("p")
		o := &pb.QueueOptions{MaxMessages: 7, MaxBytes: 1000, MaxAgeMs: 60_000, Overflow: pb.Overflow_OVERFLOW_DROP_OLDEST, MaxAttempts: 3,
			DeadLetterQueue: "grave", LeaseMs: 5000}
		before := must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: "q", Options: o}).GetOptions()
		p.create("gone", nil)
		p.send("gone", "x")
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "gone"})
		p.create("memory", inMemory)
		s.again()
		if after := s.describe("q").GetOptions(); after.String() != before.String() {
			s.Errorf("the options were %v and are %v", before, after)
		}
		if s.isThere("gone") || s.isThere("memory") {
			s.Error("a queue came back that should not")
		}
		s.client("p").create("gone", nil)
		if s.waiting("gone") != 0 {
			s.Error("a queue came back with what was destroyed")
		}
	}},
	// A caller whose switch was killed between its reply and the caller's hearing of it
	// sends its request again. Nobody has the reply: it must not wait for it.
	{name: "G7_a_repeated_request_whose_answer_is_lost_fails", play: func(s *scene) {
		caller, server := s.client("caller"), s.client("server")
		caller.create("q", nil)
		to := caller.temporary()
		work := server.subscribe("q", 10)
		ask := func(n uint64) *pb.SendRequest {
			req := numbered("q", "me", n)
			req.ReplyTo, req.CorrelationId = to, fmt.Sprint(n)
			return req
		}
		answered := caller.isNew(ask(1))
		server.reply(server.take(), "lost")
		if caller.isRepeated(ask(1)) != answered {
			s.Error("in the same life the answer waits, and the request was refused or is new")
		}
		running := caller.isNew(ask(2))
		server.take()
		s.again(&caller, &server)
		caller.refused(ask(1), codes.Unavailable, pb.Reason_REASON_UNSPECIFIED)
		if caller.isRepeated(ask(2)) != running {
			s.Error("a request that came back is not repeated under its id")
		}
		server.bound(work)
		server.reply(server.take(), "kept")
		caller.isRepeated(ask(2)) // the answer waits, for the consumer that is made now
		caller.subscribe(to, 10)
		caller.gets("kept")
		caller.isRepeated(ask(2)) // it is on its way
	}},
	{name: "G2_a_repeated_send_answers_the_first_id", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		first := p.isNew(numbered("q", "me", 1))
		p.isNew(numbered("q", "me", 2))
		p.subscribe("q", 1)
		p.ack(p.gets("1")...)
		s.again()
		p = s.client("p")
		second := p.isRepeated(numbered("q", "me", 2))
		if again := p.isRepeated(numbered("q", "me", 1)); again != first || second == first {
			s.Errorf("the duplicate is %s, the first %s", again, first)
		}
		p.isNew(numbered("q", "me", 3))
		s.again() // an epoch further
		p = s.client("p")
		if again := p.isRepeated(numbered("q", "me", 2)); again != second {
			s.Errorf("the duplicate is %s, the first %s", again, second)
		}
		if s.waiting("q") != 2 {
			s.Errorf("%d messages wait", s.waiting("q"))
		}
	}},
	{name: "G3_attempts_go_on", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxAttempts: 3})
		p.send("q", "x")
		p.subscribe("q", 1)
		p.retry(p.getsOne("x", 1))
		p.retry(p.getsOne("x", 2))
		p.take() // and the third is lost with the switch: it does not count
		s.again()
		w := s.client("w")
		w.subscribe("q", 1)
		w.retry(w.getsOne("x", 3))
		s.again()
		if s.waiting("q.dead") != 1 || s.waiting("q") != 0 {
			s.Error("the dead letter is missing")
		}
	}},
	{name: "G6_what_expired_meanwhile_is_late", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		replies := p.temporary()
		p.within("q", replies, "c", 5*time.Second)
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Body: []byte("alone"), TimeoutMs: 5000})
		p.send("q", "not late")
		s.pass(4 * time.Second)
		s.again(&p)
		p.bound(1)
		s.pass(2 * time.Second)
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		w := s.client("w")
		w.subscribe("q", 10)
		w.gets("not late")
		w.getsNothing()
		s.pass(10 * time.Second)
		if d := s.describe("q"); d.GetSummary().GetWaiting() != 0 || d.GetCounters().GetExpired() != 2 {
			s.Errorf("q is %v", d)
		}
	}},
	{name: "G7_temporary_queues_come_back_and_the_call_completes", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		replies := p.temporary()
		p.request("q", replies, "c")
		s.again(&p, &w)
		if got := p.session.GetPending(); len(got) != 1 || got[0].GetCorrelationId() != "c" || got[0].GetReplyTo() != replies || got[0].GetRunning() {
			s.Errorf("pending: %v", got)
		}
		p.bound(1)
		w.subscribe("q", 1)
		w.reply(w.take(), "done")
		p.gets("done")
	}},
	{name: "G7_a_consumer_goes_on", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		consumer := w.subscribe("q", 10)
		s.again(&w)
		w.bound(consumer)
		s.client("p").send("q", "1", "2")
		w.gets("1", "2")
	}},
	{name: "G7_requests_that_the_switch_has_lost_are_not_pending", play: func(s *scene) {
		p := s.client("p")
		p.create("q", inMemory)
		p.request("q", p.temporary(), "lost with the memory")
		s.again(&p)
		if len(p.session.GetPending()) != 0 {
			s.Errorf("pending: %v", p.session.GetPending())
		}
	}},
	{name: "G7_who_does_not_come_back_has_given_up", play: func(s *scene) {
		p := s.mortal("p")
		p.create("q", nil)
		p.request("q", p.temporary(), "c")
		p.send("q", "for anybody")
		s.again()
		if s.waiting("q") != 2 {
			s.Errorf("%d messages wait", s.waiting("q"))
		}
		s.pass(time.Minute)
		if s.waiting("q") != 1 {
			s.Errorf("%d messages wait, want that for anybody", s.waiting("q"))
		}
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Session: p.session.GetSession()})
		s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED)
		s.again() // and its request does not come back
		if s.waiting("q") != 1 {
			s.Errorf("%d messages wait", s.waiting("q"))
		}
	}},
	{name: "G7_who_logged_out_is_gone", play: func(s *scene) {
		p := s.client("p")
		queue := p.temporary()
		p.logout()
		s.again()
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Session: p.session.GetSession()})
		s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED)
		if s.isThere(queue) {
			s.Error("its temporary queue came back")
		}
	}},
	{name: "G8_a_session_that_ended_stays_away", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil) // with it the session is on disk
		p.logout()
		s.again()
		if sessions := s.diagnose().GetSessions(); len(sessions) != 0 {
			s.Errorf("sessions came back: %v", sessions)
		}
	}},
	{name: "G8_an_old_lease_hits_nothing", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", "x")
		consumer := w.subscribe("q", 1)
		old := w.take()
		s.again(&w)
		w.bound(consumer)
		now := w.getsOne("x", 1)
		if now.GetLease() <= old.GetLease() || now.GetMessageId() != old.GetMessageId() {
			s.Errorf("lease %d came after %d", now.GetLease(), old.GetLease())
		}
		w.refused(&pb.AckRequest{Leases: []uint64{old.GetLease()}}, codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		w.ack(now)
	}},
	{name: "G8_ids_are_new_in_a_new_life", play: func(s *scene) {
		seen := map[string]bool{}
		for range 3 {
			p := s.client("p")
			p.create("q", nil)
			p.create("m", inMemory)
			for _, id := range append(p.send("q", "a", "b"), p.send("m", "c", "d", "e")...) {
				if seen[id] {
					s.Errorf("id %s is there twice", id)
				}
				seen[id] = true
			}
			s.again()
		}
	}},
	{name: "A_reply_to_a_durable_queue_comes_back", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.create("answers", nil)
		p.request("q", "answers", "c")
		p.request("q", "answers", "d")
		w.subscribe("q", 1)
		w.reply(w.take(), "yes")
		w.reject(w.take())
		s.again(&p)
		p.subscribe("answers", 2)
		p.gets("yes")
		p.isTold("d", codes.Aborted, pb.Reason_REASON_REJECTED)
		if s.waiting("q") != 0 {
			s.Error("the request came back beside its reply")
		}
	}},
}
