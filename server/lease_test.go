package server_test

import (
	"slices"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// soonEnds makes the least lease of what p holds.
func (p *party) soonEnds(d *pb.Delivery) {
	p.Helper()
	must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}, LeaseMs: 100})
}

// G3: one holder at a time, and back to its place.
var leaseContracts = []contract{
	{name: "G3_one_holder_at_a_time", play: func(s *scene) {
		p, a, b := s.client("p"), s.client("a"), s.client("b")
		p.create("q", nil)
		p.send("q", "1")
		a.subscribe("q", 10)
		a.getsOne("1", 1)
		b.subscribe("q", 10)
		b.getsNothing()
		a.getsNothing()
	}},
	{name: "G3_competing_consumers_share", play: func(s *scene) {
		p, a, b := s.client("p"), s.client("a"), s.client("b")
		p.create("q", nil)
		a.subscribe("q", 2)
		b.subscribe("q", 2)
		p.send("q", "1", "2", "3", "4")
		var got []string
		for _, w := range []*party{a, b} {
			for range 2 {
				got = append(got, string(w.take().GetBody()))
			}
			w.getsNothing()
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"1", "2", "3", "4"}) {
			s.Errorf("together they got %q", got)
		}
	}},
	{name: "G3_a_delivery_says_its_lease_and_attempt", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{LeaseMs: 20_000})
		id := p.send("q", "1")[0]
		s.pass(3 * time.Second)
		consumer := p.subscribe("q", 1)
		d := p.getsOne("1", 1)
		if d.GetLeaseMs() != 20_000 || d.GetAgeMs() != 3000 || d.GetMessageId() != id || d.GetQueue() != "q" || d.GetConsumer() != consumer || d.GetLease() == 0 {
			s.Errorf("the delivery is %v", d)
		}
	}},
	{name: "G3_lease_end_returns_to_place", play: func(s *scene) {
		p, first, second := s.client("p"), s.client("first"), s.client("second")
		p.create("q", nil)
		p.send("q", "1", "2", "3")
		consumer := first.subscribe("q", 1)
		d := first.getsOne("1", 1)
		first.unsubscribe(consumer)
		first.soonEnds(d)
		s.until("the lease ends", func() bool { return s.leased("q") == 0 })
		second.subscribe("q", 10)
		second.getsOne("1", 2)
		second.gets("2", "3")
	}},
	{name: "G3_a_lease_lasts_as_long_as_it_says", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		consumer := must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Queue: "q", LeaseMs: 5000}).GetConsumer()
		p.take()
		p.unsubscribe(consumer)
		s.pass(4999 * time.Millisecond)
		if s.leased("q") != 1 {
			s.Error("the lease ended early")
		}
		s.pass(time.Millisecond)
		if s.leased("q") != 0 {
			s.Error("the lease goes on")
		}
	}},
	{name: "G3_extend_moves_the_deadline", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{LeaseMs: 10_000})
		p.send("q", "1")
		consumer := p.subscribe("q", 1)
		d := p.take()
		p.unsubscribe(consumer)
		for range 3 { // zero means the consumer's own lease
			s.pass(9 * time.Second)
			must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}})
		}
		must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}, LeaseMs: 60_000})
		s.pass(59 * time.Second)
		if s.leased("q") != 1 {
			s.Error("the lease ended early")
		}
		must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}, LeaseMs: 100}) // shorter is allowed, too
		s.pass(100 * time.Millisecond)
		if s.leased("q") != 0 {
			s.Error("the lease goes on")
		}
	}},
	{name: "G3_session_end_returns_to_place", play: func(s *scene) {
		p, second := s.client("p"), s.client("second")
		first := s.login(&pb.LoginRequest{Name: "first", TtlMs: 1000, GraceMs: 100})
		p.create("q", nil)
		p.send("q", "1", "2", "3")
		first.subscribe("q", 2)
		first.gets("1", "2")
		first.dies()
		s.until("the leases end", func() bool { return s.leased("q") == 0 })
		second.subscribe("q", 10)
		second.getsOne("1", 2)
		second.getsOne("2", 2)
		second.getsOne("3", 1)
	}},
	{name: "G3_logout_returns_uncounted", play: func(s *scene) {
		p, first, second := s.client("p"), s.client("first"), s.client("second")
		p.create("q", nil)
		p.send("q", "1", "2")
		first.subscribe("q", 1)
		first.getsOne("1", 1)
		first.logout()
		second.subscribe("q", 2)
		second.getsOne("1", 1)
		second.getsOne("2", 1)
	}},
	{name: "G3_unsubscribe_keeps_leases", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", "1", "2", "3")
		consumer := w.subscribe("q", 2)
		ds := w.gets("1", "2")
		w.unsubscribe(consumer)
		if s.leased("q") != 2 {
			s.Errorf("%d leases, want 2", s.leased("q"))
		}
		w.ack(ds[0])
		res := must[*pb.AckResponse](w, &pb.AckRequest{Consumer: consumer, Through: ds[1].GetLease()})
		if res.GetAcked() != 1 || s.waiting("q") != 1 || s.leased("q") != 0 {
			s.Errorf("acked %d; the queue has %v", res.GetAcked(), s.describe("q").GetSummary())
		}
	}},
	{name: "G3_ack_through_acks_all_up_to_one", play: func(s *scene) {
		p, w, other := s.client("p"), s.client("w"), s.client("other")
		p.create("q", nil)
		p.send("q", "1", "2", "3", "4")
		consumer := w.subscribe("q", 3)
		ds := w.gets("1", "2", "3")
		other.subscribe("q", 1)
		other.gets("4")
		res := must[*pb.AckResponse](w, &pb.AckRequest{Consumer: consumer, Through: ds[1].GetLease()})
		if res.GetAcked() != 2 || s.leased("q") != 2 {
			s.Errorf("acked %d, %d are left", res.GetAcked(), s.leased("q"))
		}
		w.ack(ds[2])
	}},
}

// G3: what a server may say instead of an ack.
var nackContracts = []contract{
	{name: "G3_retry_returns_to_place_and_counts", play: func(s *scene) {
		p, first, second := s.client("p"), s.client("first"), s.client("second")
		p.create("q", nil)
		p.send("q", "1", "2", "3")
		consumer := first.subscribe("q", 2)
		ds := first.gets("1", "2")
		first.unsubscribe(consumer)
		first.retry(ds[1])
		first.retry(ds[0])
		second.subscribe("q", 10)
		second.getsOne("1", 2)
		second.getsOne("2", 2)
		second.getsOne("3", 1)
	}},
	{name: "G3_release_does_not_count", play: func(s *scene) {
		p := s.client("p")
		p.create("q", &pb.QueueOptions{MaxAttempts: 1})
		p.send("q", "1")
		p.subscribe("q", 1)
		for range 5 {
			p.release(p.getsOne("1", 1))
		}
	}},
	{name: "G3_retry_may_wait", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1", "2")
		p.subscribe("q", 1)
		d := p.getsOne("1", 1)
		must[*pb.NackResponse](p, &pb.NackRequest{Leases: []uint64{d.GetLease()}, DelayMs: 5000})
		if sum := s.describe("q").GetSummary(); sum.GetDelayed() != 1 {
			s.Errorf("the queue has %v", sum)
		}
		p.ack(p.getsOne("2", 1)) // others pass it meanwhile
		s.pass(4999 * time.Millisecond)
		p.getsNothing()
		s.pass(time.Millisecond)
		p.getsOne("1", 2)
	}},
	{name: "G3_unspecified_nack_is_retry", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		p.subscribe("q", 1)
		p.nack(pb.NackKind_NACK_KIND_UNSPECIFIED, p.getsOne("1", 1))
		p.getsOne("1", 2)
	}},
}
