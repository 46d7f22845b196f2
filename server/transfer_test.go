package server_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// polled is the outcome of a Transfer in the background.
type polled struct {
	res  *pb.TransferResponse
	err  error
	took time.Duration
}

// poll begins a Transfer; it has reached the switch when poll returns.
func (p *party) poll(ctx context.Context, req *pb.TransferRequest) <-chan polled {
	done := make(chan polled, 1)
	go func() { // the test reads from done
		began := time.Now()
		res, err := p.do(ctx, req)
		got := polled{err: err, took: time.Since(began)}
		got.res, _ = res.(*pb.TransferResponse)
		done <- got
	}()
	synctest.Wait()
	return done
}

func bodiesOf(ds []*pb.Delivery) (bodies string) {
	for _, d := range ds {
		bodies += string(d.GetBody()) + " "
	}
	return bodies
}

// overPolls plays cases that are about Transfer alone, in fake time.
func overPolls(t *testing.T, cases map[string]func(*scene)) {
	for name, play := range cases {
		t.Run(name, func(t *testing.T) { inFakeTime(t, forms[0], server.Config{}, play) })
	}
}

func TestTransferWaits(t *testing.T) {
	overPolls(t, map[string]func(*scene){
		"not at all unless it is told to": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.subscribe("q", 1)
			if got := <-p.poll(s.Context(), &pb.TransferRequest{}); got.err != nil || got.took != 0 || len(got.res.GetDeliveries()) != 0 {
				s.Errorf("got %v", got)
			}
		},
		"until a message comes": func(s *scene) {
			p, sender := s.client("p"), s.client("sender")
			p.create("q", nil)
			p.subscribe("q", 1)
			poll := p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000})
			s.pass(7 * time.Second)
			sender.send("q", "1")
			if got := <-poll; got.took != 7*time.Second || bodiesOf(got.res.GetDeliveries()) != "1 " {
				s.Errorf("got %v after %v", got, got.took)
			}
		},
		"until its time is up": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.subscribe("q", 1)
			if got := <-p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000}); got.err != nil || got.took != time.Minute {
				s.Errorf("got %v after %v", got, got.took)
			}
		},
		"until the switch has drained": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.subscribe("q", 1)
			poll := p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000})
			admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{})
			if got := <-poll; got.err != nil || got.took != 0 {
				s.Errorf("got %v after %v", got, got.took)
			}
		},
		"until its queue goes": func(s *scene) {
			p, other := s.client("p"), s.client("other")
			p.create("q", nil)
			p.subscribe("q", 1)
			poll := p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000})
			must[*pb.DestroyResponse](other, &pb.DestroyRequest{Queue: "q"})
			s.isRefusal((<-poll).err, codes.NotFound, pb.Reason_REASON_QUEUE_DESTROYED)
		},
		"until its session ends": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.subscribe("q", 1)
			poll := p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000})
			p.logout()
			s.isRefusal((<-poll).err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED)
		},
		"and keeps the session alive": func(s *scene) {
			p, sender := s.mortal("p"), s.client("sender")
			p.create("q", nil)
			p.subscribe("q", 1)
			poll := p.poll(s.Context(), &pb.TransferRequest{WaitMs: 300_000})
			s.pass(4 * time.Minute)
			sender.send("q", "1")
			if got := <-poll; got.err != nil {
				s.Errorf("got %v", got)
			}
		},
	})
}

func TestTransferTakes(t *testing.T) { overPolls(t, takeCases) }

var takeCases = map[string]func(*scene){
	"what there is, up to a number": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", countTo(5)...)
		p.subscribe("q", 10)
		for _, want := range []string{"1 2 3 ", "4 5 "} {
			got := <-p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 3, WaitMs: 1000})
			if bodiesOf(got.res.GetDeliveries()) != want || got.took != 0 {
				s.Errorf("got %q after %v, want %q", bodiesOf(got.res.GetDeliveries()), got.took, want)
			}
		}
	},
	"no more than its bytes": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "longer than that", "1234", "1234", "1234")
		p.subscribe("q", 10)
		for _, want := range []string{"longer than that ", "1234 1234 ", "1234 "} {
			got := <-p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 3, MaxBytes: 10})
			if bodiesOf(got.res.GetDeliveries()) != want {
				s.Errorf("got %q, want %q", bodiesOf(got.res.GetDeliveries()), want)
			}
		}
	},
	"no more than the consumer's credit": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", countTo(5)...)
		p.subscribe("q", 2)
		got := <-p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 100})
		if bodiesOf(got.res.GetDeliveries()) != "1 2 " {
			s.Errorf("got %q", bodiesOf(got.res.GetDeliveries()))
		}
	},
	"for the consumers that it names": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.create("r", nil)
		p.send("q", "q1")
		p.send("r", "r1")
		p.subscribe("q", 10)
		r := p.subscribe("r", 10)
		got := <-p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 100, Consumers: []uint64{r}})
		if bodiesOf(got.res.GetDeliveries()) != "r1 " {
			s.Errorf("got %q", bodiesOf(got.res.GetDeliveries()))
		}
		p.refused(&pb.TransferRequest{Consumers: []uint64{r, 99}}, codes.NotFound, pb.Reason_REASON_CONSUMER_NOT_FOUND)
	},
	"nothing for who has not subscribed": func(s *scene) {
		s.client("p").refused(&pb.TransferRequest{WaitMs: 1000}, codes.NotFound, pb.Reason_REASON_CONSUMER_NOT_FOUND)
	},
	"again what an answer lost": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", countTo(4)...)
		p.subscribe("q", 10)
		first := p.take()
		lost := p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 2})
		<-lost
		got := (<-p.poll(s.Context(), &pb.TransferRequest{MaxMessages: 10, AfterLease: first.GetLease()})).res.GetDeliveries()
		if bodiesOf(got) != "2 3 " || got[0].GetAttempt() != 1 || got[0].GetLease() <= first.GetLease() {
			s.Errorf("got %v", got)
		}
		p.ack(append(got, first)...)
		p.gets("4")
	},
	"from each of its queues in turn": func(s *scene) {
		p := s.client("p")
		for _, q := range []string{"q", "r", "s"} {
			p.create(q, nil)
			p.subscribe(q, 100)
			p.send(q, countTo(20)...)
		}
		got := map[string]int{}
		for range 12 {
			d := p.take()
			got[d.GetQueue()]++
			p.ack(d)
		}
		for q, n := range got {
			if n != 4 || len(got) != 3 {
				s.Errorf("queue %s was served %d times of 12: %v", q, n, got)
			}
		}
	},
}

// Two pollers who wait share what comes: the one that waits longest is first.
func TestPollersTakeTurns(t *testing.T) {
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		sender, a, b := s.client("sender"), s.client("a"), s.client("b")
		sender.create("q", nil)
		a.subscribe("q", 10)
		b.subscribe("q", 10)
		first := a.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000, MaxMessages: 10})
		second := b.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000, MaxMessages: 10})
		sender.send("q", "1")
		if got := <-first; bodiesOf(got.res.GetDeliveries()) != "1 " {
			s.Errorf("the first got %v", got)
		}
		first = a.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000, MaxMessages: 10})
		sender.send("q", "2")
		if got := <-second; bodiesOf(got.res.GetDeliveries()) != "2 " {
			s.Errorf("the second got %v", got)
		}
		sender.send("q", "3")
		if got := <-first; bodiesOf(got.res.GetDeliveries()) != "3 " {
			s.Errorf("the first got %v", got)
		}
	})
}

// A client that gives up waiting is not given what comes later, and what it
// was given while it went away returns uncounted.
func TestTransferOfAGoneClient(t *testing.T) {
	t.Run("before the delivery", func(t *testing.T) {
		inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
			p, sender, next := s.client("p"), s.client("sender"), s.client("next")
			p.create("q", nil)
			p.subscribe("q", 1)
			ctx, cancel := context.WithCancel(s.Context())
			poll := p.poll(ctx, &pb.TransferRequest{WaitMs: 60_000})
			cancel()
			<-poll
			synctest.Wait()
			sender.send("q", "1")
			next.subscribe("q", 1)
			next.getsOne("1", 1)
		})
	})
	t.Run("after the delivery", func(t *testing.T) {
		var gone atomic.Bool // from here on clients are gone before they are answered
		leaves := grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if _, ok := req.(*pb.TransferRequest); ok && gone.Load() {
				over, cancel := context.WithCancel(ctx)
				cancel()
				ctx = over
			}
			return handler(ctx, req)
		})
		inFakeTime(t, forms[0], server.Config{GRPC: []grpc.ServerOption{leaves}}, func(s *scene) {
			p, next := s.client("p"), s.client("next")
			p.create("q", nil)
			p.send("q", "1", "2")
			p.subscribe("q", 10)
			gone.Store(true)
			<-p.poll(s.Context(), &pb.TransferRequest{WaitMs: 60_000, MaxMessages: 10})
			gone.Store(false)
			if s.leased("q") != 0 {
				s.Error("the gone client holds deliveries")
			}
			next.subscribe("q", 10)
			next.getsOne("1", 1)
			next.getsOne("2", 1)
		})
	})
}
