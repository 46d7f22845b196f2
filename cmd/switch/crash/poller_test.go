package crash_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// settled is when a new session, consumer, temporary queue or attempt is surely on disk:
// the switch answers before, and writes within 50 ms.
const settled = 250 * time.Millisecond

// A poller is a client as anybody makes it from the proto files: unary calls, a
// token, and no word about reconnecting but gRPC's wait-for-ready.
type poller struct {
	*testing.T
	pb.DataServiceClient
	token string
}

func newPoller(t *testing.T, d *daemon) *poller {
	t.Helper()
	conn, err := grpc.NewClient(d.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithConnectParams(hurry))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &poller{T: t, DataServiceClient: pb.NewDataServiceClient(conn)}
	p.token = must(p, p.Login, &pb.LoginRequest{Name: "poller", Producer: []byte(t.Name())}).GetSession()
	return p
}

// must does a verb and has it succeed.
func must[I, O any](p *poller, verb func(context.Context, I, ...grpc.CallOption) (O, error), in I) O {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	out, err := verb(ctx, in)
	if err != nil {
		p.Fatalf("%T: %v", in, err)
	}
	return out
}

// next takes one delivery for a consumer.
func (p *poller) next(consumer uint64) *pb.Delivery {
	p.Helper()
	out := must(p, p.Transfer, &pb.TransferRequest{Session: p.token, Consumers: []uint64{consumer}, WaitMs: 10_000})
	if len(out.GetDeliveries()) != 1 {
		p.Fatalf("%d deliveries for consumer %d", len(out.GetDeliveries()), consumer)
	}
	return out.GetDeliveries()[0]
}

func (p *poller) consume(queue string) uint64 {
	p.Helper()
	return must(p, p.Subscribe, &pb.SubscribeRequest{Session: p.token, Queue: queue, Credit: 8}).GetConsumer()
}

// TestSessionsOfPollersResume restarts the switch between any two steps of a
// call between two pollers. Each goes on with the token, the temporary queue and
// the consumers that it had, without logging in again.
func TestSessionsOfPollersResume(t *testing.T) {
	for name, end := range map[string]func(*daemon, *testing.T){"SIGTERM": (*daemon).terminate, "SIGKILL": (*daemon).kill} {
		t.Run(name, func(t *testing.T) { testPollers(t, end) })
	}
}

func testPollers(t *testing.T, end func(*daemon, *testing.T)) {
	d := newDaemon(t, "--drain", "100ms") // it would wait for the leases
	d.start(t)
	caller, server := newPoller(t, d), newPoller(t, d)
	inbox := must(caller, caller.Create, &pb.CreateRequest{Session: caller.token}).GetQueue()
	replies := caller.consume(inbox)
	must(server, server.Create, &pb.CreateRequest{Session: server.token, Queue: "work"})
	requests := server.consume("work")
	restart := func() { end(d, t); d.start(t) }
	time.Sleep(settled)

	restart()
	request := &pb.SendRequest{Session: caller.token, Queue: "work", Body: []byte("question"), ReplyTo: inbox, CorrelationId: "1", Sequence: 1}
	sent := must(caller, caller.Send, request)
	restart()
	if again := must(caller, caller.Send, request); !again.GetDuplicate() || again.GetMessageId() != sent.GetMessageId() {
		t.Errorf("sent as %v, and again: %v", sent, again)
	}
	first := server.next(requests)
	must(server, server.Nack, &pb.NackRequest{Session: server.token, Leases: []uint64{first.GetLease()}, Kind: pb.NackKind_NACK_KIND_RETRY})
	first = server.next(requests)
	time.Sleep(settled)
	restart()
	second := server.next(requests) // the lease of the first has ended
	if first.GetMessageId() != sent.GetMessageId() || second.GetMessageId() != sent.GetMessageId() || second.GetLease() == first.GetLease() {
		t.Errorf("sent %v, delivered %v and then %v", sent, first, second)
	}
	// The attempt that failed counts. The one that the restart has cut need not.
	if first.GetAttempt() != 2 || second.GetAttempt() < 2 {
		t.Errorf("one attempt has failed; attempt %d follows, and %d after a restart", first.GetAttempt(), second.GetAttempt())
	}
	login := must(caller, caller.Login, &pb.LoginRequest{Session: caller.token})
	if p := login.GetPending(); !login.GetResumed() || len(p) != 1 || p[0].GetCorrelationId() != "1" || !p[0].GetRunning() {
		t.Errorf("resumed: %v", login)
	}
	must(server, server.Reply, &pb.ReplyRequest{Session: server.token, Lease: second.GetLease(), Body: []byte("answer")})
	if reply := caller.next(replies); string(reply.GetBody()) != "answer" || reply.GetCorrelationId() != "1" {
		t.Errorf("the reply is %v", reply)
	}
	if _, err := server.Ack(t.Context(), &pb.AckRequest{Session: server.token, Leases: []uint64{first.GetLease()}}); err == nil {
		t.Error("a lease from before the restart was acked")
	}
	left := must(server, server.Transfer, &pb.TransferRequest{Session: server.token, WaitMs: 50})
	if n := len(left.GetDeliveries()); n > 0 {
		t.Errorf("%d messages are left", n)
	}
}

// TestAPollerWaitsThroughARestart restarts the switch while a Transfer waits.
func TestAPollerWaitsThroughARestart(t *testing.T) {
	d := newDaemon(t)
	d.start(t)
	p := newPoller(t, d)
	must(p, p.Create, &pb.CreateRequest{Session: p.token, Queue: "work"})
	work := p.consume("work")
	time.Sleep(settled)
	for i := range 5 {
		got := make(chan *pb.Delivery, 1)
		go p.wait(work, got)
		time.Sleep(20 * time.Millisecond) // so that most often the Transfer is there
		d.kill(t)
		d.start(t)
		body := string(rune('a' + i))
		must(p, p.Send, &pb.SendRequest{Session: p.token, Queue: "work", Body: []byte(body), Sequence: uint64(i + 1)})
		select {
		case d := <-got:
			if string(d.GetBody()) != body || d.GetAttempt() != 1 {
				t.Errorf("sent %q, got %v", body, d)
			}
			must(p, p.Ack, &pb.AckRequest{Session: p.token, Leases: []uint64{d.GetLease()}, Sync: true})
		case <-time.After(patience):
			t.Fatal("nothing was delivered")
		}
	}
}

// wait polls until there is a delivery, or the test ends.
func (p *poller) wait(consumer uint64, got chan<- *pb.Delivery) {
	for p.Context().Err() == nil {
		out, err := p.Transfer(p.Context(), &pb.TransferRequest{Session: p.token, Consumers: []uint64{consumer}, WaitMs: 10_000})
		switch {
		case err == nil && len(out.GetDeliveries()) == 1:
			got <- out.GetDeliveries()[0]
			return
		case status.Code(err) != codes.Unavailable && status.Code(err) != codes.OK && p.Context().Err() == nil:
			p.Errorf("the Transfer ended with %v", err)
			return
		}
	}
}
