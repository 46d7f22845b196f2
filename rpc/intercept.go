package rpc

import "context"

// A CallFunc sends a request and waits for its reply, as [Caller.Do] does. It
// answers a Response or an error, never neither.
type CallFunc func(ctx context.Context, req Request, opts ...CallOption) (*Response, error)

// A CallInterceptor stands between a program and its calls: it makes the CallFunc
// that is called out of the next one. It may look at request and reply, change
// them, call next again or not at all. Headers belong to the program: who adds
// one does so in a copy, or with [WithHeaders].
type CallInterceptor func(next CallFunc) CallFunc

// A StreamFunc begins a stream, as [Caller.Stream] does.
type StreamFunc func(ctx context.Context, req Request, opts ...CallOption) (*Stream, error)

// A StreamInterceptor stands between a program and the beginnings of its streams,
// as a CallInterceptor does for calls. How a stream ends it learns when
// [Stream.Context] does.
type StreamInterceptor func(next StreamFunc) StreamFunc

// A ServeInterceptor stands between requests and their handler: it makes the
// Handler that is called out of the next one. It runs on the handler's goroutine
// and what holds for a Handler holds for it, so a panic in it is Internal to the
// caller. A request with a stream goes the same way: [Request.Stream] is there.
type ServeInterceptor func(next Handler) Handler

// A CallerOption changes a [Caller].
type CallerOption interface {
	applyToCaller(*Caller)
}

// InterceptCalls has the interceptors stand between the program and Call, Do and
// [Invoke]. The first is the outermost: it sees a request first and its reply
// last. Further ones, of the same option given again, are further in. Each
// makes its CallFunc once, in NewCaller.
func InterceptCalls(interceptors ...CallInterceptor) CallerOption {
	return callInterceptors(interceptors)
}

type callInterceptors []CallInterceptor

func (is callInterceptors) applyToCaller(c *Caller) { c.interceptors = append(c.interceptors, is...) }

// InterceptStreams has the interceptors stand between the program and Stream, in the
// order of [InterceptCalls].
func InterceptStreams(interceptors ...StreamInterceptor) CallerOption {
	return streamInterceptors(interceptors)
}

type streamInterceptors []StreamInterceptor

func (is streamInterceptors) applyToCaller(c *Caller) {
	c.streamInterceptors = append(c.streamInterceptors, is...)
}

// InterceptServing has the interceptors stand between the requests and the
// handler, in the order of [InterceptCalls]. Each makes its Handler once, in
// Serve. They see every request but pings; see [Describe].
func InterceptServing(interceptors ...ServeInterceptor) ServeOption {
	return serveInterceptors(interceptors)
}

type serveInterceptors []ServeInterceptor

func (is serveInterceptors) applyToServe(conf *serveConfig) {
	conf.interceptors = append(conf.interceptors, is...)
}

// intercepted is f behind the interceptors, the first one outermost.
func intercepted[F any, I ~func(F) F](f F, interceptors []I) F {
	for i := len(interceptors) - 1; i >= 0; i-- {
		f = interceptors[i](f)
	}
	return f
}
