package grpcqueue

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
)

// A ServerOption changes a [Server].
type ServerOption interface{ applyToServer(*Server) }

type serverOption func(*Server)

func (f serverOption) applyToServer(s *Server) { f(s) }

// UnaryInterceptor runs the handlers of unary methods inside interceptors, the
// first outermost. Given again, it adds to those.
func UnaryInterceptor(i ...grpc.UnaryServerInterceptor) ServerOption {
	return serverOption(func(s *Server) { s.unary = append(s.unary, i...) })
}

// StreamInterceptor runs the handlers of methods that stream inside interceptors,
// the first outermost. Given again, it adds to those.
func StreamInterceptor(i ...grpc.StreamServerInterceptor) ServerOption {
	return serverOption(func(s *Server) { s.stream = append(s.stream, i...) })
}

// ServerCodec encodes and decodes all messages with c. Without it they are protobuf.
func ServerCodec(c encoding.CodecV2) ServerOption {
	return serverOption(func(s *Server) { s.codec = c })
}

// UnknownService has h answer the calls of methods that are not registered, as
// streams both ways. Without it they are Unimplemented.
func UnknownService(h grpc.StreamHandler) ServerOption {
	return serverOption(func(s *Server) { s.unknown = h })
}

// chainUnary makes one interceptor of several; nil of none.
func chainUnary(is []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	if len(is) == 0 {
		return nil
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		for i := len(is) - 1; i >= 0; i-- {
			next, outer := h, is[i]
			h = func(ctx context.Context, req any) (any, error) { return outer(ctx, req, info, next) }
		}
		return h(ctx, req)
	}
}

// withInterceptors is h inside of all interceptors.
func withInterceptors(is []grpc.StreamServerInterceptor, info *grpc.StreamServerInfo, h grpc.StreamHandler) grpc.StreamHandler {
	for i := len(is) - 1; i >= 0; i-- {
		next, outer := h, is[i]
		h = func(srv any, ss grpc.ServerStream) error { return outer(srv, ss, info, next) }
	}
	return h
}
