package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

const queue = "grpc.testing.TestService"

// Generated code on both sides in Go: a Conn, a queue, a Server.
func TestThroughAConn(t *testing.T) {
	sw := servertest.New(t)
	serve(t, sw.Conn())
	runCases(t, grpcqueue.NewConn(caller(t, sw.Conn())))
}

// Any gRPC client: a plain connection to a switch with a gateway, a queue, a Server.
func TestThroughTheGateway(t *testing.T) {
	gateway := &grpcqueue.Gateway{}
	sw := servertest.Listen(t, server.Config{Unknown: gateway.Handle, Register: gateway.RegisterReflection})
	gateway.Start(connect(t, sw.Conn()))
	serve(t, sw.Conn())
	runCases(t, dial(t, sw.Addr()))
}

// Any gRPC client and any gRPC server, and processes of the switch between them: a
// plain connection, the daemon, a queue, switch serve --upstream, a plain server.
func TestThroughAnUpstream(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(plain, interop.NewTestServer())
	served := make(chan error, 1)
	go func() { served <- plain.Serve(l) }() // the cleanup waits for it
	t.Cleanup(func() {
		plain.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	bin := build(t)
	addr := start(t, "listening", bin, "serve", "--listen", "127.0.0.1:0", "--log-format", "json")
	if _, err := connect(t, dial(t, addr)).Create(t.Context(), queue, client.QueueOptions{}); err != nil { // so that no case comes too early
		t.Fatal(err)
	}
	start(t, "serving", bin, "serve", queue, "--upstream", l.Addr().String(), "--addr", addr, "--log-format", "json")
	runCases(t, dial(t, addr))
}

// caller makes a caller with a session of its own.
func caller(t *testing.T, conn grpc.ClientConnInterface) *rpc.Caller {
	t.Helper()
	c := rpc.NewCaller(connect(t, conn))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func connect(t *testing.T, conn grpc.ClientConnInterface) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// serve serves grpc-go's own test service from its queue.
func serve(t *testing.T, conn grpc.ClientConnInterface) {
	t.Helper()
	s := grpcqueue.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	c := connect(t, conn)
	if _, err := c.Create(t.Context(), queue, client.QueueOptions{}); err != nil { // so that no case comes too early
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, c, rpc.Drain(time.Second)) }() // the cleanup waits for it
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serving ended with: %v", err)
		}
	})
}

// dial is what any program does to call a gRPC server.
func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// build builds the command.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "switch")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/switch")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return bin
}

// start runs a process until the test ends, and waits for a line of its log, of which
// it gives the address.
func start(t *testing.T, line, bin string, args ...string) (addr string) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1)
	read := make(chan struct{})
	go func() { // reads the log to its end; the cleanup waits for it
		defer close(read)
		for s := bufio.NewScanner(log); s.Scan(); {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal(s.Bytes(), &entry) == nil && entry.Msg == line {
				lines <- entry.Addr
			}
			t.Logf("%s: %s", args[1], s.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd, err)
		}
	})
	select {
	case addr = <-lines:
	case <-time.After(caseTime):
		t.Fatalf("%v does not say %q", cmd, line)
	}
	return addr
}
