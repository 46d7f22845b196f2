package client

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A sentinel is what errors.Is compares with. One with a reason stands for all
// errors of that reason.
type sentinel struct {
	reason Reason
	code   codes.Code
	text   string
}

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

// Error is what it stands for, in words.
func (s *sentinel) Error() string {
	return s.text
}

// GRPCStatus lets status.Code hold for a bare sentinel.
func (s *sentinel) GRPCStatus() *status.Status {
	return status.New(s.code, s.text)
}
