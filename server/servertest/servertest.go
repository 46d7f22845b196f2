// Package servertest runs a whole switch inside a test, as net/http/httptest
// does for HTTP: a real server over an in-memory connection, without a port.
//
// It works inside testing/synctest, so that a test of five minutes of leases
// takes a millisecond.
package servertest

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/d3b0a776/switch/server"
)

// Switch is a running switch. It ends with its test.
type Switch struct {
	*server.Server
	addr string
}

// New starts a switch that is reached by Conn alone. The zero config is right
// for most tests; more than one is an error.
func New(tb testing.TB, config ...server.Config) *Switch {
	tb.Helper()
	sw := open(tb, one(tb, config))
	tb.Cleanup(func() { _ = sw.Close() })
	return sw
}

func open(tb testing.TB, cfg server.Config) *Switch {
	tb.Helper()
	s, err := server.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return &Switch{Server: s}
}

// Listen starts a switch that besides listens on a free port of the loopback
// interface; Addr is its address.
func Listen(tb testing.TB, config ...server.Config) *Switch {
	tb.Helper()
	cfg := one(tb, config)
	if len(cfg.Listen) == 0 {
		cfg.Listen = []string{"127.0.0.1:0"}
	}
	sw := open(tb, cfg)
	if err := sw.Listen(); err != nil {
		tb.Fatal(err)
	}
	sw.addr = sw.Addrs()[0].String()
	done := make(chan error, 1)
	go func() { done <- sw.ListenAndServe(context.Background()) }() // the cleanup waits for it
	tb.Cleanup(func() {
		_ = sw.Close()
		if err := <-done; err != nil {
			tb.Errorf("the switch ended with: %v", err)
		}
	})
	return sw
}

func one(tb testing.TB, config []server.Config) (cfg server.Config) {
	tb.Helper()
	switch len(config) {
	case 0:
	case 1:
		cfg = config[0]
	default:
		tb.Fatal("servertest takes one server.Config at most")
	}
	return cfg
}

// Conn is a connection to the switch; it closes with it.
func (sw *Switch) Conn() *grpc.ClientConn { return sw.InProcess() }

// Addr is the address of a switch that was started with Listen: "HOST:PORT".
func (sw *Switch) Addr() string { return sw.addr }
