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
