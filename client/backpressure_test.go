package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A stiff switch logs clients in and subscribes them, and then does not read any
// more; it only delivers what the test tells it to.
type stiff struct {
	pb.UnimplementedDataServiceServer
	deliver chan *pb.Delivery

	mu   sync.Mutex
	acks int
}

func (s *stiff) Attach(stream pb.DataService_AttachServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	login := &pb.ServerFrame{Event: &pb.ServerFrame_Login{Login: &pb.LoginResponse{Session: "token", GraceMs: 10_000, MaxPayloadBytes: 1 << 20}}}
	if err := stream.Send(&pb.AttachResponse{Frames: []*pb.ServerFrame{login}}); err != nil {
		return err
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	made := &pb.ServerFrame{Tag: m.GetFrames()[0].GetTag(), Event: &pb.ServerFrame_Subscribe{Subscribe: &pb.SubscribeResponse{Consumer: 1}}}
	if err := stream.Send(&pb.AttachResponse{Frames: []*pb.ServerFrame{made}, Applied: made.Tag}); err != nil {
		return err
	}
	for d := range s.deliver {
		if err := stream.Send(&pb.AttachResponse{Frames: []*pb.ServerFrame{{Event: &pb.ServerFrame_Delivery{Delivery: d}}}}); err != nil {
			return err
		}
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil
		}
		s.count(m)
	}
}

func (s *stiff) count(m *pb.AttachRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range m.GetFrames() {
		s.acks += len(f.GetAck().GetLeases())
	}
}

// against is a client of a switch made for one test, behind a connection with
// small windows.
func against(t *testing.T, s pb.DataServiceServer) *client.Client {
	listener := bufconn.Listen(4 << 10)
	g := grpc.NewServer(grpc.StaticStreamWindowSize(64<<10), grpc.StaticConnWindowSize(64<<10))
	pb.RegisterDataServiceServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }() // the cleanup waits for it
	conn, err := grpc.NewClient("passthrough:stiff",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestASwitchThatDoesNotRead must stop nobody who has a deadline, and never the
// receive loop, although its callbacks ack.
func TestASwitchThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stiff{deliver: make(chan *pb.Delivery)}
		c := against(t, s)
		got := 0
		_, err := c.Subscribe(t.Context(), "q", client.ConsumeOptions{}, client.SubscriptionHandler{
			Deliver: func(d *client.Delivery) {
				got++
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 100 { // together more than may wait: the last ones can't even enter
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, err := c.Send(ctx, "q", client.Message{Body: make([]byte, 1<<20)})
				wantError(t, err, context.DeadlineExceeded, codes.DeadlineExceeded)
			})
		}
		synctest.Wait()
		for lease := range uint64(1000) {
			s.deliver <- &pb.Delivery{Consumer: 1, Lease: lease + 1}
		}
		synctest.Wait()
		if got != 1000 {
			t.Errorf("%d deliveries came through", got)
		}
		all.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = c.Create(ctx, "q", client.QueueOptions{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a verb that finds no room: %v", err)
		}
		close(s.deliver)
		synctest.Wait()
		if s.mu.Lock(); s.acks != 1000 {
			t.Errorf("the switch got %d acks", s.acks)
		}
		s.mu.Unlock()
	})
}
