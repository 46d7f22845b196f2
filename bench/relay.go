package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// Static HTTP/2 windows. A window that is given turns gRPC's own estimation off,
// with the pings that it sends.
const (
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// relayMax is the largest message of a stream: all callers' bodies of 1 MiB.
const relayMax = 64 << 20

// The relay's one method, and the metadata that says which queue a stream reads.
const (
	relayMethod = "/relay.Relay/Link"
	relayQueue  = "queue"
)

var relayStream = grpc.StreamDesc{StreamName: "Link", ServerStreams: true, ClientStreams: true}

// relayPeer is the limit: it forwards frames from stream to stream and does
// nothing of what makes a switch. No queues, leases, acks, limits or deadlines.
func relayPeer() *peer {
	return &peer{name: "relay", title: "bare gRPC relay",
		start:    func(l launch) (*exec.Cmd, error) { return relayCommand(job{Role: "relay", Addr: l.addr}) },
		ask:      relayAsk,
		respond:  relayRespond,
		caller:   relayCaller,
		producer: relayProducer,
		consumer: relayConsumer,
	}
}

// relayCommand is this binary as a relay.
func relayCommand(j job) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told, err := jobText(j)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), told)
	return cmd, err
}

func relayAsk(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// A relay knows who reads which queue.
type relay struct {
	mu    sync.RWMutex
	links map[string]*link // by queue; guarded by mu
}

// relayRole is the relay's process.
func relayRole(ctx context.Context, _ *child, j job) error {
	r := &relay{links: make(map[string]*link)}
	return serveRelay(ctx, j.Addr, r.serve)
}

// serveRelay serves streams until ctx ends.
func serveRelay(ctx context.Context, addr string, serve func(grpc.ServerStream) error) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	described := relayStream
	described.Handler = func(_ any, s grpc.ServerStream) error { return serve(s) }
	server := grpc.NewServer(grpc.ForceServerCodecV2(relayCodec{}), grpc.MaxRecvMsgSize(relayMax),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connectionWindow))
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "relay.Relay", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{described}}, nil)
	context.AfterFunc(ctx, server.Stop)
	return server.Serve(listener)
}

// serve forwards what comes in on a stream, and sends to each stream that it has
// touched once for each message that it received.
func (r *relay) serve(s grpc.ServerStream) error {
	own, err := r.enter(s)
	if err != nil {
		return err
	}
	var out touched
	return own.receive(func(f frame) error {
		to, err := r.reader(f.queue)
		if err != nil {
			return err
		}
		return out.append(to, f)
	}, out.flush)
}

// enter makes a stream known as the reader of the queue that it names.
func (r *relay) enter(s grpc.ServerStream) (*link, error) {
	md, _ := metadata.FromIncomingContext(s.Context())
	names := md.Get(relayQueue)
	if len(names) != 1 {
		return nil, errors.New("a stream must name its queue")
	}
	own := &link{stream: s}
	r.mu.Lock()
	r.links[names[0]] = own
	r.mu.Unlock()
	return own, s.SendHeader(nil) // now the other side knows that it is known
}

// reader is who reads a queue.
func (r *relay) reader(queue []byte) (*link, error) {
	r.mu.RLock()
	to := r.links[string(queue)]
	r.mu.RUnlock()
	if to == nil {
		return nil, fmt.Errorf("no queue %q", queue)
	}
	return to, nil
}

// dialRelay opens a stream that reads a queue.
func dialRelay(ctx context.Context, addr, queue string) (*link, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(relayCodec{}), grpc.MaxCallRecvMsgSize(relayMax)),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connectionWindow))
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(metadata.AppendToOutgoingContext(ctx, relayQueue, queue), &relayStream, relayMethod)
	if err != nil {
		return nil, err
	}
	_, err = stream.Header()
	return &link{stream: stream}, err
}

func relayRespond(ctx context.Context, addr string, ready func()) error {
	l, err := dialRelay(ctx, addr, target)
	if err != nil {
		return err
	}
	ready()
	err = l.receive(func(f frame) error {
		return l.append(frame{queue: f.replyTo, number: f.number, body: f.body})
	}, l.flush)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// relayReplies counts the reply queues of this process.
var relayReplies = struct {
	mu   sync.Mutex
	last int // guarded by mu
}{}

func relayCaller(ctx context.Context, addr string) (call, error) {
	return relayCalls(ctx, addr, target, callTimeout)
}

// relayCalls makes a connection for calls to a queue, each with that deadline.
func relayCalls(ctx context.Context, addr, to string, limit time.Duration) (call, error) {
	relayReplies.mu.Lock()
	relayReplies.last++
	replies := fmt.Sprintf("replies.%016d", relayReplies.last)
	relayReplies.mu.Unlock()
	l, err := dialRelay(ctx, addr, replies)
	if err != nil {
		return nil, err
	}
	var pending correlator
	// The receiving goroutine ends with the stream, which ends with ctx.
	go func() {
		_ = l.receive(func(f frame) error { // a call that gets no reply says so
			pending.deliver(f.number, slices.Clone(f.body))
			return nil
		}, func() error { return nil })
	}()
	queue, replyTo := []byte(to), []byte(replies)
	return func(ctx context.Context, request []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return pending.call(ctx, func(number uint64) error {
			return l.send(frame{queue: queue, replyTo: replyTo, number: number, body: request})
		})
	}, nil
}

// relayProducer sends when 64 KiB are pending, as nobody waits for what is sent.
func relayProducer(ctx context.Context, addr string) (*producer, error) {
	l, err := dialRelay(ctx, addr, "producer")
	if err != nil {
		return nil, err
	}
	queue := []byte(target)
	return &producer{
		workers: 1,
		publish: func(_ context.Context, body []byte) error { return l.append(frame{queue: queue, body: body}) },
		push:    l.flush,
		flush:   func(context.Context) error { return l.end() },
	}, nil
}

func relayConsumer(ctx context.Context, addr string, on func([]byte)) error {
	l, err := dialRelay(ctx, addr, target)
	if err != nil {
		return err
	}
	// The receiving goroutine ends with the stream, which ends with ctx.
	go func() {
		_ = l.receive(func(f frame) error { // what does not arrive is missed
			on(f.body)
			return nil
		}, func() error { return nil })
	}()
	return nil
}
