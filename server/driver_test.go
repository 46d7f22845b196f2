package server_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A driver does the verbs of one session, in one form of the protocol. Its
// errors are refusals, whichever way they came.
type driver interface {
	// do does one verb and waits for its answer.
	do(context.Context, proto.Message) (proto.Message, error)
	// next is the next delivery, or nil when none has come after the wait. With
	// no wait it looks at what the switch has done so far.
	next(ctx context.Context, wait time.Duration) (*pb.Delivery, error)
	// orphan is the next lease whose caller is gone; zero when the switch has
	// told of none after the wait.
	orphan(ctx context.Context, wait time.Duration) (lease uint64, err error)
	// rebind resumes a consumer after a reconnect, and asks for what it holds
	// beyond a lease.
	rebind(ctx context.Context, consumer, afterLease uint64) error
	// close ends the driver as a crash would: without a word to the switch.
	close()
}

// A form is one way to speak the protocol.
type form struct {
	name  string
	login func(context.Context, *grpc.ClientConn, *pb.LoginRequest) (driver, *pb.LoginResponse, error)
}

var forms = []form{
	{"unary", loginUnary},
	{"attach", loginAttach},
}

// A refusal is an error of the switch as data.
type refusal struct{ *pb.Failure }

func (r refusal) Error() string {
	return fmt.Sprintf("%v %s: %s", codes.Code(r.GetCode()), strings.TrimPrefix(r.GetReason().String(), "REASON_"), r.GetMessage())
}

// refusalOf reads a gRPC status; nil stays nil.
func refusalOf(err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	f := &pb.Failure{Code: int32(st.Code()), Message: st.Message()}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			f.Reason = pb.Reason(pb.Reason_value["REASON_"+d.GetReason()])
			f.Metadata = d.GetMetadata()
		case *errdetails.RetryInfo:
			f.RetryAfterMs = d.GetRetryDelay().AsDuration().Milliseconds()
		}
	}
	return refusal{f}
}
