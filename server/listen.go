package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// listen binds one address: "HOST:PORT" or "unix:///PATH".
func listen(addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix://")
	if !isUnix {
		l, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen on %s: the address is in use; is another switch running? choose another address: %w", addr, err)
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		return l, nil
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		// Nobody answers there: a switch was killed and left its socket.
		if err = os.Remove(path); err == nil {
			l, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// abandoned reports whether a Unix socket has no listener any more.
func abandoned(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// inProcess is the connection of programs that embed the switch.
type inProcess struct {
	once     sync.Once
	listener *bufconn.Listener
	conn     *grpc.ClientConn
}

func newInProcess() *inProcess { return &inProcess{} }

// InProcess is a connection to the switch that leaves out the network: for
// client.Config.Conn, or for generated clients. It closes with the Server.
func (s *Server) InProcess() *grpc.ClientConn {
	s.local.once.Do(func() {
		l := bufconn.Listen(1 << 20)
		s.local.listener = l
		conn, err := grpc.NewClient("passthrough:///in-process",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxStreamMessage(MaxPayloadLimit))))
		if err != nil {
			panic("in-process connection: " + err.Error()) // the target is a constant
		}
		s.local.conn = conn
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serveLocked(l)
	})
	return s.local.conn
}

func (p *inProcess) close() {
	p.once.Do(func() {}) // from here on nobody makes one
	if p.conn != nil {
		_ = p.conn.Close()
		_ = p.listener.Close()
	}
}

// buildVersion is the module's version, or the commit, or "dev".
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}
