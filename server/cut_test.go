package server_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

var seed = flag.Uint64("seed", 0, "of tests that roll dice; zero: another one each time")

// dice are printed with their seed.
func dice(t *testing.T) *rand.Rand {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-seed %d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// However often a stream is cut, and wherever: each frame is applied once, in
// order, and each answer arrives once.
func TestCutStreams(t *testing.T) {
	const frames = 400
	d := dice(t)
	inFakeTime(t, forms[1], server.Config{}, func(s *scene) {
		s.client("p").create("q", nil)
		r, login := s.loggedIn(&pb.LoginRequest{})
		answered := make([]int, frames+1)
		received, next, cuts := uint64(0), uint64(1), 0
		for received < frames {
			// Say some, hear some, and lose the rest.
			var fs []*pb.ClientFrame
			for ; next <= frames && d.IntN(8) > 0; next++ {
				fs = append(fs, frameOf(next, &pb.SendRequest{Queue: "q", Body: fmt.Append(nil, next)}))
			}
			if len(fs) > 0 {
				r.says(fs...)
			}
			if d.IntN(2) == 0 {
				synctest.Wait()
			}
			if next > 1 && received < next-1 && d.IntN(2) == 0 {
				for _, f := range r.hears().GetFrames() {
					if f.GetSend() == nil {
						s.Fatalf("frame %d failed: %v", f.GetTag(), f)
					}
					answered[f.GetTag()]++
					received++
				}
			}
			if d.IntN(4) == 0 {
				cuts++
				s.lose(r)
				r = s.stream()
				r.says(frameOf(0, &pb.LoginRequest{Session: login.GetSession(), AnswersReceived: received}))
				first := r.hears()
				next = first.GetFrames()[0].GetLogin().GetApplied() + 1
				for _, f := range first.GetFrames()[1:] {
					answered[f.GetTag()]++
					received++
				}
			}
		}
		for tag, n := range answered[1:] {
			if n != 1 {
				s.Errorf("frame %d was answered %d times", tag+1, n)
			}
		}
		w := s.client("w")
		w.subscribe("q", frames+1)
		w.gets(countTo(frames)...)
		w.getsNothing()
		s.Logf("%d cuts", cuts)
	})
}

// Both forms may speak for one session at once.
func TestBothFormsInOneSession(t *testing.T) {
	inFakeTime(t, forms[1], server.Config{}, func(s *scene) {
		streaming := s.mortal("p")
		calling := &party{scene: s, driver: &unary{conn: s.dial(), token: streaming.session.GetSession()}, name: "p", session: streaming.session}
		calling.create("q", nil)
		streaming.send("q", "1", "2")
		consumer := calling.subscribe("q", 1)
		d := calling.getsOne("1", 1)
		streaming.ack(d)
		streaming.getsNothing() // the consumer is a poller's …
		must[*pb.SubscribeResponse](streaming, &pb.SubscribeRequest{Consumer: consumer})
		streaming.getsOne("2", 1) // … until a stream takes it
		s.pass(time.Minute)
		calling.send("q", "the stream keeps the session")
		calling.logout()
		_, err := ask[*pb.CreateResponse](streaming, &pb.CreateRequest{})
		s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED)
	})
}
