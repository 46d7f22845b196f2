package rpc

import (
	"maps"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A CallOption changes one [Caller.Call] or [Caller.Do].
type CallOption interface {
	applyToCall(*client.Message)
}

// A ServeOption changes one [Serve].
type ServeOption interface {
	applyToServe(*serveConfig)
}

// An Option is good for calling and for serving.
type Option interface {
	CallOption
	ServeOption
}

// WithHeaders adds headers to the request, over those that it has. The map is
// not changed.
func WithHeaders(headers map[string]string) CallOption { return withHeaders(headers) }

type withHeaders map[string]string

func (h withHeaders) applyToCall(m *client.Message) {
	if len(m.Headers) == 0 {
		m.Headers = h
		return
	}
	m.Headers = maps.Clone(m.Headers)
	maps.Copy(m.Headers, h)
}

// WithMaxAttempts bounds how often the request may be delivered. Zero means the
// queue's max_attempts, which is 5 unless it was made otherwise. With 1 it runs
// at most once: as soon as the session of the server that has it has ended, the
// caller is told, instead of being served by another.
func WithMaxAttempts(n int) CallOption { return withMaxAttempts(n) }

type withMaxAttempts int

func (n withMaxAttempts) applyToCall(m *client.Message) { m.MaxAttempts = int(n) }

// WithKey gives the request an idempotency key, so that it may be called again
// until there is a reply, by this caller or another one: the first call with a key
// runs, and the others, with the same queue, key and body, join it and get its
// reply, which the switch keeps for [KeyTTL]. A handler's error is a reply and
// kept; a call that ends without one (its time was over, it was cancelled or
// dead-lettered) frees its key, and the next one runs anew.
//
// A call with a key survives what ends others with [OriginTransport]: it is sent
// again. See docs/keys.md for what a handler may still see twice. At most 255 bytes.
func WithKey(key string) CallOption { return withKey(key) }

type withKey string

func (k withKey) applyToCall(m *client.Message) { m.Key = string(k) }

// KeyTTL is how long the reply to a call with a key is kept, from when it was
// given; the first call with the key decides. Zero means 10 minutes; at least 1 s,
// at most 24 h.
func KeyTTL(d time.Duration) CallOption { return keyTTL(d) }

type keyTTL time.Duration

func (d keyTTL) applyToCall(m *client.Message) { m.KeyTTL = time.Duration(d) }

// RequireServer makes the call fail with client.ErrNoConsumer when nobody serves
// the queue: at once, or as soon as the last server goes while the request
// waits.
func RequireServer() CallOption { return requireServer{} }

type requireServer struct{}

func (requireServer) applyToCall(m *client.Message) { m.RequireConsumer = true }

// StartWithin makes the call fail with client.ErrNotStarted when no server has begun
// it by then; what has been begun goes on. Zero means that it waits as long as the
// call does, which is also what a call without this option does; at most 30 days.
func StartWithin(d time.Duration) CallOption { return startWithin(d) }

type startWithin time.Duration

func (d startWithin) applyToCall(m *client.Message) { m.StartWithin = time.Duration(d) }

// ChildOf makes the call one for the request of this message id: it ends when that
// one is cancelled or fails, but not when it is answered. Calls in a handler's
// context are its request's without this option. An empty id changes nothing.
func ChildOf(messageID string) CallOption { return childOf(messageID) }

type childOf string

func (id childOf) applyToCall(m *client.Message) {
	if id != "" {
		m.Parent = string(id)
	}
}

// OnItsOwn makes a call in a handler's context one that does not end when the
// request that the handler works on is cancelled or fails. It ends with its own
// context all the same: give it one by context.WithoutCancel.
func OnItsOwn() CallOption { return onItsOwn{} }

type onItsOwn struct{}

// noParent is the Parent of a call that is on its own. No message has such an id.
const noParent = "-"

func (onItsOwn) applyToCall(m *client.Message) { m.Parent = noParent }

// CreateQueue makes the queue with these options if it is missing; an existing
// queue keeps its own. Without this option a call to a missing queue fails with
// client.ErrQueueNotFound, so that a mistyped name is noticed, while Serve makes
// the queue with the switch's default options.
func CreateQueue(o client.QueueOptions) Option { return createQueue{&o} }

type createQueue struct{ options *client.QueueOptions }

func (c createQueue) applyToCall(m *client.Message)  { m.Create = c.options }
func (c createQueue) applyToServe(conf *serveConfig) { conf.create = c.options }

// NoCreate makes Serve fail with client.ErrQueueNotFound when the queue is
// missing.
func NoCreate() ServeOption { return createQueue{nil} }

// defaultConcurrency hides the latency of handlers that wait for others, and is
// few enough not to take much work away from another server of the queue.
const defaultConcurrency = 64

// Concurrency bounds how many handlers run at once. It is also how many requests
// this process takes off the queue at a time, so that the others stay free for
// other servers. Zero means 64; at most 65,536.
func Concurrency(n int) ServeOption { return concurrency(n) }

type concurrency int

func (n concurrency) applyToServe(conf *serveConfig) {
	conf.concurrency = defaultConcurrency
	if n != 0 {
		conf.concurrency = int(n)
	}
}

// Lease says how long this process may be silent about a request before the
// switch gives it to another server. It is no bound on the handler: while that
// runs, Serve extends the lease every third of it. Zero means the queue's own, 30 s
// unless it was made otherwise; at least 100 ms, at most 12 h.
func Lease(d time.Duration) ServeOption { return lease(d) }

type lease time.Duration

func (d lease) applyToServe(conf *serveConfig) { conf.lease = time.Duration(d) }

// defaultDrain is below the 30 s that service managers and orchestrators allow by
// default between asking a process to end and killing it, and equals the
// switch's own bound.
const defaultDrain = 20 * time.Second

// Drain bounds how long Serve waits for running handlers when its context has
// ended. Without this option it is 20 s; zero cancels them at once.
func Drain(d time.Duration) ServeOption { return drain(d) }

type drain time.Duration

func (d drain) applyToServe(conf *serveConfig) { conf.drain = max(time.Duration(d), 0) }

// OnError has f called with what goes wrong beside the replies: a *[PanicError]
// of a handler, a lost lease, a lost session after which Serve subscribes anew.
// The calls come from several goroutines at once, and f should not block.
// Without this option these errors are dropped, but the callers are told all
// that concerns them either way.
func OnError(f func(error)) ServeOption { return onError(f) }

type onError func(error)

func (f onError) applyToServe(conf *serveConfig) { conf.onError = f }

// serveConfig is what the options of Serve set.
type serveConfig struct {
	concurrency int
	lease       time.Duration
	drain       time.Duration
	window      int                  // bytes of a stream; zero: the switch's default
	create      *client.QueueOptions // nil: do not create
	onError     func(error)          // nil: nobody listens

	interceptors []ServeInterceptor  // the first is the outermost
	info         *client.ServiceInfo // nil: it is not described
}

func newServeConfig(opts []ServeOption) serveConfig {
	conf := serveConfig{
		concurrency: defaultConcurrency,
		drain:       defaultDrain,
		create:      new(client.QueueOptions),
	}
	for _, o := range opts {
		o.applyToServe(&conf)
	}
	return conf
}
