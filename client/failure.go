package client

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Failure is what a reply carries instead of a result when a request failed: a
// handler's own error, or with a Reason the switch's word that no reply will
// come.
type Failure struct {
	// Code is the gRPC code. codes.OK is sent as codes.Unknown.
	Code codes.Code
	// Message is for people.
	Message string
	// Reason is set by the switch only: empty when the handler speaks. It is not
	// sent.
	Reason Reason
	// Metadata are details for programs.
	Metadata map[string]string
	// RetryAfter says after what time a retry makes sense. Zero: not said.
	RetryAfter time.Duration
	// Details are a handler's own, passed through untouched. At most 16 KiB.
	Details []*anypb.Any
	// Headers are those of the reply that carries the failure; nil means none.
	Headers map[string]string
}

// Error is the message; without one, the code.
func (f *Failure) Error() string {
	if f.Message == "" {
		return fmt.Sprintf("the request failed with %v", f.Code)
	}
	return f.Message
}

// Is compares by reason with the sentinels of this package.
func (f *Failure) Is(target error) bool { return isReason(f.Reason, target) }

// GRPCStatus is the failure as a status, with the handler's details.
func (f *Failure) GRPCStatus() *status.Status {
	return status.FromProto(&spb.Status{Code: int32(f.Code), Message: f.Message, Details: f.Details})
}

func (f *Failure) encode() ([]byte, error) {
	code := f.Code
	if code == codes.OK {
		code = codes.Unknown
	}
	return proto.Marshal(&pb.Failure{
		Code:         int32(code),
		Message:      f.Message,
		Metadata:     f.Metadata,
		RetryAfterMs: toMillis(f.RetryAfter),
		Details:      f.Details,
	})
}

func decodeFailure(b []byte) (*Failure, error) {
	var p pb.Failure
	if err := proto.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	return failure(&p), nil
}

func failure(p *pb.Failure) *Failure {
	return &Failure{
		Code:       codes.Code(p.GetCode()),
		Message:    p.GetMessage(),
		Reason:     reasonName(p.GetReason()),
		Metadata:   p.GetMetadata(),
		RetryAfter: millis(p.GetRetryAfterMs()),
		Details:    p.GetDetails(),
	}
}

// millis is a duration of the wire.
func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// toMillis is a duration for the wire, where zero has a meaning of its own: a
// shorter one than a millisecond is one.
func toMillis(d time.Duration) int64 {
	if d > 0 && d < time.Millisecond {
		return 1
	}
	return d.Milliseconds()
}
