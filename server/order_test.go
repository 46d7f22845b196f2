package server_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

var zero server.Config

func countTo(n int) (bodies []string) {
	for i := range n {
		bodies = append(bodies, fmt.Sprint(i+1))
	}
	return bodies
}

// G4.
var orderContracts = []contract{
	{name: "G4_first_deliveries_come_in_the_order_of_the_sends", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", countTo(20)...)
		w.subscribe("q", 50)
		p.send("q", "21", "22")
		w.gets(countTo(22)...)
	}},
	{name: "G4_two_senders_in_the_order_of_their_answers", play: func(s *scene) {
		a, b, w := s.client("a"), s.client("b"), s.client("w")
		a.create("q", nil)
		for i := 1; i < 20; i += 2 {
			a.send("q", fmt.Sprint(i))
			b.send("q", fmt.Sprint(i+1))
		}
		w.subscribe("q", 50)
		w.gets(countTo(20)...)
	}},
	{name: "G4_what_returned_comes_before_what_waits", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", countTo(6)...)
		consumer := w.subscribe("q", 4)
		ds := w.gets("1", "2", "3", "4")
		w.unsubscribe(consumer)
		w.release(ds[3], ds[1])
		w.subscribe("q", 10)
		w.gets("2", "4", "5", "6")
		w.ack(ds[0], ds[2])
	}},
	{name: "G4_queues_do_not_mix", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		for _, q := range []string{"q", "r"} {
			p.create(q, nil)
		}
		w.subscribe("q", 10)
		w.subscribe("r", 10)
		for _, n := range countTo(5) {
			p.send("q", "q"+n)
			p.send("r", "r"+n)
		}
		got := map[string][]string{}
		for range 10 {
			d := w.take()
			got[d.GetQueue()] = append(got[d.GetQueue()], string(d.GetBody()))
		}
		for _, q := range []string{"q", "r"} {
			if want := []string{q + "1", q + "2", q + "3", q + "4", q + "5"}; !slices.Equal(got[q], want) {
				s.Errorf("queue %s gave %q", q, got[q])
			}
		}
	}},
}

// G3 and G4: how much a consumer holds at a time.
var creditContracts = []contract{
	{name: "G9_credit_bounds_deliveries", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", countTo(5)...)
		w.subscribe("q", 2)
		ds := w.gets("1", "2")
		w.getsNothing()
		w.ack(ds[0])
		w.gets("3")
		w.getsNothing()
	}},
	{name: "G9_credit_is_one_unless_said", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1", "2")
		p.subscribe("q", 0)
		p.gets("1")
		p.getsNothing()
	}},
	{name: "G9_credit_can_be_changed", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "1", "2", "3", "4")
		consumer := p.subscribe("q", 1)
		ds := p.gets("1")
		must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Consumer: consumer, Credit: 3})
		ds = append(ds, p.gets("2", "3")...)
		p.getsNothing()
		must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Consumer: consumer, Credit: 1})
		p.ack(ds[0], ds[1])
		p.getsNothing()
		p.ack(ds[2])
		p.gets("4")
	}},
	{name: "G9_credit_bounds_bytes", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "four", "four", "four")
		must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Queue: "q", Credit: 10, CreditBytes: 9})
		ds := p.gets("four", "four")
		p.getsNothing()
		p.ack(ds[0])
		p.gets("four")
	}},
	{name: "G9_one_delivery_always_fits", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "much too long", "long as well")
		must[*pb.SubscribeResponse](p, &pb.SubscribeRequest{Queue: "q", Credit: 10, CreditBytes: 1})
		ds := p.gets("much too long")
		p.getsNothing()
		p.ack(ds...)
		p.gets("long as well")
	}},
	{name: "G9_credit_has_a_limit", play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.subscribe("q", 65_536)
		f := p.refused(&pb.SubscribeRequest{Queue: "q", Credit: 65_537}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
		s.has(f.GetMessage(), "credit", "65537", "65536")
	}},
}

// Idle consumers are served in turn, the longest idle first: nobody hoards.
func TestIdleConsumersTakeTurns(t *testing.T) {
	inFakeTime(t, forms[1], zero, func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		var ws []*party
		for _, name := range []string{"a", "b", "c"} {
			w := s.client(name)
			w.subscribe("q", 100)
			ws = append(ws, w)
		}
		p.send("q", countTo(9)...)
		for i, w := range ws {
			w.gets(countTo(9)[i], countTo(9)[i+3], countTo(9)[i+6])
			w.getsNothing()
		}
	})
}
