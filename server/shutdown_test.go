package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// drain begins a Shutdown; the channel gets how long it took.
func (s *scene) drain() <-chan time.Duration {
	done := make(chan time.Duration, 1)
	began := time.Now()
	go func() { // the test reads from done
		_ = s.sw.Shutdown(context.Background())
		done <- time.Since(began)
	}()
	synctest.Wait()
	return done
}

// overShutdown plays in both forms with a request that a server holds.
func overShutdown(t *testing.T, cfg server.Config, play func(s *scene, caller, w *party, held *pb.Delivery)) {
	t.Helper()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			inFakeTime(t, f, cfg, func(s *scene) {
				caller, w, d := aCall(s)
				play(s, caller, w, d)
			})
		})
	}
}

// An idle switch ends at once, whoever is connected and waits.
func TestIdleShutdown(t *testing.T) {
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		poller := s.client("poller")
		poller.temporary()
		poll := poller.poll(s.Context(), &pb.TransferRequest{WaitMs: 300_000})
		r, _ := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, &pb.SubscribeRequest{Queue: "q", Create: &pb.QueueOptions{}}))
		r.hearsFrames(1)
		if took := <-s.drain(); took != 0 {
			s.Errorf("it took %v", took)
		}
		if got := <-poll; got.err != nil || len(got.res.GetDeliveries()) != 0 {
			s.Errorf("the poll got %v", got)
		}
		s.isRefusal(r.ends(), codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
	})
}

// A running request finishes, its reply arrives, and then the switch ends.
func TestShutdownWaitsForLeases(t *testing.T) {
	overShutdown(t, server.Config{}, func(s *scene, caller, w *party, held *pb.Delivery) {
		done := s.drain()
		s.pass(7 * time.Second)
		must[*pb.ExtendResponse](w, &pb.ExtendRequest{Leases: []uint64{held.GetLease()}})
		w.reply(held, "in the end")
		if took := <-done; took != 7*time.Second {
			s.Errorf("it took %v", took)
		}
		if s.form.name == "attach" { // a poller would have had to ask in time
			caller.gets("in the end")
		}
	})
}

// During a drain nothing new begins, and what runs goes on.
func TestDrain(t *testing.T) {
	overShutdown(t, server.Config{}, func(s *scene, caller, w *party, held *pb.Delivery) {
		caller.send("q", "waits")
		other := s.client("other")
		other.subscribe("q", 10)
		waiting := other.gets("waits")
		done := s.drain()
		other.release(waiting...)
		other.getsNothing() // no delivery of a named queue
		w.reply(held, "yes")
		if took := <-done; took != 0 {
			s.Errorf("it took %v", took)
		}
	})
}

// A poller gets its reply during a drain, too.
func TestDrainLetsPollersGetReplies(t *testing.T) {
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		caller, w, d := aCall(s)
		other := s.client("other")
		caller.send("q", "2")
		other.subscribe("q", 1)
		second := other.take() // holds the drain up
		s.drain()
		poll := caller.poll(s.Context(), &pb.TransferRequest{WaitMs: 300_000})
		s.pass(time.Second)
		w.reply(d, "yes")
		if got := <-poll; got.took != time.Second || bodiesOf(got.res.GetDeliveries()) != "yes " {
			s.Errorf("the poll got %v after %v", got, got.took)
		}
		other.ack(second)
	})
}

// A lease that never ends does not hold the switch up for ever.
func TestShutdownBound(t *testing.T) {
	overShutdown(t, server.Config{DrainBound: 12 * time.Second}, func(s *scene, _, _ *party, _ *pb.Delivery) {
		if took := <-s.drain(); took != 12*time.Second {
			s.Errorf("it took %v", took)
		}
	})
	overShutdown(t, server.Config{}, func(s *scene, _, _ *party, _ *pb.Delivery) {
		admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{BoundMs: 3000})
		admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{BoundMs: 300_000}) // joins the first
		if took := <-s.drain(); took != 3*time.Second {
			s.Errorf("it took %v", took)
		}
	})
	overShutdown(t, server.Config{}, func(s *scene, _, _ *party, _ *pb.Delivery) {
		began := time.Now()
		_ = s.sw.Close() // does not wait for leases
		if took := time.Since(began); took != 0 {
			s.Errorf("it took %v", took)
		}
		_ = s.sw.Close()
	})
}

// Streams are told of the drain, and how long it may last.
func TestDrainNotice(t *testing.T) {
	overShutdown(t, server.Config{}, func(s *scene, _, w *party, held *pb.Delivery) {
		r, _ := s.loggedIn(&pb.LoginRequest{})
		admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{BoundMs: 5000})
		fs, _, _ := r.hearsFrames(1)
		if fs[0].GetDrain().GetBoundMs() != 5000 || fs[0].GetTag() != 0 {
			s.Errorf("heard %v", fs[0])
		}
		w.ack(held)
		s.isRefusal(r.ends(), codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
	})
}

// A peer that does not read does not hold the end up for longer than a moment.
func TestShutdownWithASlowReader(t *testing.T) {
	inFakeTime(t, forms[1], server.Config{}, func(s *scene) {
		_, login := s.stuck()
		if _, err := pb.NewDataServiceClient(s.dial()).Logout(s.Context(), &pb.LogoutRequest{Session: login.GetSession()}); err != nil {
			s.Fatal(err) // or its leases would hold the switch up
		}
		if took := <-s.drain(); took > 5*time.Second {
			s.Errorf("it took %v", took)
		}
	})
}

// ListenAndServe ends well after a drain, whoever asked for it.
func TestListenAndServeEnds(t *testing.T) {
	listen := func() (sw *server.Server, cancel func(), ended chan error) {
		sw = server.New(server.Config{Listen: []string{"127.0.0.1:0"}})
		ctx, cancel := context.WithCancel(t.Context())
		ended = make(chan error, 1)
		if err := sw.Listen(); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- sw.ListenAndServe(ctx) }() // the test reads from ended
		return sw, cancel, ended
	}
	t.Run("by its context", func(t *testing.T) {
		_, cancel, ended := listen()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("by the verb", func(t *testing.T) {
		sw, cancel, ended := listen()
		defer cancel()
		if _, err := pb.NewAdminServiceClient(connect(t, sw.Addrs()[0].String())).Shutdown(t.Context(), &pb.ShutdownRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("by Close, before it began", func(t *testing.T) {
		sw, cancel, ended := listen()
		defer cancel()
		_ = sw.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A switch that never served closes as well, and so does one that has closed.
func TestCloseUnused(t *testing.T) {
	for range 2 {
		sw := server.New(server.Config{})
		_ = sw.Close()
		_ = sw.Close()
	}
	_ = servertest.New(t).Close() // its cleanup closes it again
}
