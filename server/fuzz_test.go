package server_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// cramped is a switch whose limits are soon reached.
var cramped = server.Config{MaxPayload: 64, MemoryBudget: 512, MaxQueues: 8, MaxSessions: 4, TraceEvents: 16, DrainBound: 5 * time.Second}

// A game is one switch at the hands of a program. It plays in a synctest
// bubble, so time is free, and a goroutine that stays behind is a failure.
type game struct {
	t       *testing.T
	sw      *servertest.Switch
	conn    *grpc.ClientConn
	program program
	seen    seen
}

// play runs a program until it ends; step is one of its steps.
func play(t *testing.T, code []byte, begin func(*game), step func(*game)) {
	synctest.Test(t, func(t *testing.T) {
		sw := servertest.New(t, cramped)
		g := &game{t: t, sw: sw, conn: sw.Conn(), program: program{code}}
		begin(g)
		for steps := 0; len(g.program.rest) > 0 && steps < 100; steps++ {
			step(g)
			synctest.Wait()
			if err := sw.Check(); err != nil {
				t.Fatalf("the state is broken: %v", err)
			}
		}
	})
}

// FuzzUnary makes calls of any bytes and of plausible requests.
func FuzzUnary(f *testing.F) {
	for _, code := range seeds {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		var token string
		play(t, code, func(g *game) {
			res, err := pb.NewDataServiceClient(g.conn).Login(g.t.Context(), &pb.LoginRequest{TtlMs: time.Hour.Milliseconds()})
			if err != nil {
				t.Fatal(err)
			}
			token = res.GetSession()
		}, func(g *game) { g.call(token) })
	})
}

// call makes one call.
func (g *game) call(token string) {
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Minute)
	defer cancel()
	switch g.program.upTo(8) {
	case 0: // any bytes, to any method
		methods := append(pb.DataService_ServiceDesc.Methods, pb.AdminService_ServiceDesc.Methods...)
		service, m := pb.DataService_ServiceDesc.ServiceName, g.program.upTo(len(methods))
		if m >= len(pb.DataService_ServiceDesc.Methods) {
			service = pb.AdminService_ServiceDesc.ServiceName
		}
		_ = g.conn.Invoke(ctx, "/"+service+"/"+methods[m].MethodName, g.program.bytes(), &pb.LogoutResponse{}, grpc.ForceCodecV2(asBytes{}))
	case 1:
		g.ask(ctx)
	case 2:
		time.Sleep(g.program.while())
	case 3:
		u := &unary{conn: g.conn, token: token}
		res, _ := u.do(ctx, &pb.TransferRequest{WaitMs: g.program.int64(), MaxMessages: uint32(g.program.uint64()), MaxBytes: g.program.uint64(), AfterLease: g.program.lease(&g.seen)})
		if res, ok := res.(*pb.TransferResponse); ok {
			g.seen.all(res.GetDeliveries()...)
		}
	default:
		u := &unary{conn: g.conn, token: token}
		res, _ := u.do(ctx, g.program.verb(&g.seen))
		if res, ok := res.(*pb.CreateResponse); ok {
			g.seen.queues = append(g.seen.queues, res.GetQueue())
		}
	}
}

// ask asks AdminService.
func (g *game) ask(ctx context.Context) {
	c, p := pb.NewAdminServiceClient(g.conn), &g.program
	switch p.upTo(7) {
	case 0:
		_, _ = c.List(ctx, &pb.ListRequest{Prefix: p.name(&g.seen), Limit: uint32(p.uint64()), Temporary: true, After: p.name(&g.seen)})
	case 1:
		_, _ = c.Describe(ctx, &pb.DescribeRequest{Queue: p.name(&g.seen)})
	case 2:
		_, _ = c.Peek(ctx, &pb.PeekRequest{Queue: p.name(&g.seen), Limit: uint32(p.uint64()), MaxBodyBytes: uint32(p.uint64())})
	case 3:
		req := &pb.PurgeRequest{Queue: p.name(&g.seen)}
		if len(g.seen.messages) > 0 && p.upTo(2) == 0 {
			req.MessageIds = g.seen.messages[:1]
		}
		_, _ = c.Purge(ctx, req)
	case 4:
		_, _ = c.Diagnostics(ctx, &pb.DiagnosticsRequest{})
	case 5:
		if trace, err := c.Trace(ctx, &pb.TraceRequest{After: p.uint64()}); err == nil {
			for _, err := trace.Recv(); err == nil; _, err = trace.Recv() { // to its end
			}
		}
	case 6:
		if p.upTo(4) == 0 {
			_, _ = c.Shutdown(ctx, &pb.ShutdownRequest{BoundMs: p.int64()})
		}
	}
}

// FuzzAttach says any bytes and plausible frames on streams.
func FuzzAttach(f *testing.F) {
	for _, code := range seeds {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		a := &streamer{}
		play(t, code, func(g *game) {
			a.game = g
			a.open(false)
		}, func(*game) { a.step() })
	})
}

// A streamer is the client side of a session that has one stream at a time.
type streamer struct {
	*game
	stream grpc.ClientStream
	cancel context.CancelFunc
	tag    uint64

	mu    sync.Mutex // guards token and seen: a superseded stream is still read
	token string
}

// open opens a stream, for a new session or the one before.
func (a *streamer) open(resume bool) {
	if a.cancel != nil && a.program.upTo(2) == 0 {
		a.cancel() // or the new one supersedes it
	}
	ctx, cancel := context.WithCancel(a.t.Context())
	stream, err := a.conn.NewStream(ctx, &pb.DataService_ServiceDesc.Streams[0], pb.DataService_Attach_FullMethodName, grpc.ForceCodecV2(asBytes{}))
	if err != nil { // the switch has shut down
		cancel()
		return
	}
	a.stream, a.cancel = stream, cancel
	a.t.Cleanup(cancel)
	login := &pb.LoginRequest{TtlMs: time.Hour.Milliseconds(), AnswersReceived: a.program.uint64()}
	if resume {
		a.mu.Lock()
		login.Session = a.token
		a.mu.Unlock()
	}
	if a.program.upTo(8) != 7 { // or the first frame is something else
		_ = stream.SendMsg(framesOf(frameOf(0, login)))
	}
	go a.read(stream)
}

// read notes what comes on a stream; it ends with it.
func (a *streamer) read(stream grpc.ClientStream) {
	for {
		var res pb.AttachResponse
		if stream.RecvMsg(&res) != nil {
			return
		}
		a.note(&res)
	}
}

func (a *streamer) note(res *pb.AttachResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range res.GetFrames() {
		switch {
		case f.GetDelivery() != nil:
			a.seen.all(f.GetDelivery())
		case f.GetLogin() != nil:
			a.token = f.GetLogin().GetSession()
		case f.GetCreate() != nil:
			a.seen.queues = append(a.seen.queues, f.GetCreate().GetQueue())
		}
	}
}

// step says one stream message, or does something else to the stream.
func (a *streamer) step() {
	p := &a.program
	switch p.upTo(10) {
	case 0: // any bytes
		_ = a.stream.SendMsg(p.bytes())
	case 1:
		time.Sleep(p.while())
	case 2:
		a.open(p.upTo(4) != 0)
	case 3:
		a.ask(a.t.Context())
	case 4: // a verb of any bytes
		a.tag++
		_ = a.stream.SendMsg(frameBytes(a.tag, 3+pbNumber(p.upTo(13)), p.bytes()))
	default:
		req := &pb.AttachRequest{AnswersReceived: p.uint64()}
		for range 1 + p.upTo(5) {
			a.tag += uint64(p.upTo(3)) // an old tag, the next, or one further
			a.mu.Lock()
			f := frameOf(a.tag, p.verb(&a.seen))
			a.mu.Unlock()
			f.Quiet = p.upTo(2) == 0
			req.Frames = append(req.Frames, f)
		}
		_ = a.stream.SendMsg(encoded(proto.Message(req)))
	}
}
