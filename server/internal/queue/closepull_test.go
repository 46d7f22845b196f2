package queue_test

import (
	"testing"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// TestAnAnswerThatIsLost has two polls of one session: the first one's answer does
// not get through, and goes back; but not once the second has asked for it.
func TestAnAnswerThatIsLost(t *testing.T) {
	for _, after := range []queue.Lease{0, 1} {
		s, fx := queue.New(1, queue.Limits{}), &queue.Effects{}
		apply := func(op queue.Op) {
			t.Helper()
			if err := s.Apply(1e9, op, fx); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
		}
		apply(&queue.Login{Session: 1})
		apply(&queue.Create{Session: 1, Queue: "q"})
		apply(&queue.Send{Session: 1, Queue: "q"})
		apply(&queue.Subscribe{Session: 1, Queue: "q"})
		apply(&queue.Pull{Session: 1, Sink: "first"})
		lease := fx.Deliveries[0].Lease
		apply(&queue.Pull{Session: 1, Sink: "second", AfterLease: after})
		repeated := len(fx.Deliveries) == 1
		apply(&queue.ClosePull{Session: 1, Sink: "first", Release: []queue.Lease{lease, 99}})
		anew := len(fx.Deliveries) == 1 && fx.Deliveries[0].Sink == "second" && fx.Deliveries[0].Lease != lease
		if repeated != (after == 1) || anew == repeated {
			t.Errorf("after lease %d: repeated %v, delivered anew %v", after, repeated, anew)
		}
		if ack := s.Apply(1e9, &queue.Ack{Session: 1, Leases: []queue.Lease{lease}}, fx); (ack == nil) != repeated {
			t.Errorf("after lease %d: %v", after, ack)
		}
	}
}

// A cancel that did not get through is told again.
func TestClosePullKeepsCancelsThatDidNotArrive(t *testing.T) {
	s := queue.New(1, queue.Limits{})
	var fx queue.Effects
	apply := func(op queue.Op) *queue.Effects {
		t.Helper()
		if err := s.Apply(1, op, &fx); err != nil {
			t.Fatalf("%T: %v", op, err)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%T: %v", op, err)
		}
		return &fx
	}
	apply(&queue.Login{Session: 1})
	apply(&queue.Login{Session: 2})
	apply(&queue.Create{Session: 1, Queue: "q"})
	apply(&queue.Create{Session: 2, Queue: "tmp.r", Temporary: true})
	apply(&queue.Subscribe{Session: 1, Queue: "q"})
	apply(&queue.Send{Session: 2, Queue: "q", ReplyTo: "tmp.r", CorrelationID: "1"})
	lease := apply(&queue.Pull{Session: 1, Sink: "first"}).Deliveries[0].Lease
	if got := apply(&queue.Cancel{Session: 2, ReplyTo: "tmp.r", CorrelationID: "1"}).Cancelled; len(got) != 1 || got[0].Lease != lease || got[0].Again {
		t.Fatalf("the pull was told %+v", got)
	}
	apply(&queue.ClosePull{Session: 1, Sink: "first", Untold: []queue.Lease{lease, 99}})
	if got := apply(&queue.Pull{Session: 1, Sink: "second"}).Cancelled; len(got) != 1 || got[0].Lease != lease || got[0].Again {
		t.Fatalf("the second pull was told %+v", got)
	}
	apply(&queue.ClosePull{Session: 1, Sink: "second"})
	if got := apply(&queue.Pull{Session: 1, Sink: "third"}).Cancelled; len(got) != 0 {
		t.Fatalf("the third pull was told %+v", got)
	}
	apply(&queue.ClosePull{Session: 1, Sink: "third"})
	if got := apply(&queue.Pull{Session: 1, Sink: "fourth", AfterLease: lease}).Cancelled; len(got) != 1 || !got[0].Again {
		t.Fatalf("the fourth pull was told %+v", got)
	}
}
