package crash_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/d3b0a776/switch/client"
)

// hurry is how gRPC dials again when it must not miss much of a short life.
var hurry = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.2, MaxDelay: 15 * time.Millisecond},
	MinConnectTimeout: time.Second,
}

// A line is a client that is in a hurry to reconnect, so that there is work
// under way soon after each start, and that notes when it was cut.
type line struct {
	*client.Client
	cut atomic.Int64 // when it last noticed that the connection was lost
}

func newLine(t *testing.T, d *daemon, c *clock, name string) *line {
	t.Helper()
	l := &line{}
	var err error
	l.Client, err = client.New(client.Config{
		Addr: d.addr, Name: name, Logger: slog.New(cutNoter{line: l, clock: c}),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(hurry)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A cutNoter is where the client logs. It warns of every loss, from the loop that
// receives deliveries.
type cutNoter struct {
	line  *line
	clock *clock
}

func (n cutNoter) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (n cutNoter) Handle(context.Context, slog.Record) error {
	n.line.cut.Store(n.clock.now())
	return nil
}
func (n cutNoter) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n cutNoter) WithGroup(string) slog.Handler      { return n }
