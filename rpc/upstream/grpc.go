package upstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// maxMessage is the largest message or body taken from an upstream, in bytes: the
// largest payload that a switch can be configured for. A smaller limit of its own
// the switch names itself.
const maxMessage = 64 << 20

// deadHeat is how much earlier a deadline may be noticed elsewhere.
const deadHeat = 10 * time.Millisecond

// redial is quick: an upstream is near, and soon back when it is restarted.
var redial = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// GRPC answers the calls of any gRPC service, of all four kinds, by way of a gRPC
// server. It is safe for concurrent use.
type GRPC struct {
	addr   string
	bound  time.Duration
	conn   *grpc.ClientConn
	server *grpcqueue.Server
	wg     sync.WaitGroup // of who passes requests on
}

// NewGRPC makes one for the server at "HOST:PORT" or "unix:///PATH", without encryption
// unless opts say otherwise. A call that the server has not answered after bound
// fails; zero means that only the caller's deadline counts. It does no I/O.
func NewGRPC(addr string, bound time.Duration, opts ...grpc.DialOption) (*GRPC, error) {
	own := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(redial),
		grpc.WithStatsHandler(watcher{}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(grpcqueue.RawCodec{}), grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithDisableRetry(), // the switch does that
	}
	conn, err := grpc.NewClient(addr, append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", addr, err)
	}
	u := &GRPC{addr: addr, bound: bound, conn: conn}
	u.server = grpcqueue.NewServer(grpcqueue.ServerCodec(grpcqueue.RawCodec{}), grpcqueue.UnknownService(u.answer))
	return u, nil
}

// Handle answers one call. It is an [rpc.Handler].
func (u *GRPC) Handle(ctx context.Context, req *rpc.Request) ([]byte, error) {
	return u.server.Handle(ctx, req)
}

// Metadata is for the description of the service, in a client.ServiceInfo: with it the
// reflection of a gateway lists the service.
func (u *GRPC) Metadata() map[string]string {
	return map[string]string{grpcqueue.ProtocolKey: grpcqueue.ProtocolGRPC}
}

// Close closes the connection to the server. It comes after rpc.Serve has returned.
func (u *GRPC) Close() error {
	u.wg.Wait()
	return u.conn.Close()
}

// answer passes one call on.
func (u *GRPC) answer(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in) // a call from a queue has one
	md, _ := metadata.FromIncomingContext(in.Context())
	seen := &progress{}
	ctx := context.WithValue(metadata.NewOutgoingContext(in.Context(), md), progressKey{}, seen)
	ctx, cancel := timed(ctx, u.bound)
	defer cancel()
	out, err := u.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err == nil {
		r := grpcqueue.Relay{In: in, Out: out}
		u.wg.Go(r.Requests) // ends with the call's context
		err = r.Replies()
	}
	switch {
	case err == nil || in.Context().Err() != nil:
		return err
	case seen.answered.Load() && !late(ctx, err):
		return err
	}
	return u.blame(err, seen.sent.Load())
}

// late says whether a status is the end of the upstream's time, which the server may
// notice a moment before us: it has been told when that is.
func late(ctx context.Context, err error) bool {
	deadline, is := ctx.Deadline()
	return is && status.Code(err) == codes.DeadlineExceeded && time.Until(deadline) <= deadHeat
}

// blame sorts the statuses that gRPC makes up when it has none from the server, to whom
// the call was sent or not.
func (u *GRPC) blame(err error, sent bool) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.DeadlineExceeded:
		return blame(codes.DeadlineExceeded, ReasonTimeout, u.addr, "did not answer in time", nil)
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown:
		if !sent {
			return blame(codes.Unavailable, ReasonUnreachable, u.addr, "can't be reached: "+s.Message(), nil)
		}
		return blame(codes.Unavailable, ReasonBroken, u.addr, "broke off before its answer was whole: "+s.Message(), nil)
	default: // a limit of ours or of the switch, which is named
		return err
	}
}

// progressKey is under what the context of a call has its *progress.
type progressKey struct{}

// progress is how far a call has come.
type progress struct {
	sent     atomic.Bool // there was a connection to send it by
	answered atomic.Bool // the server itself has sent the status
}

// watcher is a [stats.Handler] that notes the progress of calls: a status that gRPC makes up
// looks the same as the server's.
type watcher struct{}

// HandleRPC implements [stats.Handler].
func (watcher) HandleRPC(ctx context.Context, s stats.RPCStats) {
	seen, is := ctx.Value(progressKey{}).(*progress)
	if !is {
		return
	}
	switch s.(type) {
	case *stats.OutHeader:
		seen.sent.Store(true)
	case *stats.InTrailer:
		seen.answered.Store(true)
	}
}

// TagRPC implements [stats.Handler].
func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements [stats.Handler].
func (watcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements [stats.Handler].
func (watcher) HandleConn(context.Context, stats.ConnStats) {}
