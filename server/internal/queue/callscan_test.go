package queue_test

import (
	"strconv"
	"testing"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// A scan keeps what is a call of all that is leased, and meets it oldest first, be it
// ordered between two steps or not.
func TestCallScanOfLeased(t *testing.T) {
	const plain, calls = 2000, 50
	s := queue.New(0, queue.Limits{})
	var fx queue.Effects
	apply := func(op queue.Op) {
		if err := s.Apply(1, op, &fx); err != nil {
			t.Fatal(err)
		}
	}
	apply(&queue.Login{Session: 1})
	apply(&queue.Create{Session: 1, Queue: "q"})
	apply(&queue.Create{Session: 1, Queue: "tmp.a", Temporary: true})
	apply(&queue.Subscribe{Session: 1, Queue: "q", Credit: plain + calls, Sink: 1})
	for i := range plain + calls {
		op := &queue.Send{Session: 1, Queue: "q"}
		if i%(plain/calls) == 0 && i < plain {
			op.ReplyTo, op.CorrelationID = "tmp.a", strconv.Itoa(i)
		}
		apply(op)
		if i%3 == 0 { // it comes back behind younger ones
			apply(&queue.Nack{Session: 1, Leases: []queue.Lease{fx.Deliveries[0].Lease}, Kind: queue.Release})
		}
	}
	for _, order := range []bool{true, false} {
		scan, last, steps, met := queue.CallScan{}, queue.ID{}, 0, 0
		for more := true; more; steps++ {
			more = scan.Next(s, 10, func(m *queue.Message) {
				if met++; !last.Before(m.ID) {
					t.Errorf("call %v comes after %v", m.ID, last)
				}
				last = m.ID
			})
			if order {
				scan.Order()
			}
		}
		if met != calls || steps > calls/10+3 {
			t.Errorf("%d calls of %d were met in %d steps of 10 messages", met, calls, steps)
		}
	}
}
