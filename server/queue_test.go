package server_test

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// G8.
var idContracts = []contract{
	{name: "G8_ids_are_never_used_again", play: func(s *scene) {
		p := s.client("p")
		seen := map[string]bool{}
		for range 5 {
			p.create("q", nil)
			for _, id := range p.send("q", "1", "2") {
				if seen[id] || id == "" {
					s.Errorf("the id %q was used before", id)
				}
				seen[id] = true
			}
			must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		}
	}},
	{name: "G8_a_late_ack_misses_a_new_message", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "old")
		p.subscribe("q", 1)
		old := p.take()
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		p.create("q", nil)
		p.send("q", "new")
		fresh := p.subscribe("q", 1)
		d := p.getsOne("new", 1)
		p.cannotUse(old.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		if d.GetLease() == old.GetLease() || d.GetMessageId() == old.GetMessageId() || fresh == old.GetConsumer() {
			s.Errorf("%v has something of %v", d, old)
		}
		p.ack(d)
	}},
	{name: "G8_leases_rise", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		p.subscribe("q", 1)
		last := uint64(0)
		for range 5 {
			d := p.take()
			if d.GetLease() <= last {
				s.Errorf("lease %d comes after %d", d.GetLease(), last)
			}
			last = d.GetLease()
			p.release(d)
		}
	}},
	{name: "G8_temporary_queues_never_share_a_name", play: func(s *scene) {
		p, seen := s.client("p"), map[string]bool{}
		for range 20 {
			name := must[*pb.CreateResponse](p, &pb.CreateRequest{}).GetQueue()
			if seen[name] || len(name) < len("tmp.")+26 || !strings.HasPrefix(name, "tmp.") {
				s.Errorf("a name is %q", name)
			}
			seen[name] = true
			must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: name})
		}
	}},
}

// The queues themselves (DESIGN §4).
var queueContracts = []contract{
	{name: "Create_is_idempotent", play: func(s *scene) {
		p := s.client("p")
		o := &pb.QueueOptions{MaxMessages: 7, LeaseMs: 5000}
		first := must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: "q", Options: o})
		again := must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: "q", Options: o})
		bare := must[*pb.CreateResponse](p, &pb.CreateRequest{Queue: "q"}) // zero is not compared
		if !first.GetCreated() || again.GetCreated() || bare.GetCreated() || !proto.Equal(first.GetOptions(), bare.GetOptions()) {
			s.Errorf("%v, %v, %v", first, again, bare)
		}
	}},
	{name: "Create_with_other_options_is_refused", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxMessages: 7})
		f := p.refused(&pb.CreateRequest{Queue: "q", Options: &pb.QueueOptions{MaxMessages: 8}}, codes.FailedPrecondition, pb.Reason_REASON_QUEUE_EXISTS)
		s.has(f.GetMessage(), `"q"`, "max_messages")
		if f.GetMetadata()["option"] != "max_messages" || f.GetMetadata()["queue"] != "q" {
			s.Errorf("the details are %v", f.GetMetadata())
		}
	}},
	{name: "Create_fills_in_defaults", play: func(s *scene) {
		got := must[*pb.CreateResponse](s.client("p"), &pb.CreateRequest{Queue: "q"}).GetOptions()
		want := &pb.QueueOptions{Durability: s.durability(), MaxMessages: 1_000_000, MaxBytes: 1 << 30,
			Overflow: pb.Overflow_OVERFLOW_REJECT, MaxAttempts: 5, DeadLetterQueue: "q.dead", LeaseMs: 30_000}
		if !proto.Equal(got, want) {
			s.Errorf("the options are %v, want %v", got, want)
		}
	}},
	{name: "Send_to_a_missing_queue_is_not_found", play: func(s *scene) {
		p := s.client("p")
		f := p.refused(&pb.SendRequest{Queue: "tpyo"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		s.has(f.GetMessage(), `"tpyo"`)
		if f.GetMetadata()["queue"] != "tpyo" {
			s.Errorf("the details are %v", f.GetMetadata())
		}
	}},
	{name: "Send_may_make_the_queue", play: func(s *scene) {
		p := s.client("p")
		for range 2 { // the second time it is there, and the options do not matter
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Create: &pb.QueueOptions{MaxMessages: 10}})
		}
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Create: &pb.QueueOptions{MaxMessages: 20}})
		if d := s.describe("q"); d.GetSummary().GetWaiting() != 3 || d.GetOptions().GetMaxMessages() != 10 {
			s.Errorf("the queue is %v", d)
		}
	}},
	{name: "Subscribe_may_make_the_queue", play: func(s *scene) {
		p := s.client("p")
		p.refused(&pb.SubscribeRequest{Queue: "q"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Queue: "q", Create: &pb.QueueOptions{}})
		p.send("q", "1")
		p.gets("1")
	}},
	{name: "Destroy_ends_its_consumers", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		consumer := w.subscribe("q", 1)
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		w.refused(&pb.UnsubscribeRequest{Consumer: consumer}, codes.NotFound, pb.Reason_REASON_CONSUMER_NOT_FOUND)
		p.refused(&pb.DestroyRequest{Queue: "q"}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
	}},
	{name: "Any_printable_name_will_do", play: func(s *scene) {
		p := s.client("p")
		for _, name := range []string{"a/b", "50%", "a b", "ä€😀", "..", "-", "TMP.x", "tmp", strings.Repeat("x", 250)} {
			p.create(name, nil)
			p.send(name, "1")
			p.subscribe(name, 1)
			p.ack(p.gets("1")...)
		}
	}},
	{name: "Require_consumer_fails_at_once_when_nobody_serves", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		send := &pb.SendRequest{Queue: "q", Body: []byte("1"), RequireConsumer: true}
		f := p.refused(send, codes.Unavailable, pb.Reason_REASON_NO_CONSUMER)
		s.has(f.GetMessage(), `"q"`)
		p.refused(&pb.SendRequest{Queue: "new", RequireConsumer: true, Create: &pb.QueueOptions{}}, codes.Unavailable, pb.Reason_REASON_NO_CONSUMER)
		if s.isThere("new") {
			s.Error("the queue was made for nothing")
		}
		w.subscribe("q", 1)
		must[*pb.SendResponse](p, send)
		w.gets("1")
	}},
	{name: "Require_consumer_fails_when_the_last_consumer_goes", play: func(s *scene) {
		p, a, b := s.client("p"), s.client("a"), s.client("b")
		p.create("q", nil)
		replies := p.temporary()
		first, _ := a.subscribe("q", 1), b.subscribe("q", 1)
		for _, c := range []string{"1", "2", "3"} {
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", ReplyTo: replies, CorrelationId: c, RequireConsumer: true})
		}
		a.take()
		b.take() // the third waits
		a.unsubscribe(first)
		p.getsNothing() // b is there
		b.logout()
		told := map[string]bool{}
		for range 2 { // b's went back, and waits in vain as well
			d := p.take()
			if d.GetFailure().GetReason() != pb.Reason_REASON_NO_CONSUMER {
				s.Errorf("told %v", d)
			}
			told[d.GetCorrelationId()] = true
		}
		p.getsNothing() // a's is still running
		if !told["3"] {
			s.Errorf("told of %v", told)
		}
	}},
	{name: "Require_consumer_fails_when_the_last_session_goes", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		w.subscribe("q", 1)
		p.send("q", "keeps w busy")
		w.take()
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", ReplyTo: p.temporary(), CorrelationId: "c", RequireConsumer: true})
		w.logout()
		s.has(p.isTold("c", codes.Unavailable, pb.Reason_REASON_NO_CONSUMER).GetMessage(), `"q"`)
		if s.waiting("q") != 1 {
			s.Error("what requires nobody does not wait")
		}
	}},
}
