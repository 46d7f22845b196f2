package server

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// unknown has Config.Unknown answer the calls of services that the gRPC server does not
// have. gRPC asks it about unknown methods of services, too: those are refused, so
// that nobody else can answer a verb that this version of the switch lacks.
type unknown struct {
	s        *Server
	services map[string]grpc.ServiceInfo // those of the gRPC server; set before it serves
}

func (u *unknown) handle(srv any, ss grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(ss) // it is a gRPC server's, which has one
	service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	if _, ours := u.services[service]; ours {
		return status.Errorf(codes.Unimplemented, "unknown method %s for service %s", method, service)
	}
	if _, err := u.s.principal(ss.Context()); err != nil {
		return u.s.status(err)
	}
	ctx, cancel := context.WithCancel(ss.Context())
	defer cancel()
	go func() { // ends the call with the switch, as a long poll is; ends with the call
		select {
		case <-u.s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := u.s.config.Unknown(srv, &endingStream{ss, ctx})
	select {
	case <-u.s.stopping:
		if err != nil && ss.Context().Err() == nil {
			return u.s.status(&queue.Error{Kind: queue.ErrShuttingDown, Text: "the switch is shutting down; call again when it is back"})
		}
	default:
	}
	return err
}

// An endingStream is one whose context ends early.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements [grpc.ServerStream].
func (s *endingStream) Context() context.Context { return s.ctx }
