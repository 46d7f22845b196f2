package server_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// A gate is a disk whose syncs can be held up.
type gate struct {
	mu   sync.Mutex // guards what is below
	shut chan struct{}
}

func (g *gate) String() string { return "gate" }

// MaybeError is called at each call of the file system.
func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData && op.Kind != errorfs.OpFileSyncTo {
		return nil
	}
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return nil
}

// while runs f while no sync ends.
func (g *gate) while(f func()) {
	shut := make(chan struct{})
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.shut = nil
		g.mu.Unlock()
		close(shut)
	}()
	f()
}

// moment is how long something must not happen to be believed. Time is real
// here: the second committer waits for a lock, and no fake time passes then.
const moment = 30 * time.Millisecond

// gated is a scene with a gate before its disk.
func gated(t *testing.T, f form) (*scene, *gate) {
	g := &gate{}
	sw, err := server.OpenOn(errorfs.Wrap(vfs.NewMem(), g), server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sw.Close() })
	s := &scene{T: t, form: f, disk: true, sw: &servertest.Switch{Server: sw}}
	s.dial = func() *grpc.ClientConn {
		return connect(t, "passthrough:///bufconn", grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return sw.Dial(ctx) }))
	}
	return s, g
}

// TestHeld: nothing leaves the switch before the sync that covers it (G1): no
// answer, no delivery, and nothing that an operator reads.
func TestHeld(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s, g := gated(t, f)
			p, w, other := s.client("p"), s.client("w"), s.client("other")
			p.create("q", nil)
			p.create("done", nil)
			p.create("m", inMemory)
			p.send("done", "d")
			other.subscribe("done", 1)
			done := other.gets("d")
			w.subscribe("q", 10)
			for _, c := range []struct {
				what string
				verb func()
			}{
				{"Send", func() { p.send("q", "x") }},
				{"Create", func() { p.create("new", nil) }},
				{"Destroy", func() { must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "new"}) }},
				{"Ack with sync", func() { must[*pb.AckResponse](other, &pb.AckRequest{Leases: leasesOf(done), Sync: true}) }},
				{"a delivery", func() {
					sent := make(chan struct{})
					go func() { // received below
						defer close(sent)
						p.send("q", "y")
					}()
					w.gets("x", "y")
					<-sent
				}},
			} {
				answered := make(chan struct{})
				g.while(func() {
					go func() { // received below
						defer close(answered)
						c.verb()
					}()
					select {
					case <-answered:
						t.Errorf("%s did not wait for the sync", c.what)
					case <-time.After(moment):
					}
				})
				<-answered
			}
			g.while(func() { other.send("m", "a memory queue does not wait") })
		})
	}
}

// An operator reads only what is on disk.
func TestHeldLook(t *testing.T) {
	s, g := gated(t, forms[0])
	p := s.client("p")
	p.create("q", nil)
	sent, seen := make(chan struct{}), make(chan int, 1)
	g.while(func() {
		go func() { // received below
			defer close(sent)
			p.send("q", "x")
		}()
		time.Sleep(moment)                     // it is applied
		go func() { seen <- s.waiting("q") }() // received below
		select {
		case n := <-seen:
			t.Errorf("%d messages were read before the sync", n)
			seen <- n
		case <-time.After(moment):
		}
	})
	<-sent
	if n := <-seen; n != 1 {
		t.Errorf("%d messages were read", n)
	}
}

// Answers keep the order of their frames: who is answered knows that all that he
// said before is safe.
func TestHeldAnswersKeepTheirOrder(t *testing.T) {
	s, g := gated(t, forms[0])
	s.client("p").create("q", nil)
	r, _ := s.loggedIn(&pb.LoginRequest{})
	g.while(func() {
		r.says(frameOf(1, &pb.SendRequest{Queue: "q"}), frameOf(2, &pb.SendRequest{Queue: "missing"}),
			frameOf(3, &pb.CreateRequest{Queue: "m", Options: inMemory}))
		time.Sleep(moment)
	})
	fs, _, _ := r.hearsFrames(3)
	for i, f := range fs {
		if f.GetTag() != uint64(i+1) {
			t.Errorf("answer %d is to frame %d", i+1, f.GetTag())
		}
	}
	if fs[1].GetFailure() == nil {
		t.Errorf("the second answer is %v", fs[1])
	}
}
