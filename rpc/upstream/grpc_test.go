package upstream

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/rpc"
)

// plain is a gRPC server that answers as it is told.
type plain struct {
	testpb.UnimplementedTestServiceServer
	held chan struct{} // gets one when a call has come that is not answered
	stop *grpc.Server
}

func (p *plain) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if req.GetFillUsername() { // as good a flag as any: no answer
		p.held <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if st := req.GetResponseStatus(); st.GetCode() != 0 {
		return nil, status.Error(codes.Code(st.GetCode()), st.GetMessage())
	}
	return &testpb.SimpleResponse{Username: "here"}, nil
}

// startPlain runs a gRPC server, and an upstream to it.
func startPlain(t *testing.T) (*plain, *GRPC) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &plain{held: make(chan struct{}, 1), stop: grpc.NewServer()}
	testpb.RegisterTestServiceServer(p.stop, p)
	served := make(chan error, 1)
	go func() { served <- p.stop.Serve(l) }() // the cleanup waits for it
	t.Cleanup(func() {
		p.stop.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return p, toPlain(t, l.Addr().String(), 0)
}

func toPlain(t *testing.T, addr string, bound time.Duration) *GRPC {
	t.Helper()
	u, err := NewGRPC(addr, bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// call calls UnaryCall as it looks in a queue.
func call(ctx context.Context, t *testing.T, u *GRPC, m *testpb.SimpleRequest) (string, error) {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	body, err = u.Handle(ctx, &rpc.Request{Body: body, Headers: map[string]string{"grpc-method": "/grpc.testing.TestService/UnaryCall"}})
	var res testpb.SimpleResponse
	if err == nil {
		err = proto.Unmarshal(body, &res)
	}
	return res.GetUsername(), err
}

// What the server says is passed on as it is, also when it says what gRPC says of a
// connection that broke.
func TestGRPCUpstreamAnswers(t *testing.T) {
	_, u := startPlain(t)
	if got, err := call(t.Context(), t, u, &testpb.SimpleRequest{}); err != nil || got != "here" {
		t.Errorf("got %q (%v)", got, err)
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		_, err := call(t.Context(), t, u, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: int32(code), Message: "I say so"}})
		if s := status.Convert(err); s.Code() != code || s.Message() != "I say so" || reasonOf(err) != "" {
			t.Errorf("%v comes as %v with %q", code, err, reasonOf(err))
		}
	}
}

// A server that is down, slow, breaks off or is none is named in the failure.
func TestGRPCUpstreamFails(t *testing.T) {
	fails := func(u *GRPC, what string, code codes.Code, reason string) {
		t.Helper()
		_, err := call(t.Context(), t, u, &testpb.SimpleRequest{FillUsername: true})
		if s := status.Convert(err); s.Code() != code || reasonOf(err) != reason || !strings.HasPrefix(s.Message(), "upstream "+u.addr+" ") {
			t.Errorf("%s: %v with %q, want %v with %q", what, err, reasonOf(err), code, reason)
		}
	}
	_, slow := startPlain(t)
	slow.bound = 50 * time.Millisecond
	fails(slow, "slow", codes.DeadlineExceeded, ReasonTimeout)
	p, u := startPlain(t)
	go func() { // ends with the call, which waits for it
		<-p.held
		p.stop.Stop()
	}()
	fails(u, "breaks off", codes.Unavailable, ReasonBroken)
	fails(u, "down", codes.Unavailable, ReasonUnreachable)
	web := httptest.NewServer(nil)
	t.Cleanup(web.Close)
	fails(toPlain(t, strings.TrimPrefix(web.URL, "http://"), 0), "no gRPC", codes.Unavailable, ReasonUnreachable)
}

// A server that comes up is used, also when it was not there before.
func TestGRPCUpstreamComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	u := toPlain(t, addr, 0)
	if _, err := call(t.Context(), t, u, &testpb.SimpleRequest{}); reasonOf(err) != ReasonUnreachable {
		t.Errorf("down: %v", err)
	}
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Skip("somebody else has taken the port: ", err)
	}
	s := grpc.NewServer()
	testpb.RegisterTestServiceServer(s, &plain{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }() // waited for below
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for got := ""; got == ""; {
		if got, err = call(ctx, t, u, &testpb.SimpleRequest{}); ctx.Err() != nil {
			t.Fatalf("it is never used: %v", err)
		}
	}
	s.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
