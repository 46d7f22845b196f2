// Package grpcqueue takes any gRPC service through a queue of the message switch:
// generated clients and servers stay as they are, and neither needs to know where
// the other is.
//
//	generated client ── Conn ──▶ queue ──▶ Server ── your implementation
//	any gRPC client ─▶ Gateway ──▶ queue ──▶ upstream.GRPC ─▶ any gRPC server
//
// Each of the left goes with each of the right:
//
//   - [Conn] is a grpc.ClientConnInterface: NewGreeterClient(conn) calls through
//     the queue of its service.
//   - [Server] is a grpc.ServiceRegistrar: RegisterGreeterServer(s, impl), and
//     s.Serve takes calls from the queue of each service.
//   - [Gateway] answers, in a gRPC server, the calls of services that it does not
//     have, by way of a Conn. The daemon is such a server.
//   - upstream.GRPC, in package upstream, serves a queue by calling a gRPC server
//     nearby.
//
// docs/grpc.md says how a call looks in the queue, for other languages.
//
// # What is as in gRPC
//
// The four kinds of calls, status codes with message and details, header and
// trailer metadata, deadlines, cancellation, interceptors of a server, flow
// control, half-close, the call options Header, Trailer, OnFinish, ForceCodec and
// WaitForReady.
//
// # What is different
//
// A call waits in its queue until somebody serves it, where gRPC's fails at once:
// grpc.WaitForReady(false) makes it so. A request whose server dies before it
// has answered is given to another one, as often as the queue allows;
// rpc.WithMaxAttempts(1) makes it at most once. There is no peer, no compression,
// and metadata has the switch's limits: 64 values, 16 KiB.
//
// # Errors
//
// All errors of a Conn are gRPC statuses, as generated clients expect. One of the
// handler is passed on as it is. One of the switch has an ErrorInfo with its
// domain, messageswitch.v1, and its reason. A queue that does not exist is
// Unimplemented, and a message that is too large ResourceExhausted, as gRPC has it.
package grpcqueue
