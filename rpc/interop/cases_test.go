package interop

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// cases are grpc-go's own. What they find wrong they log as fatal.
var cases = []struct {
	name string
	run  func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)
}{
	{"empty_unary", interop.DoEmptyUnaryCall},
	{"large_unary", interop.DoLargeUnaryCall},
	{"client_streaming", interop.DoClientStreaming},
	{"server_streaming", interop.DoServerStreaming},
	{"ping_pong", interop.DoPingPong},
	{"empty_stream", interop.DoEmptyStream},
	{"timeout_on_sleeping_server", interop.DoTimeoutOnSleepingServer},
	{"cancel_after_begin", interop.DoCancelAfterBegin},
	{"cancel_after_first_response", interop.DoCancelAfterFirstResponse},
	{"custom_metadata", interop.DoCustomMetadata},
	{"status_code_and_message", interop.DoStatusCodeAndMessage},
	{"special_status_message", interop.DoSpecialStatusMessage},
}

// caseTime bounds each case. They take milliseconds.
const caseTime = 20 * time.Second

// runCases runs all of them, each as a test of its own.
func runCases(t *testing.T, conn grpc.ClientConnInterface) {
	t.Helper()
	grpclog.SetLoggerV2(fatal{})
	run := func(name string, f func(context.Context)) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTime)
			defer cancel()
			defer func() {
				if found, is := recover().(failed); is {
					t.Error(string(found))
				}
			}()
			f(ctx)
		})
	}
	for _, c := range cases {
		run(c.name, func(ctx context.Context) { c.run(ctx, testgrpc.NewTestServiceClient(conn)) })
	}
	run("unimplemented_service", func(ctx context.Context) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	})
	run("unimplemented_method", func(ctx context.Context) {
		if cc, is := conn.(*grpc.ClientConn); is {
			interop.DoUnimplementedMethod(ctx, cc)
			return
		}
		// The same for what is no *grpc.ClientConn.
		if err := conn.Invoke(ctx, "/grpc.testing.TestService/UnimplementedCall", nil, nil); status.Code(err) != codes.Unimplemented {
			panic(failed(fmt.Sprintf("Invoke() = %v, want %v", err, codes.Unimplemented)))
		}
	})
}

// failed is what a case has found wrong.
type failed string

// fatal is a grpclog.LoggerV2 that ends a case with a panic where grpc's own ends the
// process. It must not be used by goroutines other than the test's.
type fatal struct{ grpclog.LoggerV2 }

func (fatal) Info(...any)             {}
func (fatal) Infoln(...any)           {}
func (fatal) Infof(string, ...any)    {}
func (fatal) Warning(...any)          {}
func (fatal) Warningln(...any)        {}
func (fatal) Warningf(string, ...any) {}
func (fatal) Error(...any)            {}
func (fatal) Errorln(...any)          {}
func (fatal) Errorf(string, ...any)   {}
func (fatal) V(int) bool              { return false }
func (fatal) Fatal(args ...any)       { panic(failed(fmt.Sprint(args...))) }
func (fatal) Fatalln(args ...any)     { panic(failed(fmt.Sprintln(args...))) }
func (fatal) Fatalf(format string, args ...any) {
	panic(failed(fmt.Sprintf(format, args...)))
}

// The harness itself must notice: against a server that does nothing, every case that
// expects something fails.
func TestCasesBite(t *testing.T) {
	grpclog.SetLoggerV2(fatal{})
	for _, c := range cases {
		ctx, cancel := context.WithTimeout(t.Context(), caseTime)
		found := func() (found failed) {
			defer func() { found, _ = recover().(failed) }()
			c.run(ctx, testgrpc.NewTestServiceClient(nothing{}))
			return ""
		}()
		cancel()
		if found == "" {
			t.Errorf("%s passes against nothing", c.name)
		}
	}
}

// nothing is a connection on which every call ends well, and without an answer.
type nothing struct{}

func (nothing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return status.Error(codes.DataLoss, "nothing")
}

func (nothing) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, io.ErrUnexpectedEOF
}
