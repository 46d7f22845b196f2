package server_test

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// within is a request that is worth delivering for a while.
func (p *party) within(queue, replyTo, body string, d time.Duration) {
	p.Helper()
	must[*pb.SendResponse](p, &pb.SendRequest{Queue: queue, ReplyTo: replyTo, CorrelationId: body, Body: []byte(body), TimeoutMs: d.Milliseconds()})
}

// G6.
var deadlineContracts = []contract{
	{name: "G6_the_remaining_time_travels", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.within("q", p.temporary(), "c", 10*time.Second)
		s.pass(3 * time.Second)
		w := s.client("w")
		w.subscribe("q", 1)
		if d := w.take(); d.GetTimeoutMs() != 7000 {
			s.Errorf("the handler has %d ms, want 7000", d.GetTimeoutMs())
		}
	}},
	{name: "G6_an_expired_request_is_never_delivered", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		replies := p.temporary()
		p.within("q", replies, "late", 50*time.Millisecond)
		p.within("q", replies, "good", time.Hour)
		s.has(p.isTold("late", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED).GetMessage(), "50ms", `"q"`)
		w.subscribe("q", 10)
		w.gets("good")
		w.getsNothing()
		if c := s.describe("q").GetCounters(); c.GetExpired() != 1 || c.GetDead() != 0 {
			s.Errorf("q counted %v", c)
		}
	}},
	{name: "G6_a_caller_is_told_at_its_deadline", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.within("q", p.temporary(), "c", 5*time.Second)
		s.pass(4999 * time.Millisecond)
		p.getsNothing()
		s.pass(time.Millisecond)
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
	}},
	{name: "G6_a_queue_may_bound_the_wait", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", &pb.QueueOptions{MaxAgeMs: 5000})
		p.send("q", "old")
		replies := p.temporary()
		p.within("q", replies, "short", 2*time.Second)
		p.within("q", replies, "long", time.Hour)
		s.pass(2 * time.Second)
		p.isTold("short", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		s.pass(3 * time.Second)
		p.isTold("long", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		w.subscribe("q", 10)
		w.getsNothing()
	}},
	{name: "G6_no_timeout_is_for_ever", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "patient")
		s.pass(24 * time.Hour)
		w := s.client("w")
		w.subscribe("q", 1)
		if d := w.getsOne("patient", 1); d.GetTimeoutMs() != 0 {
			s.Errorf("it expires in %d ms", d.GetTimeoutMs())
		}
	}},
	{name: "G6_time_runs_out_during_a_retry_delay", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.within("q", p.temporary(), "c", 5*time.Second)
		w.subscribe("q", 1)
		must[*pb.NackResponse](w, &pb.NackRequest{Leases: leasesOf(w.gets("c")), DelayMs: 60_000})
		s.pass(5 * time.Second)
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
	}},
	{name: "G6_what_expired_in_a_servers_hands_is_not_tried_again", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", &pb.QueueOptions{LeaseMs: 10_000})
		p.within("q", p.temporary(), "c", 5*time.Second)
		w.subscribe("q", 1)
		w.gets("c")
		s.pass(10 * time.Second)
		w.getsNothing()
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
	}},
	{name: "G6_what_expires_as_a_server_gets_free_is_late", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", &pb.QueueOptions{LeaseMs: 5000, MaxAttempts: 1, NoDeadLetter: true})
		replies := p.temporary()
		p.send("q", "busy")
		w.subscribe("q", 1)
		w.gets("busy")
		p.within("q", replies, "c", 5*time.Second)
		s.pass(5 * time.Second) // both end in one instant
		w.getsNothing()
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
	}},
	{name: "G6_a_deadline_ends_what_is_running", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.within("q", p.temporary(), "c", 5*time.Second)
		w.subscribe("q", 1)
		d := w.take()
		s.pass(4999 * time.Millisecond)
		p.getsNothing()
		s.pass(time.Millisecond) // the lease of 30 s goes on
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		w.isCancelled(d)
		w.extends(d, d.GetLease())
		w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
	}},
	{name: "G6_a_deadline_ends_the_tree", fake: true, play: func(s *scene) {
		p, mid, w := s.client("p"), s.client("mid"), s.client("w")
		p.create("q", nil)
		p.create("r", nil)
		p.within("q", p.temporary(), "c", 5*time.Second)
		mid.subscribe("q", 1)
		d := mid.take()
		must[*pb.SendResponse](mid, &pb.SendRequest{Queue: "r", ReplyTo: mid.temporary(), CorrelationId: "child", Parent: d.GetMessageId()})
		w.subscribe("r", 1)
		child := w.take()
		s.pass(5 * time.Second)
		p.isTold("c", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		w.isCancelled(child)
	}},
	{name: "G6_cancel_withdraws_what_is_queued", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		replies := p.temporary()
		p.request("q", replies, "1")
		p.request("q", replies, "2")
		p.cancelled(replies, "1", pb.CancelState_CANCEL_STATE_WITHDRAWN)
		p.cancelled(replies, "1", pb.CancelState_CANCEL_STATE_UNKNOWN)
		w.subscribe("q", 10)
		w.gets("2")
		w.getsNothing()
		p.getsNothing()
	}},
	{name: "G6_cancel_reaches_what_is_running", play: func(s *scene) {
		caller, w, d := aCall(s)
		caller.cancelled(d.GetReplyTo(), "c", pb.CancelState_CANCEL_STATE_RUNNING)
		caller.cancelled(d.GetReplyTo(), "c", pb.CancelState_CANCEL_STATE_UNKNOWN)
		w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
		caller.getsNothing()
	}},
	{name: "G6_cancel_is_told_to_who_runs_it", play: func(s *scene) {
		caller, w, d := aCall(s)
		w.isNotCancelled()
		caller.cancelled(d.GetReplyTo(), "c", pb.CancelState_CANCEL_STATE_RUNNING)
		w.isCancelled(d)
		w.isNotCancelled() // once is enough
		w.extends(d, d.GetLease())
		w.ack(d)
	}},
	{name: "G6_an_extension_tells_of_a_cancel", play: func(s *scene) {
		caller, w, d := aCall(s)
		w.extends(d)
		caller.logout()
		w.extends(d, d.GetLease())
		w.ack(d)
	}},
	{name: "G6_a_callers_end_is_told_to_who_runs_its_request", play: func(s *scene) {
		caller, w, d := aCall(s)
		caller.logout()
		w.isCancelled(d)
		w.refused(&pb.ReplyRequest{Lease: d.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
	}},
	{name: "G6_a_cancel_is_told_again_to_who_resumes", play: func(s *scene) {
		caller, w, d := aCall(s)
		caller.cancelled(d.GetReplyTo(), "c", pb.CancelState_CANCEL_STATE_RUNNING)
		w.isCancelled(d)
		if err := w.rebind(s.Context(), d.GetConsumer(), d.GetLease()); err != nil {
			s.Fatal(err)
		}
		began := time.Now()
		if got := w.nextCancelled(100 * time.Millisecond); got != d.GetLease() {
			s.Errorf("told of lease %d, want %d", got, d.GetLease())
		}
		if took := time.Since(began); w.form.name == "unary" && took < 100*time.Millisecond {
			s.Errorf("what is told again has ended the wait after %v", took)
		}
		w.ack(d)
		if err := w.rebind(s.Context(), d.GetConsumer(), d.GetLease()); err != nil {
			s.Fatal(err)
		}
		w.isNotCancelled()
	}},
	{name: "G6_cancel_is_for_ones_own_requests", play: func(s *scene) {
		caller, w, d := aCall(s)
		w.refused(&pb.CancelRequest{ReplyTo: d.GetReplyTo(), CorrelationId: "c"}, codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
		caller.refused(&pb.CancelRequest{ReplyTo: "q", CorrelationId: "c"}, codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
		caller.refused(&pb.CancelRequest{ReplyTo: "tmp.gone", CorrelationId: "c"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		w.reply(d, "yes")
		caller.gets("yes")
	}},
}

// isCancelled says that p is told of the end of a delivery's caller.
func (p *party) isCancelled(d *pb.Delivery) {
	p.Helper()
	if got := p.nextCancelled(patience); got != d.GetLease() {
		p.Fatalf("%s was told of lease %d, want %d", p.name, got, d.GetLease())
	}
}

// extends extends a lease, and is told of these as cancelled.
func (p *party) extends(d *pb.Delivery, cancelled ...uint64) {
	p.Helper()
	res := must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}})
	if res.GetExtended() != 1 || !slices.Equal(res.GetCancelled(), cancelled) {
		p.Errorf("the extension says %v, want %v as cancelled", res, cancelled)
	}
}

func (p *party) isNotCancelled() {
	p.Helper()
	if got := p.nextCancelled(100 * time.Millisecond); got != 0 {
		p.Fatalf("%s was told of lease %d", p.name, got)
	}
}

func (p *party) nextCancelled(wait time.Duration) uint64 {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), wait+patience)
	defer cancel()
	lease, err := p.orphan(ctx, wait)
	if err != nil {
		p.Fatalf("%s waits for a cancel: %v", p.name, err)
	}
	return lease
}

func (p *party) cancelled(replyTo, correlation string, want pb.CancelState) {
	p.Helper()
	if got := must[*pb.CancelResponse](p, &pb.CancelRequest{ReplyTo: replyTo, CorrelationId: correlation}).GetState(); got != want {
		p.Errorf("cancelling %s says %v, want %v", correlation, got, want)
	}
}
