package grpcqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testService = "grpc.testing.TestService"

// A world is a switch with a gateway, a caller and a server of grpc.testing's test
// service, each with a session of its own.
type world struct {
	*testing.T
	sw     *servertest.Switch
	caller *rpc.Caller
	impl   *impl
	server *client.Client    // of the last serve
	seen   map[string]string // headers of the last request that rawly has answered
}

// everyWay runs a test in fake time, once for each way that a generated client can
// take to the server.
func everyWay(t *testing.T, test func(w *world, c testpb.TestServiceClient)) {
	t.Helper()
	for name, conn := range map[string]func(*world) grpc.ClientConnInterface{
		"a Conn":      func(w *world) grpc.ClientConnInterface { return grpcqueue.NewConn(w.caller) },
		"the gateway": func(w *world) grpc.ClientConnInterface { return w.sw.Conn() },
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, func(w *world) {
				w.serve()
				test(w, testpb.NewTestServiceClient(conn(w)))
			})
		})
	}
}

// fake runs a test in fake time, without a server.
func fake(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		gateway := &grpcqueue.Gateway{}
		sw := servertest.New(t, server.Config{Unknown: gateway.Handle, Register: gateway.RegisterReflection})
		w := &world{T: t, sw: sw, impl: &impl{}}
		gateway.Start(w.dial("gateway"))
		w.caller = rpc.NewCaller(w.dial("caller"))
		t.Cleanup(func() {
			_ = w.caller.Close()
			_ = sw.Close() // ends the gateway's calls
			gateway.Close()
		})
		test(w)
	})
}

func (w *world) dial(name string) *client.Client {
	w.Helper()
	c, err := client.New(client.Config{Conn: w.sw.Conn(), Name: name})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// serve serves the test service until the test ends.
func (w *world) serve(opts ...grpcqueue.ServerOption) {
	w.Helper()
	s := grpcqueue.NewServer(opts...)
	testpb.RegisterTestServiceServer(s, w.impl)
	c := w.dial("server")
	w.server = c
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, c, rpc.Drain(time.Second)) }() // the cleanup waits for it
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, client.ErrClosed) {
			w.Errorf("serving ended with: %v", err)
		}
	})
	synctest.Wait()
}

// ctx is a context with a deadline that no test should reach.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.Cleanup(cancel)
	return ctx
}

// want checks a status, and the reason of the switch in it if there should be one.
func (w *world) want(err error, code codes.Code, text, reason string) {
	w.Helper()
	s, is := status.FromError(err)
	if !is || s.Code() != code || text != "" && s.Message() != text {
		w.Errorf("got %v (%v), want %v %q", err, s.Code(), code, text)
	}
	got := ""
	for _, d := range s.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is {
			got = info.GetReason()
		}
	}
	if got != reason {
		w.Errorf("the reason is %q, want %q", got, reason)
	}
}

// impl is the test service. What a method does, the request says.
type impl struct {
	testpb.UnimplementedTestServiceServer
	ended chan error // gets the causes of contexts that end; nil: nobody asks
}

// UnaryCall answers with a body of the size that is asked for; metadata that begins
// with "echo" comes back, as header and as trailer.
func (s *impl) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	echo(ctx)
	if st := req.GetResponseStatus(); st.GetCode() != 0 {
		return nil, failure(st)
	}
	if req.GetFillUsername() { // as good a flag as any: wait for the end
		<-ctx.Done()
		if s.ended != nil {
			s.ended <- context.Cause(ctx)
		}
		return nil, ctx.Err()
	}
	return &testpb.SimpleResponse{Username: string(req.GetPayload().GetBody()), Payload: &testpb.Payload{Body: make([]byte, req.GetResponseSize())}}, nil
}

// failure is a status with a detail.
func failure(st *testpb.EchoStatus) error {
	s, err := status.New(codes.Code(st.GetCode()), st.GetMessage()).WithDetails(&errdetails.ResourceInfo{ResourceName: "that one"})
	if err != nil {
		return err
	}
	return s.Err()
}

func echo(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("echo"); len(v) > 0 {
		_ = grpc.SetHeader(ctx, metadata.MD{"echo": v})
		_ = grpc.SetTrailer(ctx, metadata.MD{"echo": v, "late-bin": {"\x00\xff"}})
	}
}

// StreamingOutputCall sends a message for each size that is asked for.
func (s *impl) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, st testpb.TestService_StreamingOutputCallServer) error {
	echo(st.Context())
	for _, p := range req.GetResponseParameters() {
		if err := st.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	if req.GetResponseStatus() != nil {
		return failure(req.GetResponseStatus())
	}
	return nil
}

// StreamingInputCall adds up what it gets.
func (s *impl) StreamingInputCall(st testpb.TestService_StreamingInputCallServer) error {
	echo(st.Context())
	for sum := 0; ; {
		req, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return st.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			if s.ended != nil {
				s.ended <- err
			}
			return err
		}
		if string(req.GetPayload().GetBody()) == "enough" {
			return fmt.Errorf("I have enough")
		}
		sum += len(req.GetPayload().GetBody())
	}
}

// FullDuplexCall greets, and answers each request.
func (s *impl) FullDuplexCall(st testpb.TestService_FullDuplexCallServer) error {
	echo(st.Context())
	if err := st.SendHeader(metadata.Pairs("greeting", "hello")); err != nil {
		return err
	}
	for {
		req, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.StreamingOutputCall(req, st)
		}
		if err != nil {
			if s.ended != nil {
				s.ended <- err
			}
			return err
		}
	}
}
