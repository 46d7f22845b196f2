package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Reason says what went wrong, more exactly than a gRPC code: a name of the
// protocol's Reason without its prefix, such as "QUEUE_NOT_FOUND". Empty: the
// switch did not speak.
type Reason = string

// errorDomain is ErrorInfo's domain for the reasons of the protocol.
const errorDomain = "messageswitch.v1"

// Error is what a verb fails with: a refusal of the switch, which has a Reason,
// or the lack of an answer, which has none. errors.Is finds the sentinels of this
// package, status.Code the gRPC code.
//
// NotFound, InvalidArgument, PermissionDenied, ResourceExhausted and
// FailedPrecondition mean: certainly nothing was done. The other codes mean:
// unknown.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is the switch's; empty when it did not speak.
	Reason Reason
	// Message names the thing, the limit and what to do.
	Message string
	// Metadata are details for programs: "queue", "lease", "limit" and the like.
	Metadata map[string]string
	// RetryAfter says after what time a retry makes sense. Zero: not said.
	RetryAfter time.Duration

	cause error // nil: none beyond the reason
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap is the cause, such as the context's error or ErrSessionLost.
func (e *Error) Unwrap() error { return e.cause }

// Is compares by reason.
func (e *Error) Is(target error) bool { return isReason(e.Reason, target) }

// GRPCStatus lets status.Code and status.FromError work.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// invalidCode is the code of ErrInvalid.
const invalidCode = codes.InvalidArgument

func isReason(r Reason, target error) bool {
	s, ok := target.(*sentinel) //nolint:errorlint // Is looks at one error; errors.Is does the unwrapping
	return ok && r != "" && s.reason == r
}

// ReasonOf is the reason in err; empty if the switch did not speak.
func ReasonOf(err error) string {
	var (
		e *Error
		f *Failure
		s *sentinel
	)
	switch {
	case errors.As(err, &e):
		return e.Reason
	case errors.As(err, &f):
		return f.Reason
	case errors.As(err, &s):
		return s.reason
	}
	return ""
}

// reasonName is a Reason of the wire without its prefix. One that is newer than
// this client is kept as its number.
func reasonName(r pb.Reason) Reason {
	if r == pb.Reason_REASON_UNSPECIFIED {
		return ""
	}
	name := r.String()
	if len(name) > len("REASON_") && name[:len("REASON_")] == "REASON_" {
		return name[len("REASON_"):]
	}
	return name
}

// fromWire is a frame's Failure as an error.
func fromWire(f *pb.Failure) *Error {
	return &Error{
		Code:       codes.Code(f.GetCode()),
		Reason:     reasonName(f.GetReason()),
		Message:    f.GetMessage(),
		Metadata:   f.GetMetadata(),
		RetryAfter: millis(f.GetRetryAfterMs()),
	}
}

// fromCall is the error of a unary call or a stream: the switch's own, the
// context's, or the transport's. addr says where the switch should be.
func fromCall(err error, addr string) error {
	if own := (*Error)(nil); errors.As(err, &own) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &Error{Code: s.Code(), Message: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errorDomain {
				e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	if e.Reason != "" {
		return e
	}
	switch s.Code() {
	case codes.Unavailable:
		return unreachable(addr, s.Message())
	case codes.Canceled:
		e.cause = context.Canceled
	case codes.DeadlineExceeded:
		e.cause = context.DeadlineExceeded
	}
	return e
}

// unreachable says where there is no switch, and what to do. Of gRPC's reason it
// leaves the end, which is the system's own.
func unreachable(addr, why string) *Error {
	if _, dialing, ok := strings.Cut(why, "Error while dialing: "); ok {
		why = strings.TrimSuffix(dialing, `"`)
	}
	return &Error{
		Code:    codes.Unavailable,
		Message: fmt.Sprintf("no connection to the switch at %s: %s; is it running? start it with: switch serve", addr, why),
		cause:   ErrUnreachable,
	}
}

// ended is the error of a verb whose context ended first.
func ended(ctx context.Context, what string) error {
	err := ctx.Err()
	return &Error{Code: status.FromContextError(err).Code(), Message: what + ": " + err.Error(), cause: err}
}

// errLeaseLost is for what is done with a delivery of an earlier session.
func errLeaseLost(queue string) error {
	return &Error{
		Code:    codes.Unavailable,
		Reason:  "LEASE_GONE",
		Message: fmt.Sprintf("the session that held the message of queue %q was lost; it will be delivered again", queue),
		cause:   ErrSessionLost,
	}
}
