package crash_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
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

// throughInbox calls without package rpc, to see every answer.
func (l *callLog) throughInbox(t *testing.T, c *client.Client) call {
	type answer struct {
		body string
		err  error
	}
	var mu sync.Mutex
	last, waiting, got := 0, map[string]chan answer{}, map[string]answer{}
	end := func(id string, a answer) {
		mu.Lock()
		defer mu.Unlock()
		if first, twice := got[id]; twice {
			l.twin()
			if a != first {
				t.Errorf("request %s is answered %q, %v, and then %q, %v", id, first.body, first.err, a.body, a.err)
			}
			return
		}
		got[id] = a
		waiting[id] <- a // it has room
	}
	inbox, err := c.OpenInbox(t.Context(), client.InboxHandler{
		Deliver: func(d *client.Delivery) {
			a := answer{body: string(d.Body)}
			if d.Failure != nil {
				a.err = d.Failure
			}
			end(d.CorrelationID, a)
		},
		Refused: func(id string, err error) { end(id, answer{err: err}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	return func(ctx context.Context, body string) (string, error) {
		done := make(chan answer, 1)
		mu.Lock()
		last++
		id := fmt.Sprint(last)
		waiting[id] = done
		mu.Unlock()
		if err := inbox.Request(ctx, "calls", client.Message{CorrelationID: id, Body: []byte(body)}); err != nil {
			return "", err
		}
		select {
		case a := <-done:
			return a.body, a.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
