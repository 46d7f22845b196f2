// Package rpc calls and serves through a message switch. A queue name is the
// address: a [Caller] sends a request into a queue and waits for the reply,
// [Serve] takes requests from it and answers them, and neither knows where the
// other is, or whether it is there yet.
//
// It is all made of what package client exports, and adds no promise of its own
// to those of the switch: a request is delivered at least once, to one server at
// a time, and its reply at most once.
//
// # A call
//
//	caller                      switch                        server
//	Call ── request ──────────▶ queue ── delivery, lease ───▶ Handler
//	                                  ◀─ extend, lease/3 ────    │
//	     ◀───────────── reply queue ◀── reply = ack, one step ── returns
//
// All calls of a Caller share one temporary reply queue. A reply finds its call
// by the correlation id, a number that this Caller never uses twice. The
// client's receive loop looks the call up and wakes its goroutine: there is
// nothing between.
//
// The time left until the context's deadline travels with the request. The switch
// never delivers a request whose time is over, and the handler's context has the
// same deadline. [Timeout] is a deadline that costs less than a context's. A call
// without any waits until somebody serves it; [StartWithin] bounds that alone. One
// whose context ends returns at once: if the request still waits it is withdrawn,
// if it runs its handler's context ends and its reply is dropped.
//
// A call that is made with a handler's context belongs to the request that the
// handler works on: it ends when that one is cancelled, expires or fails, wherever
// it is by then, and not when that one is answered. [ChildOf] says so for others,
// and [OnItsOwn] the opposite.
//
// # What can go wrong, and who says so
//
// Every error of a call is an *[Error], and its [Origin] is who spoke:
//
//	local      this process: context over, Caller or client closed
//	transport  the session was lost and the reply queue with it; the code is Unavailable
//	switch     it refused the request or gave it up: nobody serves it (with
//	           [RequireServer]), its time is over, its attempts are used up, its
//	           server is gone, an operator removed it, the queue is full or gone
//	handler    it answered with an error; code, message and details are its own
//
// status.Code and errors.Is with the client's sentinels work on all of them. A
// lost connection is none of them: the client resumes the session, and the call
// goes on.
//
// When a server dies, its session ends after the grace, and another server gets
// the request: as often as the queue's max_attempts allows, then it goes to the
// dead-letter queue and the caller is told. With [WithMaxAttempts](1) there is
// no other server, and the caller is told as soon as the first one is gone.
// Calling again after an error makes a new request, unless the call has a key. (To
// repeat a Send without duplicating it is another matter: that is client.Message's
// Producer and Sequence.)
//
// # Keys
//
// Of calls [WithKey], one with each key runs, and all get its reply, which the
// switch keeps for [KeyTTL]; so such a call may be repeated by anybody until there
// is a reply. This package repeats it by itself when the session is lost with it.
// [Caller.Detach] sends one for which nobody waits yet, [Caller.Join] waits for it
// from anywhere. docs/keys.md has the rules, and what a handler may still see twice.
//
// # A server
//
// Serve takes as many requests off the queue as it runs handlers, 64 unless
// [Concurrency] says otherwise, and never more: what waits, waits in the queue,
// where other servers can take it. The client's receive loop gives the deliveries
// to a crew of goroutines, which are woken one by one for as long as there is
// more to do than those that are awake get done. The handler's goroutine sends
// the reply itself.
//
// A lease is extended for as long as its handler runs. One goroutine for each
// Serve does that for all handlers, every third of a lease, so a handler that is
// quicker costs neither a timer nor a message. If the lease turns out to be gone
// (an operator removed the request, or the session was lost), the handler's
// context ends with the cause client.ErrLeaseGone, and what the handler returns
// is dropped: another server may be at it. That is noticed with the next
// extension, after two thirds of a lease at the latest, and at once when the
// queue is destroyed or the client closed.
//
// When Serve's own context ends it drains: it unsubscribes, gives back what no
// handler has begun, and waits for the handlers. Those that are still there
// after the bound of [Drain] see their context end, and their requests go back
// to the queue, uncounted, as soon as they return, or a second later.
//
// A handler that panics answers Internal to its caller, without a word of
// what was on the stack. [OnError] gets value and stack.
//
// # Streams
//
// [Caller.Stream] makes a call whose request and reply may come in parts, in order
// and once: an LLM's tokens, or a body that is larger than the switch takes at a
// time. A handler sees it by [Request.Stream]; one that does not look answers with
// the reply alone.
//
//	caller                      switch                            server
//	Stream ── request ─────────▶ queue ── delivery, lease ───────▶ Handler
//	Receive ◀───── parts ─────── inbox ◀── up to a window ──────── Send
//	Send ──── up to a window ──▶ inbox ─────── parts ────────────▶ Receive
//	Receive ◀───── io.EOF ────── inbox ◀── reply, one step ─────── returns
//
// Each stream has inboxes of its own, and its [Window] bounds what the switch and
// the receiver hold of it: a slow receiver makes its sender wait, and nobody else.
// A stream outlives lost connections, as calls do, but not the session of either
// side, nor a restart of the switch: once a part has gone, the request is not tried
// again, and its caller is told (client.ErrStreamBroken). One that still waits in a
// durable queue survives a restart.
//
// # Values instead of bodies
//
// [Handle] makes a handler of a function of values, and [Invoke] calls one:
// protobuf messages travel in their binary form, everything else as JSON. Headers
// named "content-type" say which: application/protobuf or application/json. A
// handler of messages reads both and answers in kind, so that one line of JSON
// typed in a shell reaches it:
//
//	switch call users --body '{"name":"x"}'
//
// # Interceptors
//
// A [CallInterceptor] stands between a program and its calls, a [ServeInterceptor]
// between requests and their handler: for what all of them need, such as spans
// (package otelrpc), credentials, or a log. They are made once and called in the
// order in which they are given, the first one outermost. Those of a Caller see
// Call, Do, Ping and Invoke, a [StreamInterceptor] sees Stream; those of Serve see
// every request but pings, and with its stream if it has one.
//
// # Services
//
// With [Describe] a server says what it is: name, version, methods. The switch
// keeps that beside its subscription, counts what becomes of its requests, and
// shows both: to client.Admin's Services, and in switch service. [Caller.Ping]
// sends a request that such a server answers itself. In other languages a service
// is a field of Subscribe, and answers pings if it says so; see
// messageswitch.v1.ServiceInfo.
//
// # gRPC
//
// Package grpcqueue takes generated gRPC clients and servers through a queue, as
// they are; package upstream serves a queue by way of a gRPC or HTTP server nearby.
package rpc
