package server_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// aSlowReader is a stream with a consumer, of which nobody reads. What it can
// hold is bounded by its window of 64 KiB, and by what it asked for.
func aSlowReader(s *scene, credit *pb.SubscribeRequest) (*raw, *pb.LoginResponse) {
	s.Helper()
	conn := connect(s.T, s.sw.Addr(), grpc.WithStaticStreamWindowSize(64<<10), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	st, err := pb.NewDataServiceClient(conn).Attach(s.life())
	if err != nil {
		s.Fatal(err)
	}
	r := &raw{s, st, conn}
	r.says(frameOf(0, &pb.LoginRequest{Name: "slow"}))
	login := r.hears().GetFrames()[0].GetLogin()
	r.says(frameOf(1, credit))
	r.hearsFrames(1)
	return r, login
}

// A peer that does not read costs nobody else anything but the memory that it
// asked for, and gets everything in order when it reads again.
func TestSlowReader(t *testing.T) {
	s := newScene(t, forms[1], transports[1], server.Config{})
	const creditBytes, body, messages = 4 << 20, 64 << 10, 200
	sender := s.client("sender")
	sender.create("q", nil)
	sender.create("other", nil)
	sender.subscribe("other", 1)
	slow, login := aSlowReader(s, &pb.SubscribeRequest{Queue: "q", Credit: 65_536, CreditBytes: creditBytes})

	most := 0
	for i := range messages {
		sender.send("q", fmt.Sprintf("%*d", body, i)) // answered, also when its delivery has to wait
		sender.send("other", "x")
		sender.ack(sender.gets("x")...)
		pending, inFlight, _ := s.sw.Backlog(login.GetSession())
		most = max(most, pending+inFlight)
	}
	if held := s.leased("q"); held != creditBytes/body {
		s.Errorf("the slow reader holds %d deliveries, want %d", held, creditBytes/body)
	}
	if most < creditBytes/2 || most > creditBytes+(64<<10) {
		s.Errorf("the switch kept %d bytes for the slow reader, who asked for %d", most, creditBytes)
	}

	for got := 0; got < messages; {
		for _, f := range slow.hears().GetFrames() {
			if d := f.GetDelivery(); d != nil {
				if string(d.GetBody()) != fmt.Sprintf("%*d", body, got) {
					s.Fatalf("delivery %d has the body of another", got)
				}
				got++
				slow.says(quiet(uint64(got+1), &pb.AckRequest{Leases: []uint64{d.GetLease()}}))
			}
		}
	}
	s.until("all is acked", func() bool { return s.leased("q") == 0 && s.waiting("q") == 0 })
}

// Nor does a crowd of them.
func TestManySlowReaders(t *testing.T) {
	s := newScene(t, forms[1], transports[1], server.Config{})
	sender := s.client("sender")
	sender.create("q", nil)
	for range 20 {
		aSlowReader(s, &pb.SubscribeRequest{Queue: "q", Credit: 100})
	}
	for range 40 {
		sender.send("q", string(make([]byte, 64<<10)))
	}
	sender.temporary()
	if s.leased("q") != 40 {
		s.Errorf("%d deliveries are leased, want all 40", s.leased("q"))
	}
}

// Who does not read answers is not read from: the switch keeps no more than a
// bound for it, however much it says, and loses nothing.
func TestUnreadAnswers(t *testing.T) {
	s := newScene(t, forms[1], transports[1], server.Config{})
	control := s.client("control")
	slow, login := aSlowReader(s, &pb.SubscribeRequest{Queue: "q", Create: &pb.QueueOptions{}})
	// First what has large answers, so that much is pending; then more than fits
	// into the windows.
	var says []proto.Message
	for range 150 {
		says = append(says, &pb.AckRequest{Leases: make([]uint64, 100)})
	}
	for range 300 {
		says = append(says, &pb.SendRequest{Queue: "nowhere", Body: make([]byte, 8<<10)})
	}
	said := make(chan error, 1)
	go func() { // ends when all is said, which needs a reader
		var err error
		for i := 0; i < len(says) && err == nil; i++ {
			err = slow.Send(&pb.AttachRequest{Frames: []*pb.ClientFrame{frameOf(uint64(i+2), says[i])}})
		}
		said <- err
	}()
	s.until("much is pending", func() bool {
		pending, _, _ := s.sw.Backlog(login.GetSession())
		return pending > server.MaxPending
	})
	for range 100 {
		control.refused(&pb.UnsubscribeRequest{Consumer: 99}, codes.NotFound, pb.Reason_REASON_CONSUMER_NOT_FOUND)
		if pending, inFlight, _ := s.sw.Backlog(login.GetSession()); pending > server.MaxPending+(64<<10) || inFlight > 256<<10 {
			s.Fatalf("%d bytes are pending, %d in flight", pending, inFlight)
		}
	}
	if len(said) > 0 {
		s.Fatalf("all was said, though nobody listened: %v", <-said)
	}
	fs, _, _ := slow.hearsFrames(len(says))
	for i, f := range fs {
		if f.GetTag() != uint64(i+2) || f.GetAck() == nil && f.GetFailure() == nil {
			s.Fatalf("answer %d is %v", i, f)
		}
	}
	if err := <-said; err != nil {
		s.Error(err)
	}
}

// Of a client that never confirms, the newest answers are kept.
func TestUnconfirmedAnswers(t *testing.T) {
	overStreams(t, map[string]func(*scene){
		"by number": func(s *scene) {
			r, login := s.loggedIn(&pb.LoginRequest{})
			const n = 3*server.KeptAnswers + 1
			for tag := uint64(1); tag <= n; tag += 100 {
				var fs []*pb.ClientFrame
				for i := tag; i < tag+100 && i <= n; i++ {
					fs = append(fs, frameOf(i, sendTo("q", "")))
				}
				r.says(fs...)
				r.hearsFrames(len(fs))
			}
			s.lose(r)
			r = s.stream()
			r.says(frameOf(0, &pb.LoginRequest{Session: login.GetSession()}))
			fs, _, _ := r.hearsFrames(1 + server.KeptAnswers)
			for fs[len(fs)-1].GetTag() < n {
				fs = append(fs, r.hears().GetFrames()...)
			}
			if repeated := fs[1:]; len(repeated) > 2*server.KeptAnswers || repeated[0].GetTag() != uint64(n-len(repeated)+1) {
				s.Errorf("%d answers were repeated, the first to %d", len(repeated), repeated[0].GetTag())
			}
		},
		"by size": func(s *scene) {
			r, login := s.loggedIn(&pb.LoginRequest{})
			const n = 10
			for tag := uint64(1); tag <= n; tag++ {
				r.says(frameOf(tag, &pb.AckRequest{Leases: make([]uint64, 4000)})) // 500 KB of answer
				r.hearsFrames(1)
			}
			if _, _, kept := s.sw.Backlog(login.GetSession()); kept > 2*server.KeptBytes || kept < server.KeptBytes/2 {
				s.Errorf("%d bytes of answers are kept, want about %d", kept, server.KeptBytes)
			}
		},
	})
}

// stuck is a stream that has far more to hear than its peer takes.
func (s *scene) stuck() (*raw, *pb.LoginResponse) {
	s.Helper()
	r, login := s.loggedIn(&pb.LoginRequest{})
	r.says(frameOf(1, &pb.SubscribeRequest{Queue: "q", Credit: 1000, Create: &pb.QueueOptions{}}))
	r.hearsFrames(1)
	p := s.client("p")
	for range 400 {
		p.send("q", string(make([]byte, 64<<10)))
	}
	synctest.Wait()
	if pending, _, _ := s.sw.Backlog(login.GetSession()); pending == 0 {
		s.Fatal("the stream is not stuck")
	}
	return r, login
}

// A stream that is over does not stay for a peer that does not read.
func TestStuckStreamEnds(t *testing.T) {
	cut := func(s *scene, r *raw, reason pb.Reason) {
		s.pass(10 * time.Second)
		n, err := 0, error(nil)
		for res := (*pb.AttachResponse)(nil); err == nil; n += proto.Size(res) {
			if res, err = r.Recv(); err != nil {
				break
			}
		}
		if !isReason(refusalOf(err), reason) || n >= 400*64<<10 {
			s.Errorf("the stream ended with %v after %d bytes", err, n)
		}
	}
	overStreams(t, map[string]func(*scene){
		"when another took over": func(s *scene) {
			r, login := s.stuck()
			s.loggedIn(&pb.LoginRequest{Session: login.GetSession()})
			cut(s, r, pb.Reason_REASON_SUPERSEDED)
		},
		"when its session ended": func(s *scene) {
			r, login := s.stuck()
			if _, err := pb.NewDataServiceClient(s.dial()).Logout(s.Context(), &pb.LogoutRequest{Session: login.GetSession()}); err != nil {
				s.Fatal(err)
			}
			cut(s, r, pb.Reason_REASON_SESSION_ENDED)
		},
	})
}
