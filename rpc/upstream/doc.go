// Package upstream serves a queue by asking a server nearby that knows nothing of
// queues: a gRPC server with [GRPC], an HTTP server with [HTTP]. Only this process
// needs to reach it, and it dials out to the switch, so the server needs neither a
// port that others reach nor a change.
//
// Both have a Handle for rpc.Serve:
//
//	up, err := upstream.NewGRPC("127.0.0.1:50051", 0)
//	err = rpc.Serve(ctx, c, "pkg.Greeter", up.Handle)
//
// # Who failed
//
// What the server itself answers is passed on. When it does not answer, the failure
// says that it is the upstream, in its text and in an ErrorInfo with the domain
// [Domain] and the metadata "upstream", its address:
//
//	UPSTREAM_UNREACHABLE  there is no connection to it (Unavailable)
//	UPSTREAM_BROKEN       its connection or stream broke before the answer was whole (Unavailable)
//	UPSTREAM_TIMEOUT      it did not answer in time (DeadlineExceeded)
//	UPSTREAM_STATUS       HTTP alone: it answered with a status of 400 or more
//
// An upstream has a little less time than the call, a twentieth but at most 100 ms,
// so that the caller hears who was slow before his own time is over.
package upstream
