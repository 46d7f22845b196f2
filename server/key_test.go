package server_test

import (
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// keyed sends a call with a key whose correlation id and body are given.
func (p *party) keyed(queue, replyTo, correlation, key string) *pb.SendResponse {
	p.Helper()
	return must[*pb.SendResponse](p, &pb.SendRequest{Queue: queue, ReplyTo: replyTo, CorrelationId: correlation, Body: []byte("pay"), Key: key})
}

// isAnswered takes the reply to a correlation id.
func (p *party) isAnswered(correlation, body string) {
	p.Helper()
	d := p.getsOne(body, 1)
	if d.GetCorrelationId() != correlation || d.GetFailure() != nil {
		p.Fatalf("%s got %v, want the reply to %q", p.name, d, correlation)
	}
	p.ack(d)
}

// Calls with a key: one runs, all are told.
var keyContracts = []contract{
	{name: "K_all_who_send_a_key_get_one_reply", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		atA, atB := a.temporary(), b.temporary()
		first := a.keyed("q", atA, "1", "k")
		w.subscribe("q", 10)
		d := w.getsOne("pay", 1)
		if d.GetKey() != "k" || first.GetJoined() {
			s.Errorf("it came as %v, was sent as %v", d, first)
		}
		second := b.keyed("q", atB, "2", "k")
		if !second.GetJoined() || second.GetMessageId() != first.GetMessageId() || second.GetDurability() != s.durability() {
			s.Errorf("the second was %v, the first %v", second, first)
		}
		w.reply(d, "done")
		a.isAnswered("1", "done")
		b.isAnswered("2", "done")
		third := b.keyed("q", atB, "3", "k") // it is kept
		if !third.GetJoined() {
			s.Errorf("the third was %v", third)
		}
		b.isAnswered("3", "done")
		w.getsNothing()
		b.refused(&pb.SendRequest{Queue: "q", ReplyTo: atB, CorrelationId: "4", Body: []byte("more"), Key: "k"}, codes.FailedPrecondition, pb.Reason_REASON_KEY_REUSED)
	}},
	{name: "K_a_detached_call_is_joined_by_its_id_or_key", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		id := a.keyed("q", "", "", "k").GetMessageId()
		a.logout()
		w.subscribe("q", 10)
		d := w.getsOne("pay", 1)
		if d.GetReplyTo() != "tmp.detached" {
			s.Errorf("it came as %v", d)
		}
		atB := b.temporary()
		if res := must[*pb.JoinResponse](b, &pb.JoinRequest{MessageId: id, ReplyTo: atB, CorrelationId: "1"}); res.GetAnswered() || res.GetMessageId() != id || res.GetQueue() != "q" {
			s.Errorf("joined %v", res)
		}
		w.reply(d, "done")
		b.isAnswered("1", "done")
		if res := must[*pb.JoinResponse](b, &pb.JoinRequest{Queue: "q", Key: "k", ReplyTo: atB, CorrelationId: "2"}); !res.GetAnswered() {
			s.Errorf("joined %v", res)
		}
		b.isAnswered("2", "done")
		b.refused(&pb.JoinRequest{MessageId: "0-1-1", ReplyTo: atB, CorrelationId: "3"}, codes.NotFound, pb.Reason_REASON_CALL_NOT_FOUND)
		b.refused(&pb.JoinRequest{MessageId: "seven", ReplyTo: atB, CorrelationId: "3"}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		b.refused(&pb.JoinRequest{Queue: "q", ReplyTo: atB, CorrelationId: "3"}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		b.refused(&pb.JoinRequest{Queue: "q", Key: "other", ReplyTo: atB, CorrelationId: "3"}, codes.NotFound, pb.Reason_REASON_CALL_NOT_FOUND)
		b.getsNothing()
	}},
	{name: "K_the_last_who_cancels_takes_the_call_along", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		atA, atB := a.temporary(), b.temporary()
		a.keyed("q", atA, "1", "k")
		b.keyed("q", atB, "2", "k")
		w.subscribe("q", 10)
		d := w.getsOne("pay", 1)
		for i, want := range []pb.CancelState{pb.CancelState_CANCEL_STATE_LEFT, pb.CancelState_CANCEL_STATE_RUNNING} {
			p := []*party{a, b}[i]
			req := &pb.CancelRequest{ReplyTo: []string{atA, atB}[i], CorrelationId: []string{"1", "2"}[i]}
			if got := must[*pb.CancelResponse](p, req).GetState(); got != want {
				s.Errorf("%s's cancel: %v, want %v", p.name, got, want)
			}
		}
		w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
		if res := a.keyed("q", atA, "3", "k"); res.GetJoined() {
			s.Errorf("a cancelled call was joined: %v", res)
		}
		w.reply(w.getsOne("pay", 1), "again")
		a.isAnswered("3", "again")
	}},
	{name: "K_a_handlers_failure_is_kept", play: func(s *scene) {
		a, w := s.client("a"), s.client("w")
		a.create("q", nil)
		at := a.temporary()
		a.keyed("q", at, "1", "k")
		w.subscribe("q", 10)
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: w.take().GetLease(), Failure: &pb.Failure{Code: int32(codes.DataLoss), Message: "torn"}})
		a.isTold("1", codes.DataLoss, pb.Reason_REASON_UNSPECIFIED)
		a.keyed("q", at, "2", "k")
		a.isTold("2", codes.DataLoss, pb.Reason_REASON_UNSPECIFIED)
	}},
	{name: "K_what_the_switch_ends_frees_the_key", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		atA, atB := a.temporary(), b.temporary()
		a.keyed("q", atA, "1", "k")
		b.keyed("q", atB, "2", "k")
		w.subscribe("q", 10)
		w.nack(pb.NackKind_NACK_KIND_REJECT, w.take())
		a.isTold("1", codes.Aborted, pb.Reason_REASON_REJECTED)
		b.isTold("2", codes.Aborted, pb.Reason_REASON_REJECTED)
		if res := a.keyed("q", atA, "3", "k"); res.GetJoined() {
			s.Errorf("a call without a reply was joined: %v", res)
		}
		w.reply(w.getsOne("pay", 1), "again")
		a.isAnswered("3", "again")
	}},
	{name: "K_a_reply_is_kept_for_its_time", fake: true, play: func(s *scene) {
		a, w := s.client("a"), s.client("w")
		a.create("q", nil)
		at := a.temporary()
		must[*pb.SendResponse](a, &pb.SendRequest{Queue: "q", ReplyTo: at, CorrelationId: "1", Body: []byte("pay"), Key: "k", KeyTtlMs: 5000})
		a.keyed("q", at, "d", "default")
		w.subscribe("q", 10)
		for _, d := range w.gets("pay", "pay") {
			w.reply(d, "done")
		}
		a.isAnswered("1", "done")
		a.isAnswered("d", "done")
		s.pass(4999 * time.Millisecond)
		if res := a.keyed("q", at, "2", "k"); !res.GetJoined() {
			s.Errorf("after 4.999 s of 5 it is forgotten: %v", res)
		}
		s.pass(time.Second)
		if res := a.keyed("q", at, "3", "k"); res.GetJoined() {
			s.Errorf("after 6 s of 5 it is kept: %v", res)
		}
		s.pass(9 * time.Minute)
		if res := a.keyed("q", at, "4", "default"); !res.GetJoined() {
			s.Errorf("after 9 minutes of 10 it is forgotten: %v", res)
		}
		s.pass(time.Minute)
		a.refused(&pb.JoinRequest{Queue: "q", Key: "default", ReplyTo: at, CorrelationId: "5"}, codes.NotFound, pb.Reason_REASON_CALL_NOT_FOUND)
	}},
	{name: "K_a_joiner_is_pending_after_a_resume", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		a.keyed("q", a.temporary(), "1", "k")
		atB := b.temporary()
		b.keyed("q", atB, "2", "k")
		w.subscribe("q", 10)
		d := w.take()
		if s.form.name == "attach" {
			b.close()
		}
		b = s.resume(b)
		if ps := b.session.GetPending(); len(ps) != 1 || ps[0].GetCorrelationId() != "2" || ps[0].GetReplyTo() != atB || ps[0].GetQueue() != "q" || !ps[0].GetRunning() {
			s.Errorf("pending are %v", ps)
		}
		w.reply(d, "done")
		b.bound(1).isAnswered("2", "done")
	}},
	{name: "K_large_replies_come_whole_to_all", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		atA, atB := a.temporary(), b.temporary()
		a.keyed("q", atA, "1", "k")
		b.keyed("q", atB, "2", "k")
		w.subscribe("q", 10)
		large := strings.Repeat("r", 300<<10) // it stays in the buffer that it came in
		w.reply(w.take(), large)
		for range 20 { // which others would use now
			w.send("q", strings.Repeat("x", 300<<10))
			w.ack(w.take())
		}
		a.isAnswered("1", large)
		b.isAnswered("2", large)
		b.keyed("q", atB, "3", "k")
		b.isAnswered("3", large)
	}},
	{name: "K_bad_input", play: func(s *scene) {
		a := s.client("a")
		a.create("q", nil)
		a.create("answers", nil)
		long := strings.Repeat("k", 256)
		for what, bad := range map[string]*pb.SendRequest{
			"no key":       {Queue: "q", KeyTtlMs: 5000},
			"short ttl":    {Queue: "q", Key: "k", KeyTtlMs: 999},
			"long ttl":     {Queue: "q", Key: "k", KeyTtlMs: 86_400_001},
			"negative ttl": {Queue: "q", Key: "k", KeyTtlMs: -1},
			"long key":     {Queue: "q", Key: long},
			"control":      {Queue: "q", Key: "a\nb"},
			"named":        {Queue: "q", Key: "k", ReplyTo: "answers", CorrelationId: "1"},
			"stream":       {Queue: "q", Key: "k", ReplyTo: a.temporary(), CorrelationId: "1", Stream: true},
			"temporary":    {Queue: a.temporary(), Key: "k"},
		} {
			if f := a.refused(bad, codes.InvalidArgument, pb.Reason_REASON_INVALID); f.GetMessage() == "" {
				s.Errorf("%s: no text", what)
			}
		}
	}},
}

// keyRestarts end the switch and start it again.
var keyRestarts = []contract{
	{name: "K_a_call_that_waits_goes_on_for_all", play: func(s *scene) {
		a, b := s.client("a"), s.client("b")
		a.create("q", nil)
		first := a.keyed("q", a.temporary(), "1", "k")
		atB := b.temporary()
		b.keyed("q", atB, "2", "k")
		s.again(&a, &b)
		if ps := a.session.GetPending(); len(ps) != 1 || ps[0].GetCorrelationId() != "1" {
			s.Errorf("the first caller's are %v", ps)
		}
		if ps := b.session.GetPending(); len(ps) != 0 {
			s.Errorf("who joined is remembered: %v; then docs/keys.md is wrong", ps)
		}
		again := b.keyed("q", atB, "2", "k") // so it joins again
		if !again.GetJoined() || again.GetMessageId() != first.GetMessageId() {
			s.Errorf("after the restart: %v", again)
		}
		w := s.client("w")
		w.subscribe("q", 10)
		w.reply(w.getsOne("pay", 1), "done")
		a.bound(1).isAnswered("1", "done")
		b.bound(1).isAnswered("2", "done")
	}},
	{name: "K_a_reply_is_there_and_the_request_is_not", play: func(s *scene) {
		a, w := s.client("a"), s.client("w")
		a.create("q", nil)
		w.subscribe("q", 10)
		id := a.keyed("q", "", "", "k").GetMessageId()
		fails := a.keyed("q", "", "", "fails").GetMessageId()
		ds := w.gets("pay", "pay")
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: ds[0].GetLease(), Body: []byte("done"), Headers: map[string]string{"h": "v"}})
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: ds[1].GetLease(), Failure: &pb.Failure{Code: int32(codes.DataLoss), Message: "torn"}})
		s.again()
		b := s.client("b")
		at := b.temporary()
		must[*pb.JoinResponse](b, &pb.JoinRequest{MessageId: id, ReplyTo: at, CorrelationId: "1"})
		if d := b.getsOne("done", 1); d.GetHeaders()["h"] != "v" {
			s.Errorf("the reply is %v", d)
		}
		must[*pb.JoinResponse](b, &pb.JoinRequest{MessageId: fails, ReplyTo: at, CorrelationId: "2"})
		b.isTold("2", codes.DataLoss, pb.Reason_REASON_UNSPECIFIED)
		if s.waiting("q")+s.leased("q") != 0 {
			s.Error("the request is there as well")
		}
		s.pass(11 * time.Minute)
		s.again()
		b = s.client("late")
		b.refused(&pb.JoinRequest{MessageId: id, ReplyTo: b.temporary(), CorrelationId: "1"}, codes.NotFound, pb.Reason_REASON_CALL_NOT_FOUND)
	}},
	{name: "K_a_sequence_that_is_sent_again_still_waits", play: func(s *scene) {
		a := s.login(&pb.LoginRequest{Name: "a", TtlMs: time.Hour.Milliseconds(), GraceMs: time.Hour.Milliseconds(), Producer: []byte("p")})
		a.create("q", nil)
		at := a.temporary()
		req := &pb.SendRequest{Queue: "q", ReplyTo: at, CorrelationId: "1", Body: []byte("pay"), Key: "k", Sequence: 1}
		must[*pb.SendResponse](a, req)
		w := s.client("w")
		w.subscribe("q", 10)
		w.reply(w.take(), "done") // a has it, and a crash may come before it is read
		s.again(&a)
		if res := must[*pb.SendResponse](a, req); !res.GetJoined() {
			s.Errorf("sent again: %v", res)
		}
		a.bound(1).isAnswered("1", "done")
	}},
}
