package client_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A notary is a switch that answers every frame and notes what the client says
// of the answers it has seen. Its streams end after four verbs; every second one
// loses its last answer.
type notary struct {
	pb.UnimplementedDataServiceServer

	applied uint64
	made    []*pb.ServerFrame // all answers of the session
	logins  []uint64          // answers_received of each Login
	told    []uint64          // … and of each stream message
	seen    []uint64          // answers that had reached the client by then
	reached uint64
}

func (n *notary) Attach(stream pb.DataService_AttachServer) error {
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	login := m.GetFrames()[0].GetLogin()
	n.logins = append(n.logins, login.GetAnswersReceived())
	res := &pb.LoginResponse{Session: "token", GraceMs: 10_000, MaxPayloadBytes: 1 << 20, Resumed: login.GetSession() != "", Applied: n.applied}
	frames := []*pb.ServerFrame{{Event: &pb.ServerFrame_Login{Login: res}}}
	frames = append(frames, n.made[login.GetAnswersReceived():]...)
	if err := stream.Send(&pb.AttachResponse{Frames: frames}); err != nil {
		return err
	}
	n.reached = uint64(len(n.made))
	for verbs := 0; verbs < 4; {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n.told, n.seen = append(n.told, m.GetAnswersReceived()), append(n.seen, n.reached)
		for _, f := range m.GetFrames() {
			verbs++
			if f.GetTag() <= n.applied {
				continue
			}
			n.applied = f.GetTag()
			a := &pb.ServerFrame{Tag: f.GetTag(), Event: &pb.ServerFrame_Create{Create: &pb.CreateResponse{Queue: f.GetCreate().GetQueue(), Created: true}}}
			n.made = append(n.made, a)
			if verbs == 4 && len(n.logins)%2 == 0 {
				continue
			}
			if err := stream.Send(&pb.AttachResponse{Frames: []*pb.ServerFrame{a}, Applied: n.applied}); err != nil {
				return err
			}
			n.reached = uint64(len(n.made))
		}
	}
	return nil
}

// TestAnswersAreCounted has a switch find out what the client has seen: what it
// counts too few comes twice, and what it counts too many is lost.
func TestAnswersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notary{}
		c := against(t, n)
		for i := range 40 {
			if created, err := c.Create(t.Context(), fmt.Sprint(i), client.QueueOptions{}); !created || err != nil {
				t.Fatalf("create %d: %v, %v", i, created, err)
			}
		}
		synctest.Wait()
		if len(n.logins) < 10 || n.logins[0] != 0 {
			t.Errorf("logins with %v", n.logins)
		}
		for i, told := range n.told {
			if told != n.seen[i] && told != 0 {
				t.Errorf("stream message %d says %d answers, and %d had come", i, told, n.seen[i])
			}
		}
		if !slices.Contains(n.told, 38) {
			t.Errorf("the stream messages say %v", n.told)
		}
		for i, told := range n.logins[1:] {
			if want := uint64(4*(i+1) - (i % 2)); told != want {
				t.Errorf("login %d says %d answers, and %d had come", i+2, told, want)
			}
		}
	})
}
