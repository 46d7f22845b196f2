package grpcqueue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

func TestUnary(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		ctx := metadata.AppendToOutgoingContext(w.ctx(), "echo", "one", "echo", "two")
		var header, trailer metadata.MD
		res, err := c.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("me")}, ResponseSize: 100_000},
			grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || res.GetUsername() != "me" || len(res.GetPayload().GetBody()) != 100_000 {
			w.Errorf("got %v (%v)", res.GetUsername(), err)
		}
		want := []string{"one", "two"}
		if !slices.Equal(header.Get("echo"), want) || !slices.Equal(trailer.Get("echo"), want) || !slices.Equal(trailer.Get("late-bin"), []string{"\x00\xff"}) {
			w.Errorf("header %q, trailer %q", header, trailer)
		}
		if _, err := c.UnaryCall(w.ctx(), &testpb.SimpleRequest{}); err != nil { // both messages take no bytes
			w.Errorf("an empty message: %v", err)
		}
	})
}

// A failure of the handler arrives with code, text, details and metadata, and
// nothing of the switch in it.
func TestUnaryFailure(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		ctx := metadata.AppendToOutgoingContext(w.ctx(), "echo", "x")
		var header, trailer metadata.MD
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: int32(codes.DataLoss), Message: "\tit's gone ☺\n"}},
			grpc.Header(&header), grpc.Trailer(&trailer))
		w.want(err, codes.DataLoss, "\tit's gone ☺\n", "")
		details := status.Convert(err).Details()
		if len(details) != 1 || !proto.Equal(details[0].(*errdetails.ResourceInfo), &errdetails.ResourceInfo{ResourceName: "that one"}) {
			w.Errorf("details %v", details)
		}
		if trailer.Get("echo") == nil {
			w.Errorf("header %q, trailer %q", header, trailer)
		}
	})
}

// What a client and a server do not agree about is told in gRPC's own codes, and who
// says so.
func TestBadCalls(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		_, err := c.UnimplementedCall(w.ctx(), &testpb.Empty{})
		w.want(err, codes.Unimplemented, "method UnimplementedCall not implemented", "")

		_, err = c.UnaryCall(w.ctx(), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 1<<20)}})
		w.want(err, codes.ResourceExhausted, "", "PAYLOAD_TOO_LARGE")
		_, err = c.UnaryCall(w.ctx(), &testpb.SimpleRequest{ResponseSize: 1 << 20})
		w.want(err, codes.ResourceExhausted, "", "")
	})
	fake(t, func(w *world) {
		w.serve()
		for name, conn := range map[string]grpc.ClientConnInterface{"a Conn": grpcqueue.NewConn(w.caller), "the gateway": w.sw.Conn()} {
			call := func(method, body string) error {
				w.Logf("%s: %s", name, method)
				args, reply := []byte(body), []byte(nil)
				return conn.Invoke(w.ctx(), method, &args, &reply, grpc.ForceCodecV2(grpcqueue.RawCodec{}))
			}
			err := call("/grpc.testing.TestService/Nonsense", "")
			w.want(err, codes.Unimplemented, "unknown method Nonsense for service grpc.testing.TestService", "")
			err = call("/grpc.testing.Missing/UnaryCall", "")
			w.want(err, codes.Unimplemented, "", "QUEUE_NOT_FOUND")
			err = call("/grpc.testing.TestService/UnaryCall", "\xff\xff")
			w.want(err, codes.InvalidArgument, "", "")
			if text := status.Convert(err).Message(); !strings.HasPrefix(text, "the request of 2 bytes is no *grpc_testing.SimpleRequest: ") {
				w.Error(text)
			}
			err = call("/grpc.testing.TestService/FullDuplexCall", "\xff\xff")
			w.want(err, codes.InvalidArgument, "", "")
		}
		garbled := testpb.NewTestServiceClient(grpcqueue.NewConn(w.caller, grpcqueue.Queue("garbled")))
		w.rawly("garbled", "\xff\xff")
		_, err := garbled.UnaryCall(w.ctx(), &testpb.SimpleRequest{})
		w.want(err, codes.Internal, "", "")
		if text := status.Convert(err).Message(); !strings.HasPrefix(text, "the reply of 2 bytes is no *grpc_testing.SimpleResponse: ") {
			w.Error(text)
		}
		_, err = w.caller.Call(w.ctx(), testService, []byte("no gRPC"))
		w.want(err, codes.InvalidArgument, `the request names no method: it has no header "grpc-method"`, "")
	})
}

// The deadline travels, and a call that is cancelled ends its handler.
func TestUnaryEnds(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		w.impl.ended = make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{FillUsername: true})
		w.want(err, codes.DeadlineExceeded, status.Convert(err).Message(), "")
		if cause := <-w.impl.ended; cause == nil {
			w.Error("the handler's context has no cause")
		}
		ctx, cancel = context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		_, err = c.UnaryCall(ctx, &testpb.SimpleRequest{FillUsername: true})
		w.want(err, codes.Canceled, status.Convert(err).Message(), "")
		if cause := <-w.impl.ended; cause == nil {
			w.Error("the handler's context has no cause")
		}
	})
}

// A call waits in the queue for its server, unless it is told not to.
func TestWaitForReady(t *testing.T) {
	fake(t, func(w *world) {
		conn := grpcqueue.NewConn(w.caller, grpcqueue.CallWith(rpc.CreateQueue(client.QueueOptions{})))
		c := testpb.NewTestServiceClient(conn)
		_, err := c.UnaryCall(w.ctx(), &testpb.SimpleRequest{}, grpc.WaitForReady(false))
		w.want(err, codes.Unavailable, "", "NO_CONSUMER")
		done := make(chan error)
		go func() { // waited for below
			_, err := c.UnaryCall(w.ctx(), &testpb.SimpleRequest{})
			done <- err
		}()
		time.Sleep(10 * time.Second)
		w.serve()
		if err := <-done; err != nil {
			w.Errorf("a call that came before its server: %v", err)
		}
	})
}

// Interceptors of a server see each call, the first outermost.
func TestServerInterceptors(t *testing.T) {
	fake(t, func(w *world) {
		var seen []string
		unary := func(name string) grpc.UnaryServerInterceptor {
			return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				seen = append(seen, name+info.FullMethod)
				return h(ctx, req)
			}
		}
		w.serve(grpcqueue.UnaryInterceptor(unary("1"), unary("2")))
		if _, err := testpb.NewTestServiceClient(grpcqueue.NewConn(w.caller)).UnaryCall(w.ctx(), &testpb.SimpleRequest{}); err != nil {
			w.Error(err)
		}
		const method = "/grpc.testing.TestService/UnaryCall"
		if want := []string{"1" + method, "2" + method}; !slices.Equal(seen, want) {
			w.Errorf("seen %q, want %q", seen, want)
		}
	})
}
