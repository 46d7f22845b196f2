package client_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A program in another language: the generated client, unary verbs, and the
// retries that the protocol asks for.
type program struct {
	*rig
	data    pb.DataServiceClient
	session string
	retries int
}

func newProgram(r *rig) *program {
	r.Helper()
	fast := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond}
	conn, err := grpc.NewClient(r.proxy.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: fast}), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	r.must(err)
	r.Cleanup(func() { conn.Close() })
	p := &program{rig: r, data: pb.NewDataServiceClient(conn)}
	res, err := p.data.Login(r.ctx, &pb.LoginRequest{Name: "cut"})
	r.must(err)
	p.session = res.GetSession()
	return p
}

// again does a verb until the switch's word arrives.
func (p *program) again(verb func() error) {
	p.Helper()
	for err := verb(); err != nil; err = verb() {
		if status.Code(err) != codes.Unavailable || p.retries > 10 {
			p.Fatal(err)
		}
		p.retries++
	}
}

// TestReconnectUnary breaks the connection between request and answer of a unary
// verb, which the program then does again.
func TestReconnectUnary(t *testing.T) {
	verbs := []struct {
		name string
		run  func(*program)
	}{
		{"send", (*program).sendAgain},
		{"transfer", (*program).transferAgain},
	}
	for _, verb := range verbs {
		for _, at := range []spot{{dir: upward}, {dir: downward}} {
			for i, p := range []place{beforeIt, insideIt, afterIt} {
				for _, how := range []breakage{byReset, byClose, bySilence, byHalf} {
					t.Run(fmt.Sprintf("%s/%v/%v/%v", verb.name, at, p, how), func(t *testing.T) {
						t.Parallel()
						r := newRig(t)
						r.trial.plan = at.plan(p, i, how)
						r.create("q")
						p := newProgram(r)
						verb.run(p)
						_, err := p.data.Logout(r.ctx, &pb.LogoutRequest{Session: p.session})
						r.must(err)
						r.over()
					})
				}
			}
		}
	}
}

// lost says whether the request was, or else the answer. Neither is certain when
// one of them had passed before the connection broke.
func (p *program) lost() (request, answer bool) {
	k := p.trial.plan[0]
	return k.dir == upward && k.place != afterIt, k.dir == downward && k.place != afterIt
}

// Send retried under the same producer and sequence is enqueued once.
func (p *program) sendAgain() {
	p.arm()
	var res *pb.SendResponse
	p.again(func() (err error) {
		res, err = p.data.Send(p.ctx, &pb.SendRequest{Session: p.session, Queue: "q", Producer: []byte("p"), Sequence: 1})
		return err
	})
	p.await("the cut", p.proxy.done)
	request, answer := p.lost()
	if (request || answer) && p.retries == 0 {
		p.Error("Send succeeds at once")
	}
	if request && res.GetDuplicate() || answer && !res.GetDuplicate() {
		p.Errorf("after %d retries: %v", p.retries, res)
	}
	want := client.QueueCounters{Sent: 1}
	if res.GetDuplicate() {
		want.Duplicates = 1
	}
	p.counts("q", want)
	held, err := p.peer.Admin().Peek(p.ctx, "q", 0)
	if err != nil || len(held) != 1 || held[0].MessageID != res.GetMessageId() {
		p.Errorf("the queue holds %+v, error %v, want %s", held, err, res.GetMessageId())
	}
}

// A delivery whose answer was lost comes again under its lease, when asked for
// with after_lease.
func (p *program) transferAgain() {
	p.send("one")
	sub, err := p.data.Subscribe(p.ctx, &pb.SubscribeRequest{Session: p.session, Queue: "q"})
	p.must(err)
	p.arm()
	var res *pb.TransferResponse
	p.again(func() error {
		res, err = p.data.Transfer(p.ctx, &pb.TransferRequest{
			Session: p.session, Consumers: []uint64{sub.GetConsumer()}, WaitMs: within.Milliseconds(), AfterLease: 1,
		})
		return err
	})
	if len(res.GetDeliveries()) != 1 {
		p.Fatalf("after %d retries: %v", p.retries, res)
	}
	d := res.GetDeliveries()[0]
	if string(d.GetBody()) != "one" || d.GetAttempt() != 1 {
		p.Errorf("after %d retries: %v", p.retries, d)
	}
	p.again(func() error {
		_, err := p.data.Ack(p.ctx, &pb.AckRequest{Session: p.session, Leases: []uint64{d.GetLease()}})
		if status.Code(err) == codes.FailedPrecondition && p.retries > 0 {
			return nil // the first one's answer was lost
		}
		return err
	})
	p.await("the cut", p.proxy.done)
	c := p.describe("q").Counters
	if _, answer := p.lost(); answer && (p.retries == 0 || c.Delivered != 1) {
		p.Errorf("after %d retries: %+v", p.retries, c)
	}
	if c.Sent != 1 || c.Acked != 1 || c.Redelivered != 0 {
		p.Errorf("counters %+v", c)
	}
}
