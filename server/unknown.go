package server

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unknown has Config.Unknown answer the calls of services that the gRPC server does not
// have. gRPC asks it about unknown methods of services, too: those are refused, so
// that nobody else can answer a verb that this version of the switch lacks.
type unknown struct {
	answer   grpc.StreamHandler
	services map[string]grpc.ServiceInfo // those of the gRPC server; set before it serves
}

func (u *unknown) handle(srv any, ss grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(ss) // it is a gRPC server's, which has one
	service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	if _, ours := u.services[service]; ours {
		return status.Errorf(codes.Unimplemented, "unknown method %s for service %s", method, service)
	}
	return u.answer(srv, ss)
}
