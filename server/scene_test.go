package server_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// A scene is one switch and those who meet there.
type scene struct {
	*testing.T
	sw   *servertest.Switch
	form form
	dial func() *grpc.ClientConn
	fake bool   // time is
	disk bool   // queues are durable
	dir  string // where
}

// A transport is one way to reach a switch.
type transport struct {
	name  string
	fake  bool // it has no socket, so time can be fake
	disk  bool // the switch has a data directory
	start func(*testing.T, server.Config) (*servertest.Switch, func() *grpc.ClientConn)
}

var transports = []transport{
	{"bufconn", true, false, startBufconn},
	{"tcp", false, false, startTCP},
	{"unix", false, false, startUnix},
	{"disk", true, true, startBufconn},
}

// durability is that of queues that ask for nothing.
func (s *scene) durability() pb.Durability {
	if s.disk {
		return pb.Durability_DURABILITY_DURABLE
	}
	return pb.Durability_DURABILITY_MEMORY
}

// restart ends the switch, as an operator does, and starts it again on the same
// directory. Clients have to connect again.
func (s *scene) restart(cfg server.Config) {
	s.Helper()
	if err := s.sw.Close(); err != nil {
		s.Fatal(err)
	}
	cfg.DataDir = s.dir
	s.sw, s.dial = startBufconn(s.T, cfg)
}

// newScene starts a switch for clients of one form. With fake time it must be
// called within a synctest bubble.
func newScene(t *testing.T, f form, via transport, cfg server.Config) *scene {
	s := &scene{T: t, form: f, fake: via.fake, disk: via.disk}
	if via.disk {
		s.dir = t.TempDir()
		cfg.DataDir = s.dir
	}
	s.sw, s.dial = via.start(t, cfg)
	t.Cleanup(func() {
		if err := s.sw.Check(); err != nil {
			t.Errorf("the state is broken: %v", err)
		}
	})
	return s
}

// inFakeTime plays with a switch in memory, in a synctest bubble.
func inFakeTime(t *testing.T, f form, cfg server.Config, play func(*scene)) {
	synctest.Test(t, func(t *testing.T) { play(newScene(t, f, transports[0], cfg)) })
}

func startBufconn(t *testing.T, cfg server.Config) (*servertest.Switch, func() *grpc.ClientConn) {
	sw := servertest.New(t, cfg)
	return sw, func() *grpc.ClientConn {
		return connect(t, "passthrough:///bufconn", grpc.WithContextDialer(
			func(ctx context.Context, _ string) (net.Conn, error) { return sw.Dial(ctx) }))
	}
}

func startTCP(t *testing.T, cfg server.Config) (*servertest.Switch, func() *grpc.ClientConn) {
	sw := servertest.Listen(t, cfg)
	return sw, func() *grpc.ClientConn { return connect(t, sw.Addr()) }
}

func startUnix(t *testing.T, cfg server.Config) (*servertest.Switch, func() *grpc.ClientConn) {
	dir, err := os.MkdirTemp("", "switch") // a test's own TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	addr := "unix://" + filepath.Join(dir, "sock")
	cfg.Listen = []string{addr}
	return servertest.Listen(t, cfg), func() *grpc.ClientConn { return connect(t, addr) }
}

func connect(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// patience is how long anything may take that has no reason to take long.
const patience = 10 * time.Second

// client logs in under a name. Its session outlives any silence of a test,
// unless the scene gives it a request of its own.
func (s *scene) client(name string) *party {
	s.Helper()
	return s.login(&pb.LoginRequest{Name: name, TtlMs: time.Hour.Milliseconds(), GraceMs: time.Hour.Milliseconds()})
}

func (s *scene) login(req *pb.LoginRequest) *party {
	s.Helper()
	p, err := s.tryLogin(s.Context(), req)
	if err != nil {
		s.Fatalf("%s logs in: %v", req.GetName(), err)
	}
	return p
}

func (s *scene) tryLogin(ctx context.Context, req *pb.LoginRequest) (*party, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, res, err := s.form.login(ctx, s.dial(), req)
	if err != nil {
		return nil, err
	}
	s.Cleanup(d.close)
	return &party{scene: s, driver: d, name: req.GetName(), session: res}, nil
}

// resume is p again, from another connection.
func (s *scene) resume(p *party) *party {
	s.Helper()
	again := s.login(&pb.LoginRequest{Name: p.name, Session: p.session.GetSession()})
	if !again.session.GetResumed() {
		s.Fatalf("%s is a new session", p.name)
	}
	return again
}

// life bounds a stream, so that a test that waits in vain fails.
func (s *scene) life() context.Context {
	most := time.Minute
	if s.fake {
		most = 24 * time.Hour
	}
	ctx, cancel := context.WithTimeout(s.Context(), most)
	s.Cleanup(cancel)
	return ctx
}

// pass lets time go by.
func (s *scene) pass(d time.Duration) {
	if !s.fake {
		s.Fatal("a scene in real time does not sleep")
	}
	time.Sleep(d)
	synctest.Wait()
}

// until waits for something to come true.
func (s *scene) until(what string, true func() bool) {
	s.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !true(); <-look.C {
		if time.Now().After(end) {
			s.Fatalf("it never came true that %s", what)
		}
	}
}

// admin asks AdminService; an error ends the test.
func admin[Req, Res proto.Message](s *scene, verb func(pb.AdminServiceClient, context.Context, Req, ...grpc.CallOption) (Res, error), req Req) Res {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	res, err := verb(pb.NewAdminServiceClient(s.sw.Conn()), ctx, req)
	if err != nil {
		s.Fatalf("%T: %v", req, err)
	}
	return res
}

// describe tells about one queue.
func (s *scene) describe(queue string) *pb.DescribeResponse {
	s.Helper()
	return admin(s, pb.AdminServiceClient.Describe, &pb.DescribeRequest{Queue: queue})
}

func (s *scene) waiting(queue string) int {
	s.Helper()
	return int(s.describe(queue).GetSummary().GetWaiting())
}
func (s *scene) leased(queue string) int {
	s.Helper()
	return int(s.describe(queue).GetSummary().GetLeased())
}

// isThere says whether a queue exists.
func (s *scene) isThere(queue string) bool {
	s.Helper()
	res := admin(s, pb.AdminServiceClient.List, &pb.ListRequest{Prefix: queue, Temporary: true})
	return len(res.GetQueues()) > 0 && res.GetQueues()[0].GetQueue() == queue
}
