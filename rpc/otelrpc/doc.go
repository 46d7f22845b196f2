// Package otelrpc makes OpenTelemetry spans of calls through a switch: one for the
// caller, one for the wait in the queue, one for the handler. It is three
// interceptors of package rpc, and depends on the API of OpenTelemetry alone: what
// becomes of the spans is the program's choice.
//
//	var spans otelrpc.Config
//	caller := rpc.NewCaller(c, rpc.InterceptCalls(otelrpc.Calls(spans)), rpc.InterceptStreams(otelrpc.Streams(spans)))
//	err := rpc.Serve(ctx, c, "resize", handler, rpc.InterceptServing(otelrpc.Serving(spans)))
//
// # The spans
//
//	call resize     CLIENT     the caller's, from Call to its return; "stream resize" of
//	│                          a stream, from its beginning until it is over
//	├─ wait resize  INTERNAL   from when the request was sent until its handler began
//	└─ serve resize SERVER     the handler's; CONSUMER when no reply is wanted
//	   └─ call …    CLIENT     what the handler calls, with its context
//
// The caller's span travels in the header traceparent. The wait and the handler's
// span are made where the handler runs, each attempt anew, and the wait of a later
// attempt includes the earlier ones. Where one side has no interceptor the trace
// goes on all the same: package rpc hands traceparent from a request to the calls
// that its handler makes.
//
// Pings have no span where they are answered. An interceptor sees what is inside
// of it: make these the outermost.
//
// # The attributes
//
// They are those of the semantic conventions for messaging and for RPC where
// there is one:
//
//	messaging.system, rpc.system.name  messageswitch
//	messaging.operation.name           call, stream, wait or serve
//	messaging.operation.type           send (call, stream) or process (serve)
//	messaging.destination.name         the queue
//	messaging.message.id               the request's; not known to its caller
//	messaging.message.body.size        in bytes, of the request; of a stream its first part
//	messageswitch.attempt              of the request, from 1
//	rpc.response.status_code           OK, NOT_FOUND …
//	error.type                         the same, when it is not OK
//	messageswitch.error.origin         who spoke: local, transport, switch or handler
//
// An error is recorded as an event. It is the span's status too: always for a
// caller; for a handler when it is the server's fault, by the conventions: UNKNOWN,
// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS, and a
// panic.
package otelrpc
