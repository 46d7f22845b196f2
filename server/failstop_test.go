package server_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// G10: a failure of the store ends the switch at once, whoever is connected, and
// the error says why.
func TestAFailedStoreEndsTheSwitch(t *testing.T) {
	s, err := server.Open(server.Config{Listen: []string{"127.0.0.1:0"}, DataDir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe(context.Background()) }() // received below
	conn, err := grpc.NewClient(s.Addrs()[0].String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data := pb.NewDataServiceClient(conn)
	login, err := data.Login(t.Context(), &pb.LoginRequest{Name: "streams"})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := data.Attach(t.Context())
	if err == nil {
		err = stream.Send(&pb.AttachRequest{Frames: []*pb.ClientFrame{{Verb: &pb.ClientFrame_Login{Login: &pb.LoginRequest{Session: login.GetSession()}}}}})
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	polls, err := data.Login(t.Context(), &pb.LoginRequest{Name: "polls"})
	if err == nil {
		_, err = data.Subscribe(t.Context(), &pb.SubscribeRequest{Session: polls.GetSession(), Queue: "q", Create: &pb.QueueOptions{}})
	}
	if err != nil {
		t.Fatal(err)
	}
	polled := make(chan error, 1)
	go func() { // received below
		_, err := data.Transfer(t.Context(), &pb.TransferRequest{Session: polls.GetSession(), WaitMs: 60_000})
		polled <- err
	}()
	time.Sleep(50 * time.Millisecond) // so that it waits
	began := time.Now()
	onFire := errors.New("the disk is on fire")
	s.FailStore(onFire)
	select {
	case err := <-ended:
		if !errors.Is(err, onFire) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if err := <-polled; err != nil && status.Code(err) != codes.Unavailable {
		t.Errorf("the poll ends with %v", err) // without an error it is empty
	}
	for err == nil { // it may be told of the drain
		_, err = stream.Recv()
	}
}
