package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake runs a test in fake time, against a switch in memory and with a caller.
func fake(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// A world is a switch with a caller and any number of servers, each of which
// reaches it by a line of its own.
type world struct {
	t       testing.TB
	sw      *servertest.Switch
	log     *slog.Logger // shown when a test fails; nil in benchmarks
	line    *line        // of the caller
	client  *client.Client
	caller  *rpc.Caller
	servers int // how many have begun
}

func newWorld(t testing.TB, config ...server.Config) *world {
	t.Helper()
	w := &world{t: t, sw: servertest.New(t, config...)}
	if _, isTest := t.(*testing.T); isTest {
		w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	w.client, w.line = w.dial("caller")
	w.caller = rpc.NewCaller(w.client)
	t.Cleanup(func() {
		if err := w.caller.Close(); err != nil {
			t.Errorf("closing the caller: %v", err)
		}
	})
	return w
}

// dial makes a client that closes with the test.
func (w *world) dial(name string) (*client.Client, *line) {
	w.t.Helper()
	l := &line{conn: w.sw.Conn()}
	c, err := client.New(client.Config{Conn: l, Name: name, Logger: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c, l
}

// A service is a Serve that runs in the background.
type service struct {
	client *client.Client
	line   *line
	stop   context.CancelFunc // ends Serve's context
	done   chan struct{}      // closed when Serve has returned
	err    error              // what it returned

	mu       sync.Mutex
	problems []error // what OnError got
}

// serve serves the queue until the test ends, and waits until it has begun. Others
// may serve the same queue.
func (w *world) serve(queue string, h rpc.Handler, opts ...rpc.ServeOption) *service {
	w.t.Helper()
	s := &service{done: make(chan struct{})}
	w.servers++
	name := "server " + strconv.Itoa(w.servers)
	s.client, s.line = w.dial(name)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	opts = append([]rpc.ServeOption{rpc.OnError(s.note)}, opts...)
	go func() { // the server; the cleanup waits for it
		defer close(s.done)
		s.err = rpc.Serve(ctx, s.client, queue, h, opts...)
	}()
	w.t.Cleanup(func() { _ = s.end() }) // a test that minds has looked
	itself := func(c client.ConsumerInfo) bool { return c.SessionName == name }
	w.await(func() bool { return slices.ContainsFunc(w.describe(queue).Consumers, itself) || s.ended() })
	return s
}

func (s *service) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, err)
}

// end ends the server and answers what it returned.
func (s *service) end() error {
	s.stop()
	<-s.done
	return s.err
}

func (s *service) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// noted says whether OnError got an error like that.
func (s *service) noted(target error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Is(errors.Join(s.problems...), target)
}

// await waits until ok holds. In a bubble, where the tests are, the sleep takes
// no time.
func (w *world) await(ok func() bool) {
	w.t.Helper()
	for range 10_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	d, err := w.client.Admin().Describe(context.Background(), "q")
	w.t.Fatalf("waited in vain for 10 s; queue q: %+v, %v", d, err)
}

// describe answers what the switch says about a queue; zeros if there is none.
func (w *world) describe(queue string) client.QueueDescription {
	w.t.Helper()
	d, err := w.client.Admin().Describe(context.Background(), queue)
	if err != nil && !errors.Is(err, client.ErrQueueNotFound) {
		w.t.Fatal(err)
	}
	return d
}

// create makes a queue.
func (w *world) create(queue string, o client.QueueOptions) {
	w.t.Helper()
	if _, err := w.client.Create(context.Background(), queue, o); err != nil {
		w.t.Fatal(err)
	}
}

// call calls in the background.
func (w *world) call(ctx context.Context, queue, body string, opts ...rpc.CallOption) <-chan result {
	done := make(chan result, 1)
	go func() { // ends with the call, whose result the test waits for
		reply, err := w.caller.Call(ctx, queue, []byte(body), opts...)
		done <- result{string(reply), err}
	}()
	return done
}

type result struct {
	reply string
	err   error
}

// A line is a connection that can be cut and led to another switch.
type line struct {
	mu   sync.Mutex
	conn grpc.ClientConnInterface // nil while it is cut
	cuts []context.CancelFunc     // of what runs over it
}

// cut breaks what runs over the line. It stays broken until join.
func (l *line) cut() { l.join(nil) }

// join leads the line to a switch, after breaking what runs over it.
func (l *line) join(conn grpc.ClientConnInterface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cut := range l.cuts {
		cut()
	}
	l.cuts, l.conn = nil, conn
}

func (l *line) begin(ctx context.Context) (context.Context, grpc.ClientConnInterface, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return nil, nil, status.Error(codes.Unavailable, "the line is cut")
	}
	ctx, cut := context.WithCancel(ctx)
	l.cuts = append(l.cuts, cut)
	return ctx, l.conn, nil
}

// Invoke implements grpc.ClientConnInterface.
func (l *line) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, conn, err := l.begin(ctx)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (l *line) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, conn, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, opts...)
}

// echo answers with the request.
func echo(_ context.Context, req *rpc.Request) ([]byte, error) { return req.Body, nil }
