package client_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake runs a test in fake time, with a switch in memory and one client.
func fake(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// A world is a switch and a client that reaches it by a line of its own.
type world struct {
	*testing.T
	sw   *servertest.Switch
	line *line
	c    *client.Client
}

func newWorld(t *testing.T, config ...server.Config) *world {
	t.Helper()
	w := &world{T: t, sw: servertest.New(t, config...)}
	w.c, w.line = w.dial(client.Config{Name: "test"})
	return w
}

// dial makes another client, which closes with the test.
func (w *world) dial(cfg client.Config) (*client.Client, *line) {
	w.Helper()
	l := &line{conn: w.sw.Conn()}
	cfg.Conn = l
	c, err := client.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c, l
}

// create makes a queue.
func (w *world) create(queue string) {
	w.Helper()
	if _, err := w.c.Create(w.Context(), queue, client.QueueOptions{}); err != nil {
		w.Fatal(err)
	}
}

// send sends a body.
func (w *world) send(queue, body string) {
	w.Helper()
	if _, err := w.c.Send(w.Context(), queue, client.Message{Body: []byte(body)}); err != nil {
		w.Fatal(err)
	}
}

// subscribe collects what a queue delivers.
func (w *world) subscribe(c *client.Client, queue string, o client.ConsumeOptions) *collector {
	w.Helper()
	got := &collector{deliveries: make(chan *client.Delivery, 1000), ended: make(chan error, 2)}
	sub, err := c.Subscribe(w.Context(), queue, o, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) { got.deliveries <- d },
		Ended:   func(err error) { got.ended <- err },
	})
	if err != nil {
		w.Fatal(err)
	}
	got.sub = sub
	return got
}

// A collector is a subscription with what it got.
type collector struct {
	sub        *client.Subscription
	deliveries chan *client.Delivery
	ended      chan error
}

// next waits for a delivery.
func (g *collector) next(t testing.TB) *client.Delivery {
	t.Helper()
	select {
	case d := <-g.deliveries:
		return d
	case err := <-g.ended:
		t.Fatalf("the subscription ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("no delivery within a minute")
	}
	return nil
}

// describe is what the switch says about a queue, asked past the line.
func (w *world) describe(queue string) client.QueueDescription {
	w.Helper()
	c, err := client.New(client.Config{Conn: w.sw.Conn()})
	if err != nil {
		w.Fatal(err)
	}
	d, err := c.Admin().Describe(context.Background(), queue)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

// A line is a connection that can be cut and led to another switch.
type line struct {
	mu      sync.Mutex
	conn    grpc.ClientConnInterface // nil while it is cut
	cuts    []context.CancelFunc     // of what runs over it
	streams []*lineStream            // all that were opened
}

// cut breaks what runs over the line. It stays broken until join.
func (l *line) cut() { l.join(nil) }

// blink breaks what runs over the line, which is whole again at once.
func (l *line) blink() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	l.join(conn)
}

// join leads the line to a switch, after breaking what runs over it.
func (l *line) join(conn grpc.ClientConnInterface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cut := range l.cuts {
		cut()
	}
	l.cuts, l.conn = nil, conn
}

// deafen lets what comes from the switch disappear, until the line is cut.
func (l *line) deafen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, st := range l.streams {
		st.deaf.Store(true)
	}
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
	st, err := conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, err
	}
	ls := &lineStream{ClientStream: st}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams = append(l.streams, ls)
	return ls, nil
}

// lineStream is a stream that its line can deafen.
type lineStream struct {
	grpc.ClientStream
	deaf atomic.Bool // it never hears again
}

func (s *lineStream) RecvMsg(m any) error {
	for {
		err := s.ClientStream.RecvMsg(m)
		if err != nil || !s.deaf.Load() {
			return err
		}
	}
}
