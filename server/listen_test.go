package server_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// socketPath is a path that is short enough for a socket.
func socketPath(t *testing.T) string {
	dir, err := os.MkdirTemp("", "switch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

// One switch may listen at many addresses.
func TestListensEverywhere(t *testing.T) {
	path := socketPath(t)
	sw := servertest.Listen(t, server.Config{Listen: []string{"127.0.0.1:0", "unix://" + path, "127.0.0.1:0"}})
	if len(sw.Addrs()) != 3 || sw.Addrs()[1].String() != path {
		t.Errorf("it listens at %v", sw.Addrs())
	}
	for _, target := range []string{sw.Addrs()[0].String(), "unix://" + path, sw.Addrs()[2].String()} {
		if _, err := pb.NewDataServiceClient(connect(t, target)).Login(t.Context(), &pb.LoginRequest{}); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// An address in use is named, and the others are given back.
func TestAddressInUse(t *testing.T) {
	taken := servertest.Listen(t).Addr()
	path := socketPath(t)
	sw := server.New(server.Config{Listen: []string{"unix://" + path, taken}})
	defer func() { _ = sw.Close() }()
	err := sw.Listen()
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error is %v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatalf("the socket was kept: %v", err)
	}
	_ = l.Close()
}

// A socket that a killed switch left behind is taken over; one that is served
// is not.
func TestAbandonedSocket(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other := server.New(server.Config{Listen: []string{"unix://" + path}})
	defer func() { _ = other.Close() }()
	if err := other.Listen(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("two listen at %s: %v", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	sw := servertest.Listen(t, server.Config{Listen: []string{"unix://" + path}})
	if _, err := pb.NewDataServiceClient(connect(t, "unix://"+path)).Login(t.Context(), &pb.LoginRequest{}); err != nil {
		t.Errorf("%v: %v", sw.Addrs(), err)
	}
}

// What can't be listened at is named.
func TestBadAddress(t *testing.T) {
	for _, addr := range []string{"nonsense", "127.0.0.1:99999", "unix:///nowhere/at/all"} {
		sw := server.New(server.Config{Listen: []string{addr}})
		if err := sw.ListenAndServe(t.Context()); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v", addr, err)
		}
		_ = sw.Close()
	}
}
