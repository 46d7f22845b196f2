package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// A loss is the end of a client's session while it calls, consumes and holds a
// lease.
type loss struct {
	*rig
	caller *rpc.Caller
	work   *post            // a subscription to q
	held   *client.Delivery // from q
	reply  string           // the name of the reply queue
	calls  chan error       // of the calls that were pending
}

const pendingCalls = 8

// newLoss has a client with so long a grace do all that can be lost.
func newLoss(t *testing.T, grace time.Duration) *loss {
	t.Helper()
	r := newRig(t)
	r.c = r.dial(client.Config{Grace: grace})
	l := &loss{rig: r, caller: r.caller(r.c), calls: make(chan error, pendingCalls)}
	r.create("q")
	l.work = r.subscribe()
	r.send("held")
	l.held = l.work.next()
	r.create("calls") // which nobody serves
	for range pendingCalls {
		go func() { // ends with the call, whose error is waited for
			_, err := l.caller.Call(r.ctx, "calls", nil)
			l.calls <- err
		}()
	}
	r.await("the calls", func() bool { return r.describe("calls").Summary.Waiting == pendingCalls })
	l.reply = l.replyQueue()
	return l
}

// replyQueue is the name of the one reply queue; empty: there is none.
func (l *loss) replyQueue() (name string) {
	l.Helper()
	for q, err := range l.peer.Admin().List(l.ctx, client.ListQuery{Temporary: true}) {
		l.must(err)
		if q.Temporary {
			name = q.Queue
		}
	}
	return name
}

// told waits until all that was pending has failed for the loss of the session.
func (l *loss) told() {
	l.Helper()
	for range pendingCalls {
		err := <-l.calls
		l.lostAtOnce("a pending call", err)
		var e *rpc.Error
		if !errors.As(err, &e) || e.Origin != rpc.OriginTransport {
			l.Errorf("a pending call: %v, want it from the transport", err)
		}
	}
	if l.ctx.Err() != nil {
		l.Error("the calls were told by their own deadline only")
	}
	l.lostAtOnce("ack of a lost lease", l.held.AckWait(l.ctx))
	l.lostAtOnce("quiet ack of a lost lease", l.held.Ack())
}

// works says that calls and the subscription go on in a new session.
func (l *loss) works() {
	l.Helper()
	l.await("the switch", func() bool {
		err := l.c.Connect(l.ctx)
		if err != nil && !errors.Is(err, client.ErrUnreachable) {
			l.Fatalf("connect anew: %v", err)
		}
		return err == nil
	})
	const calls = 3
	ctx, stop := context.WithCancel(l.ctx)
	ended := l.spawn(func() { // ends with ctx
		err := rpc.Serve(ctx, l.peer, "calls", func(_ context.Context, req *rpc.Request) ([]byte, error) { return req.Body, nil })
		if err != nil {
			l.Errorf("Serve: %v", err)
		}
	})
	for range calls {
		if reply, err := l.caller.Call(l.ctx, "calls", []byte("body")); err != nil || string(reply) != "body" {
			l.Fatalf("call in the new session: %q, %v", reply, err)
		}
	}
	stop()
	ended()
	l.await("the consumer", func() bool {
		d, err := l.peer.Admin().Describe(l.ctx, "q")
		return err == nil && len(d.Consumers) == 1 && d.Consumers[0].Connected
	})
	l.send("new")
	for {
		d := l.work.next()
		l.must(d.AckWait(l.ctx))
		if string(d.Body) == "new" {
			return
		}
		if string(d.Body) != "held" || d.Attempt != 2 {
			l.Errorf("got %s, attempt %d", d.Body, d.Attempt)
		}
	}
}

// The switch is away for longer than the grace: what is pending is told when the
// grace is over, not at its own deadline, and what comes later works.
func TestReconnectAfterTheGrace(t *testing.T) {
	t.Parallel()
	const grace = 150 * time.Millisecond
	l := newLoss(t, grace)
	began := time.Now()
	l.proxy.lead("")
	l.proxy.breakAll(byReset)
	if _, err := l.c.Send(l.ctx, "q", client.Message{}); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("Send: %v, want %v", err, client.ErrUnreachable)
	}
	l.told()
	if took := time.Since(began); took < grace/2 {
		t.Errorf("told after %v: the grace is %v", took, grace)
	}
	l.await("the end of the session", func() bool { return l.session().Name == "" })
	l.proxy.lead(l.sw.Addr())
	l.works()
	if reply := l.replyQueue(); reply == "" || reply == l.reply {
		t.Errorf("reply queue %q, want a fresh one instead of %q", reply, l.reply)
	}
	l.over()
}

// The switch has seen the connection break and ended the session; the client
// notices later, and is told by the switch.
func TestReconnectToASessionThatEnded(t *testing.T) {
	t.Parallel()
	l := newLoss(t, 100*time.Millisecond)
	l.proxy.breakAll(byFarHalf)
	l.await("the end of the session", func() bool { return l.session().Name == "" })
	l.proxy.breakAll(byHalf)
	l.told()
	l.works()
	if reply := l.replyQueue(); reply == "" || reply == l.reply {
		t.Errorf("reply queue %q, want a fresh one instead of %q", reply, l.reply)
	}
	l.over()
}

// A Send whose answer was lost with the session is done again in the next one,
// under the same key: so it is enqueued once, and says so.
func TestReconnectSendsAgainInANewSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create("q")
	r.c = r.dial(client.Config{Grace: 100 * time.Millisecond})
	r.connect()
	r.proxy.arm(cut{dir: downward, frame: "send", how: byFarHalf})
	var receipt client.Receipt
	sent := r.spawn(func() {
		var err error
		if receipt, err = r.c.Send(r.ctx, "q", client.Message{}); err != nil {
			r.Error(err)
		}
	})
	r.await("the cut", r.proxy.done)
	r.await("the end of the session", func() bool { return r.session().Name == "" })
	r.proxy.breakAll(byHalf)
	sent()
	if !receipt.Duplicate {
		t.Errorf("receipt %+v, want a duplicate", receipt)
	}
	r.counts("q", client.QueueCounters{Sent: 1, Duplicates: 1})
	r.over()
}

// A switch in memory that restarts has forgotten everything. Its clients are told
// at once, and go on.
func TestReconnectToARestartedSwitch(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		l := newLoss(t, 0)
		l.must(l.peer.Close())
		l.must(l.sw.Close())
		l.restart(l.sw.Addr()) // the same port
		l.told()
		l.works()
		l.over()
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		l := newLoss(t, 0)
		l.proxy.lead("")
		l.proxy.breakAll(byReset)
		sent := make(chan error, 1)
		go func() { // ends with the Send, which begins in the old session or in none
			_, err := l.c.Send(l.ctx, "fresh", client.Message{Create: &client.QueueOptions{}})
			sent <- err
		}()
		l.restart("127.0.0.1:0") // beside the old one, of which nothing is heard any more
		l.proxy.lead(l.sw.Addr())
		l.told()
		l.must(<-sent)
		l.counts("fresh", client.QueueCounters{Sent: 1})
		l.works()
		l.over()
	})
}

// restart starts a switch that knows nothing, for the peer too.
func (l *loss) restart(addr string) {
	l.Helper()
	l.sw = servertest.Listen(l.T, server.Config{Listen: []string{addr}})
	l.peer = l.dial(client.Config{Conn: l.sw.Conn(), Name: "peer"})
	l.create("calls")
}

// Two streams of one session would take it from each other for ever; so the one
// that loses it stays away.
func TestReconnectSuperseded(t *testing.T) {
	t.Parallel()
	l := newLoss(t, 0)
	_, token := l.proxy.seen()
	conn, err := grpc.NewClient(l.sw.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	l.must(err)
	defer conn.Close()
	st, err := pb.NewDataServiceClient(conn).Attach(l.ctx)
	l.must(err)
	login := &pb.ClientFrame_Login{Login: &pb.LoginRequest{Session: token}}
	l.must(st.Send(&pb.AttachRequest{Frames: []*pb.ClientFrame{{Verb: login}}}))
	res, err := st.Recv()
	if err != nil || !res.GetFrames()[0].GetLogin().GetResumed() {
		t.Fatalf("login: %v, %v", res, err)
	}
	for range pendingCalls {
		if err := <-l.calls; !errors.Is(err, client.ErrSuperseded) {
			t.Errorf("a pending call: %v, want %v", err, client.ErrSuperseded)
		}
	}
	if err := <-l.work.over; !errors.Is(err, client.ErrSuperseded) {
		t.Errorf("the subscription ended: %v, want %v", err, client.ErrSuperseded)
	}
	if _, err := l.c.Send(l.ctx, "q", client.Message{}); !errors.Is(err, client.ErrSuperseded) {
		t.Errorf("Send: %v, want %v", err, client.ErrSuperseded)
	}
	if logins, _ := l.proxy.seen(); logins != 1 {
		t.Errorf("%d logins: the client fights for its session", logins)
	}
	l.must(st.Send(&pb.AttachRequest{Frames: []*pb.ClientFrame{{Tag: 1 << 20, Verb: &pb.ClientFrame_Logout{Logout: &pb.LogoutRequest{}}}}}))
	for err == nil {
		_, err = st.Recv()
	}
	l.over()
}
