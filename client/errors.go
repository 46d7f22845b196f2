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

// A sentinel is what errors.Is compares with. One with a reason stands for all
// errors of that reason.
type sentinel struct {
	reason Reason
	code   codes.Code
	text   string
}

func (s *sentinel) Error() string { return s.text }

// GRPCStatus lets status.Code hold for a bare sentinel.
func (s *sentinel) GRPCStatus() *status.Status { return status.New(s.code, s.text) }

// What the client itself has to say.
var (
	// ErrClosed says that the client, inbox or subscription was closed.
	ErrClosed error = &sentinel{"", codes.Canceled, "the client is closed"}
	// ErrSessionLost says that the session has ended, and with it leases, inboxes
	// and what waited for an answer. A message under a lost lease is delivered
	// again.
	ErrSessionLost error = &sentinel{"", codes.Unavailable, "the session with the switch was lost"}
	// ErrCallerGone says that nobody waits for the reply to a request any more: its
	// caller has cancelled it, or has lost its session. The lease is still held.
	ErrCallerGone error = &sentinel{"", codes.Canceled, "the caller of the request is gone"}
	// ErrUnreachable says that there is no connection to the switch.
	ErrUnreachable error = &sentinel{"", codes.Unavailable, "the switch can't be reached"}
)

// What the switch says: one for each Reason of the protocol. The set only grows.
var (
	ErrInvalid               error = &sentinel{"INVALID", codes.InvalidArgument, "invalid argument"}
	ErrQueueNotFound         error = &sentinel{"QUEUE_NOT_FOUND", codes.NotFound, "queue not found"}
	ErrQueueExists           error = &sentinel{"QUEUE_EXISTS", codes.FailedPrecondition, "queue exists with other options"}
	ErrQueueFull             error = &sentinel{"QUEUE_FULL", codes.ResourceExhausted, "queue full"}
	ErrQueueNotYours         error = &sentinel{"QUEUE_NOT_YOURS", codes.PermissionDenied, "queue is another session's"}
	ErrLeaseGone             error = &sentinel{"LEASE_GONE", codes.FailedPrecondition, "lease gone"}
	ErrLeaseNotYours         error = &sentinel{"LEASE_NOT_YOURS", codes.PermissionDenied, "lease is another session's"}
	ErrSessionRequired       error = &sentinel{"SESSION_REQUIRED", codes.Unauthenticated, "session required"}
	ErrSessionEnded          error = &sentinel{"SESSION_ENDED", codes.Unauthenticated, "session ended"}
	ErrTokenInvalid          error = &sentinel{"TOKEN_INVALID", codes.Unauthenticated, "session token invalid"}
	ErrSessionNotYours       error = &sentinel{"SESSION_NOT_YOURS", codes.PermissionDenied, "session is another principal's"}
	ErrNoConsumer            error = &sentinel{"NO_CONSUMER", codes.Unavailable, "nobody serves the queue"}
	ErrReplyQueueGone        error = &sentinel{"REPLY_QUEUE_GONE", codes.NotFound, "reply queue gone"}
	ErrSequenceTooOld        error = &sentinel{"SEQUENCE_TOO_OLD", codes.AlreadyExists, "sequence below the producer's window"}
	ErrConsumerNotFound      error = &sentinel{"CONSUMER_NOT_FOUND", codes.NotFound, "consumer not found"}
	ErrMessageNotFound       error = &sentinel{"MESSAGE_NOT_FOUND", codes.NotFound, "message not found"}
	ErrPayloadTooLarge       error = &sentinel{"PAYLOAD_TOO_LARGE", codes.InvalidArgument, "payload too large"}
	ErrLimitReached          error = &sentinel{"LIMIT_REACHED", codes.ResourceExhausted, "limit of the switch reached"}
	ErrShuttingDown          error = &sentinel{"SHUTTING_DOWN", codes.Unavailable, "the switch is shutting down"}
	ErrVersionUnsupported    error = &sentinel{"VERSION_UNSUPPORTED", codes.FailedPrecondition, "no common protocol version"}
	ErrDurabilityUnavailable error = &sentinel{"DURABILITY_UNAVAILABLE", codes.FailedPrecondition, "no durability without a data directory"}
	ErrCorrelationInUse      error = &sentinel{"CORRELATION_IN_USE", codes.AlreadyExists, "correlation id in use"}
	ErrNoReplyTo             error = &sentinel{"NO_REPLY_TO", codes.FailedPrecondition, "no reply wanted"}
	ErrExpired               error = &sentinel{"EXPIRED", codes.DeadlineExceeded, "request expired"}
	ErrAttemptsExhausted     error = &sentinel{"ATTEMPTS_EXHAUSTED", codes.Aborted, "attempts exhausted"}
	ErrRejected              error = &sentinel{"REJECTED", codes.Aborted, "request rejected"}
	ErrServerGone            error = &sentinel{"SERVER_GONE", codes.Unavailable, "the server of the request is gone"}
	ErrPurged                error = &sentinel{"PURGED", codes.Aborted, "request purged"}
	ErrQueueDestroyed        error = &sentinel{"QUEUE_DESTROYED", codes.NotFound, "queue destroyed"}
	ErrDropped               error = &sentinel{"DROPPED", codes.ResourceExhausted, "dropped from a full queue"}
	ErrSuperseded            error = &sentinel{"SUPERSEDED", codes.Aborted, "the session was attached by another stream"}
	ErrParentGone            error = &sentinel{"PARENT_GONE", codes.Canceled, "the call that it was made for is over"}
	ErrNotStarted            error = &sentinel{"NOT_STARTED", codes.Unavailable, "nobody began the request in time"}
	ErrCallCancelled         error = &sentinel{"CALL_CANCELLED", codes.Canceled, "an operator cancelled the call"}
	ErrProtocol              error = &sentinel{"PROTOCOL", codes.FailedPrecondition, "protocol violated"}
	ErrStreamBroken          error = &sentinel{"STREAM_BROKEN", codes.Aborted, "stream broken"}
	ErrNoStream              error = &sentinel{"NO_STREAM", codes.FailedPrecondition, "no stream under way"}
	ErrStreamNotAccepted     error = &sentinel{"STREAM_NOT_ACCEPTED", codes.FailedPrecondition, "stream not accepted"}
	ErrStreamGap             error = &sentinel{"STREAM_GAP", codes.FailedPrecondition, "part out of order"}
	ErrCallNotFound          error = &sentinel{"CALL_NOT_FOUND", codes.NotFound, "call not found"}
	ErrCallNotYours          error = &sentinel{"CALL_NOT_YOURS", codes.PermissionDenied, "call is another principal's"}
	ErrKeyReused             error = &sentinel{"KEY_REUSED", codes.FailedPrecondition, "key reused with another body"}
)

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
