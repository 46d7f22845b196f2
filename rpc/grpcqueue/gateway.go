package grpcqueue

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

const (
	// A gateway knows whether a method streams if the service is described. If it is not,
	// most calls have one message and end with it, which shows at once: gRPC sends the
	// end along with the message. Those go as one request, so that who serves the queue
	// needs to know nothing of parts. A caller from whom nothing comes in firstWait, or
	// neither a second message nor the end in nextWait, is taken for one that streams.
	firstWait = 100 * time.Millisecond
	nextWait  = 20 * time.Millisecond
	// forever is longer than any call.
	forever = 1<<63 - 1
)

// A Gateway answers calls of gRPC services by way of their queues. To the switch all of
// them are its own, made in its client's name: whom to let in is the server's business. Its Handle is
// for a server whose codec takes *[]byte as a message's bytes, under
// grpc.UnknownServiceHandler. The zero value is one that has not been started.
type Gateway struct {
	inside atomic.Pointer[inside] // nil: not started
	wg     sync.WaitGroup         // of who passes messages on
	files  fileCache
}

// inside is how a gateway reaches the switch.
type inside struct {
	caller  *rpc.Caller
	routes  routes
	streams shares
}

var errNotStarted = status.Error(codes.Unavailable, "the gateway has not been started yet; retry")

// Start lets calls in, which go by way of c. It is called once.
func (g *Gateway) Start(c *client.Client) {
	g.inside.Store(&inside{caller: rpc.NewCaller(c), routes: routes{admin: c.Admin()}})
}

// Close waits for what the calls have left, once the gRPC server has ended them. It
// leaves the client open.
func (g *Gateway) Close() {
	g.wg.Wait()
	if in := g.inside.Load(); in != nil {
		_ = in.caller.Close() // nobody calls any more
	}
}

// Handle answers one call. It is a [grpc.StreamHandler].
func (g *Gateway) Handle(_ any, in grpc.ServerStream) error {
	inside := g.inside.Load()
	if inside == nil {
		return errNotStarted
	}
	method, _ := grpc.MethodFromServerStream(in) // it is a gRPC server's, which has one
	md, _ := metadata.FromIncomingContext(in.Context())
	route, md, err := inside.routes.of(in.Context(), method, md)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), md))
	defer cancel()
	messages := make(chan received)             // never closed
	g.wg.Go(func() { read(ctx, in, messages) }) // ends with the call

	conn := NewConn(inside.caller, Queue(route.queue))
	ahead, one := firstMessages(ctx, method, route, messages)
	if one && route.unary(method) {
		return unrouted(answerUnary(ctx, conn, method, ahead[0].body, in), method, route)
	}
	if err := inside.streams.take(route.queue); err != nil {
		return err
	}
	defer inside.streams.giveBack(route.queue)
	out, err := g.begin(ctx, conn, method, ahead, one, messages)
	if err != nil {
		return err
	}
	return unrouted((Relay{in, out}).Replies(), method, route)
}

// answerUnary answers a call of a method that has one message each way. It goes by the
// reply queue that all those calls share.
func answerUnary(ctx context.Context, conn *Conn, method string, body []byte, in grpc.ServerStream) error {
	var (
		header, trailer metadata.MD
		reply           []byte
	)
	err := conn.Invoke(ctx, method, &body, &reply, grpc.Header(&header), grpc.Trailer(&trailer), grpc.ForceCodecV2(RawCodec{}))
	in.SetTrailer(trailer)
	if worthSending(header) {
		if err := in.SetHeader(header); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return in.SendMsg(&reply)
}

// begin sends the request, in the form that the first messages call for: one is all,
// or those that came ahead and others that follow.
func (g *Gateway) begin(ctx context.Context, conn *Conn, method string, ahead []received, one bool, messages <-chan received) (grpc.ClientStream, error) {
	if one {
		return beginWithOne(ctx, conn, method, ahead[0].body)
	}
	out, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodecV2(RawCodec{}))
	if err != nil {
		return nil, err
	}
	g.wg.Go(func() { forward(ctx, out, ahead, messages) }) // ends with ctx
	return out, nil
}

// firstMessages waits for what must be known before the request is sent: the one
// message of a call that has one, or that there are more.
func firstMessages(ctx context.Context, method string, route route, messages <-chan received) (ahead []received, one bool) {
	kind, known := route.kind(method)
	if known && kind.ClientStreaming {
		return nil, false
	}
	patience := firstWait
	if known {
		patience = forever
	}
	first, came := await(ctx, messages, patience)
	if !came {
		return nil, false
	}
	ahead = []received{first}
	if first.err != nil || known {
		return ahead, first.err == nil
	}
	next, came := await(ctx, messages, nextWait)
	switch {
	case came && next.err == io.EOF: //nolint:errorlint // RecvMsg never wraps it
		return ahead, true
	case came:
		ahead = append(ahead, next)
	}
	return ahead, false
}

// beginWithOne sends a request that has its one message in it.
func beginWithOne(ctx context.Context, conn *Conn, method string, body []byte) (grpc.ClientStream, error) {
	out, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodecV2(RawCodec{}))
	if err != nil {
		return nil, err
	}
	return out, out.SendMsg(&body)
}

// A received is what came of one RecvMsg.
type received struct {
	body []byte
	err  error
}

// read receives what the caller sends, until that ends or ctx does.
func read(ctx context.Context, in grpc.ServerStream, to chan<- received) {
	for {
		var m received
		m.err = in.RecvMsg(&m.body)
		select {
		case to <- m:
		case <-ctx.Done():
			return
		}
		if m.err != nil {
			return
		}
	}
}

// await waits for what comes next, but not for long.
func await(ctx context.Context, messages <-chan received, wait time.Duration) (m received, came bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case m = <-messages:
		return m, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return received{}, false
}

// forward passes the messages of the caller on, first those that came ahead.
func forward(ctx context.Context, out grpc.ClientStream, ahead []received, messages <-chan received) {
	for {
		var m received
		if len(ahead) > 0 {
			m, ahead = ahead[0], ahead[1:]
		} else {
			select {
			case m = <-messages:
			case <-ctx.Done():
				return
			}
		}
		if m.err != nil {
			if m.err == io.EOF { //nolint:errorlint // RecvMsg never wraps it
				_ = out.CloseSend() // who receives tells what is wrong
			}
			return
		}
		if out.SendMsg(&m.body) != nil {
			return
		}
	}
}

// unrouted tells the caller of a service without a queue what was looked for.
func unrouted(err error, method string, route route) error {
	s := status.Convert(err)
	if s.Code() != codes.Unimplemented || reasonOf(s) != client.ReasonOf(client.ErrQueueNotFound) {
		return err
	}
	service, _, _ := splitMethod(method) // it was split before
	p := s.Proto()
	p.Message = "unknown service " + service + ": the switch does not have it, nobody says that he serves it, and there is no queue of that name;" +
		" serve that queue, or name another in the metadata " + queueKey
	if route.named {
		p.Message = "unknown service " + service + ": the switch does not have it, and there is no queue " + route.queue +
			", which the metadata " + queueKey + " names"
	}
	return status.FromProto(p).Err()
}
