package server_test

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// withLease are all the verbs that end or move a lease.
func withLease(lease uint64) []proto.Message {
	return []proto.Message{
		&pb.AckRequest{Leases: []uint64{lease}},
		&pb.NackRequest{Leases: []uint64{lease}},
		&pb.NackRequest{Leases: []uint64{lease}, Kind: pb.NackKind_NACK_KIND_RELEASE},
		&pb.NackRequest{Leases: []uint64{lease}, Kind: pb.NackKind_NACK_KIND_REJECT},
		&pb.ExtendRequest{Leases: []uint64{lease}},
		&pb.ReplyRequest{Lease: lease},
	}
}

// cannotUse says that a lease is of no use to p.
func (p *party) cannotUse(lease uint64, code codes.Code, reason pb.Reason) {
	p.Helper()
	for _, verb := range withLease(lease) {
		p.refused(verb, code, reason)
	}
}

// G3: a stale lease can't ack, extend or reply, and a foreign one neither.
var staleContracts = []contract{
	{name: "G3_a_lease_that_timed_out_is_of_no_use", play: func(s *scene) {
		p, late, next := s.client("p"), s.client("late"), s.client("next")
		p.create("q", nil)
		p.request("q", p.temporary(), "1")
		consumer := late.subscribe("q", 1)
		stale := late.getsOne("1", 1)
		late.unsubscribe(consumer)
		late.soonEnds(stale)
		next.subscribe("q", 1)
		d := next.getsOne("1", 2)
		late.cannotUse(stale.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		late.cannotUse(d.GetLease(), codes.PermissionDenied, pb.Reason_REASON_LEASE_NOT_YOURS)
		next.reply(d, "done") // its holder can
		p.gets("done")
		p.getsNothing()
	}},
	{name: "G3_a_lease_that_was_acked_is_of_no_use", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		p.subscribe("q", 1)
		d := p.take()
		p.ack(d)
		p.cannotUse(d.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		p.cannotUse(d.GetLease()+1, codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE) // nor one that never was
	}},
	{name: "G3_a_lease_that_was_nacked_is_of_no_use", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1")
		consumer := p.subscribe("q", 1)
		d := p.take()
		p.unsubscribe(consumer)
		p.retry(d)
		p.cannotUse(d.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		if s.waiting("q") != 1 {
			s.Error("the message is gone")
		}
	}},
	{name: "G3_a_lease_of_an_ended_session_is_of_no_use", play: func(s *scene) {
		p, late := s.client("p"), s.client("late")
		p.create("q", nil)
		p.send("q", "1")
		late.subscribe("q", 1)
		d := late.take()
		late.logout()
		p.cannotUse(d.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
		if s.waiting("q") != 1 {
			s.Error("the message is gone")
		}
	}},
	{name: "G3_of_a_list_the_good_leases_are_done", play: func(s *scene) {
		p, other := s.client("p"), s.client("other")
		p.create("q", nil)
		p.send("q", "1", "2", "3", "4")
		p.subscribe("q", 3)
		ds := p.gets("1", "2", "3")
		other.subscribe("q", 1)
		theirs := other.gets("4")[0].GetLease()
		p.ack(ds[0])
		res := must[*pb.AckResponse](p, &pb.AckRequest{Leases: append(leasesOf(ds), theirs)})
		fs := res.GetFailures()
		if res.GetAcked() != 2 || len(fs) != 2 {
			s.Fatalf("acked %d, refused %v", res.GetAcked(), fs)
		}
		if fs[0].GetLease() != ds[0].GetLease() || fs[0].GetFailure().GetReason() != pb.Reason_REASON_LEASE_GONE {
			s.Errorf("the first failure is %v", fs[0])
		}
		if fs[1].GetLease() != theirs || codes.Code(fs[1].GetFailure().GetCode()) != codes.PermissionDenied {
			s.Errorf("the second failure is %v", fs[1])
		}
		if s.leased("q") != 1 {
			s.Errorf("%d leases are left, want the other's", s.leased("q"))
		}
	}},
}
