package crash_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// returning is a client that notes when it was last logged in again.
func returning(t *testing.T, d *daemon, name string) (*client.Client, *atomic.Int64) {
	t.Helper()
	back := &atomic.Int64{}
	c, err := client.New(client.Config{Addr: d.addr, Name: name, Logger: slog.New(loginNoter{back})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, back
}

// A loginNoter is where the client logs.
type loginNoter struct{ back *atomic.Int64 }

func (n loginNoter) Enabled(context.Context, slog.Level) bool { return true }
func (n loginNoter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "logged in" {
		n.back.Store(r.Time.UnixNano())
	}
	return nil
}
func (n loginNoter) WithAttrs([]slog.Attr) slog.Handler { return n }
func (n loginNoter) WithGroup(string) slog.Handler      { return n }

// A call sends a body and returns the reply's.
type call func(ctx context.Context, body string) (string, error)

// throughCaller calls as programs do.
func throughCaller(t *testing.T, c *client.Client) call {
	caller := rpc.NewCaller(c)
	t.Cleanup(func() { _ = caller.Close() })
	return func(ctx context.Context, body string) (string, error) {
		reply, err := caller.Call(ctx, "calls", []byte(body))
		return string(reply), err
	}
}

// throughInbox calls without package rpc, to see everything that an inbox says.
func (l *callLog) throughInbox(t *testing.T, c *client.Client) call {
	inbox, err := c.OpenInbox()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	var last atomic.Uint64
	return func(ctx context.Context, body string) (string, error) {
		w := &outstanding{log: l, done: make(chan answer, 1)}
		id := fmt.Sprint(last.Add(1))
		if err := inbox.Request(ctx, "calls", client.Message{CorrelationID: id, Body: []byte(body)}, w); err != nil {
			return "", err
		}
		select {
		case a := <-w.done:
			return a.body, a.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// outstanding is a request of which an inbox may speak once.
type outstanding struct {
	log   *callLog
	heard atomic.Bool
	done  chan answer
}

type answer struct {
	body string
	err  error
}

func (w *outstanding) Answered(r client.Reply) {
	a := answer{body: string(r.Body)}
	if r.Failure != nil {
		a.err = r.Failure
	}
	w.end(a)
}

func (w *outstanding) Lost(err error) { w.end(answer{err: err}) }

func (w *outstanding) end(a answer) {
	if !w.heard.CompareAndSwap(false, true) {
		w.log.twin()
		return
	}
	w.done <- a
}
