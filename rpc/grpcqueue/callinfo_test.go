package grpcqueue_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// credentials are added to a call's metadata.
type credentials struct {
	secure bool
	err    error
}

func (c credentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"echo": "secret"}, c.err
}

func (c credentials) RequireTransportSecurity() bool { return c.secure }

// What credentials say does not displace the context's metadata of the same key.
func TestCredentialsBesideMetadata(t *testing.T) {
	fake(t, func(w *world) {
		w.serve()
		ctx := metadata.AppendToOutgoingContext(w.ctx(), "echo", "one", "echo", "two")
		var header metadata.MD
		c := testpb.NewTestServiceClient(grpcqueue.NewConn(w.caller))
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&header), grpc.PerRPCCredentials(credentials{}))
		if want := []string{"secret", "one", "two"}; err != nil || !slices.Equal(header.Get("echo"), want) {
			t.Errorf("the server sees %q (%v), want %q as from gRPC", header.Get("echo"), err, want)
		}
	})
}

// The call options of gRPC that mean something through a queue do so for both forms of
// calls, and none is taken for granted that can't be kept.
func TestCallOptions(t *testing.T) {
	fake(t, func(w *world) {
		w.serve()
		c := testpb.NewTestServiceClient(grpcqueue.NewConn(w.caller))
		calls := map[string]func(opts ...grpc.CallOption) error{
			"unary": func(opts ...grpc.CallOption) error {
				_, err := c.UnaryCall(w.ctx(), &testpb.SimpleRequest{ResponseSize: 1000, Payload: &testpb.Payload{Body: make([]byte, 1000)}}, opts...)
				return err
			},
			"stream": func(opts ...grpc.CallOption) error {
				req := sized(1000)
				req.Payload = &testpb.Payload{Body: make([]byte, 1000)}
				st, err := c.StreamingOutputCall(w.ctx(), req, opts...)
				if err != nil {
					return err
				}
				if _, err = st.Recv(); err != nil {
					return err
				}
				if _, err = st.Recv(); err == nil {
					return errors.New("the stream does not end")
				}
				return nil
			},
		}
		for name, call := range calls {
			var header, trailer metadata.MD
			finished := 0
			err := call(grpc.Header(&header), grpc.Trailer(&trailer), grpc.PerRPCCredentials(credentials{}), grpc.OnFinish(func(err error) {
				finished++
				if err != nil {
					t.Errorf("%s: finished with %v", name, err)
				}
			}))
			if err != nil || finished != 1 || header.Get("echo") == nil || trailer.Get("echo") == nil {
				t.Errorf("%s: %v, finished %d times, header %q, trailer %q", name, err, finished, header, trailer)
			}
			w.want(call(grpc.MaxCallSendMsgSize(999), grpc.OnFinish(func(error) { finished++ })), codes.ResourceExhausted, "", "")
			if finished != 2 {
				t.Errorf("%s: a message that is too large does not finish the call", name)
			}
			w.want(call(grpc.MaxCallRecvMsgSize(999)), codes.ResourceExhausted, "", "")
			w.want(call(grpc.PerRPCCredentials(credentials{secure: true})), codes.Unauthenticated, "", "")
			w.want(call(grpc.PerRPCCredentials(credentials{err: errors.New("none")})), codes.Unauthenticated, "the credentials of this call: none", "")
			if err := call(grpc.UseCompressor("gzip"), grpc.CallContentSubtype("proto"), grpc.WaitForReady(true)); err != nil {
				t.Errorf("%s: options that mean nothing: %v", name, err)
			}
		}
	})
}
