package server

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// errorDomain is ErrorInfo's domain for the reasons of the protocol.
const errorDomain = "messageswitch.v1"

// Errors that only the translation knows.
var (
	errSessionRequired = errors.New("the request names no session; log in, and pass the session of the answer")
	errVersion         = errors.New("the switch speaks protocol version 1; use a client that does")
	errProtocol        = errors.New("a stream begins with one Login, and has no other; open a new stream to log in again")
)

// errorTable is the one place where an error gets its gRPC code and its reason.
// package client has it backwards.
var errorTable = []struct {
	err    error
	code   codes.Code
	reason pb.Reason
	retry  time.Duration // zero: retrying as such does not help
}{
	{queue.ErrInvalid, codes.InvalidArgument, pb.Reason_REASON_INVALID, 0},
	{frames.ErrMalformed, codes.InvalidArgument, pb.Reason_REASON_INVALID, 0},
	{queue.ErrQueueNotFound, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND, 0},
	{queue.ErrQueueExists, codes.FailedPrecondition, pb.Reason_REASON_QUEUE_EXISTS, 0},
	{queue.ErrQueueFull, codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL, 100 * time.Millisecond},
	{queue.ErrQueueNotYours, codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS, 0},
	{queue.ErrLeaseGone, codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE, 0},
	{queue.ErrLeaseNotYours, codes.PermissionDenied, pb.Reason_REASON_LEASE_NOT_YOURS, 0},
	{errSessionRequired, codes.Unauthenticated, pb.Reason_REASON_SESSION_REQUIRED, 0},
	{queue.ErrSessionEnded, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED, 0},
	{engine.ErrTokenInvalid, codes.Unauthenticated, pb.Reason_REASON_TOKEN_INVALID, 0},
	{queue.ErrSessionNotYours, codes.PermissionDenied, pb.Reason_REASON_SESSION_NOT_YOURS, 0},
	{queue.ErrNoConsumer, codes.Unavailable, pb.Reason_REASON_NO_CONSUMER, time.Second},
	{queue.ErrReplyQueueGone, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE, 0},
	{queue.ErrSequenceTooOld, codes.AlreadyExists, pb.Reason_REASON_SEQUENCE_TOO_OLD, 0},
	{queue.ErrConsumerNotFound, codes.NotFound, pb.Reason_REASON_CONSUMER_NOT_FOUND, 0},
	{queue.ErrMessageNotFound, codes.NotFound, pb.Reason_REASON_MESSAGE_NOT_FOUND, 0},
	{queue.ErrPayloadTooLarge, codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE, 0},
	{queue.ErrLimitReached, codes.ResourceExhausted, pb.Reason_REASON_LIMIT_REACHED, time.Second},
	{queue.ErrShuttingDown, codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN, time.Second},
	{errVersion, codes.FailedPrecondition, pb.Reason_REASON_VERSION_UNSUPPORTED, 0},
	{queue.ErrNotDurable, codes.FailedPrecondition, pb.Reason_REASON_DURABILITY_UNAVAILABLE, 0},
	{queue.ErrCorrelationInUse, codes.AlreadyExists, pb.Reason_REASON_CORRELATION_IN_USE, 0},
	{queue.ErrNoReplyTo, codes.FailedPrecondition, pb.Reason_REASON_NO_REPLY_TO, 0},
	{queue.ErrExpired, codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED, 0},
	{queue.ErrAttemptsExhausted, codes.Aborted, pb.Reason_REASON_ATTEMPTS_EXHAUSTED, 0},
	{queue.ErrRejected, codes.Aborted, pb.Reason_REASON_REJECTED, 0},
	{queue.ErrServerGone, codes.Unavailable, pb.Reason_REASON_SERVER_GONE, 0},
	{queue.ErrPurged, codes.Aborted, pb.Reason_REASON_PURGED, 0},
	{queue.ErrQueueDestroyed, codes.NotFound, pb.Reason_REASON_QUEUE_DESTROYED, 0},
	{queue.ErrDropped, codes.ResourceExhausted, pb.Reason_REASON_DROPPED, 0},
	{queue.ErrSuperseded, codes.Aborted, pb.Reason_REASON_SUPERSEDED, 0},
	{queue.ErrStreamBroken, codes.Aborted, pb.Reason_REASON_STREAM_BROKEN, 0},
	{queue.ErrNoStream, codes.FailedPrecondition, pb.Reason_REASON_NO_STREAM, 0},
	{queue.ErrNotAccepted, codes.FailedPrecondition, pb.Reason_REASON_STREAM_NOT_ACCEPTED, 0},
	{queue.ErrPartGap, codes.FailedPrecondition, pb.Reason_REASON_STREAM_GAP, 0},
	{queue.ErrCallNotFound, codes.NotFound, pb.Reason_REASON_CALL_NOT_FOUND, 0},
	{queue.ErrCallNotYours, codes.PermissionDenied, pb.Reason_REASON_CALL_NOT_YOURS, 0},
	{queue.ErrKeyReused, codes.FailedPrecondition, pb.Reason_REASON_KEY_REUSED, 0},
	{queue.ErrParentGone, codes.Canceled, pb.Reason_REASON_PARENT_GONE, 0},
	{queue.ErrNotStarted, codes.Unavailable, pb.Reason_REASON_NOT_STARTED, time.Second},
	{queue.ErrCallCancelled, codes.Canceled, pb.Reason_REASON_CALL_CANCELLED, 0},
	{errProtocol, codes.FailedPrecondition, pb.Reason_REASON_PROTOCOL, 0},
}

// failure is err as data. What the table does not know is Internal, with its
// cause in the log only.
func (s *Server) failure(err error) *pb.Failure {
	for _, row := range errorTable {
		if errors.Is(err, row.err) {
			f := &pb.Failure{Code: int32(row.code), Message: err.Error(), Reason: row.reason, RetryAfterMs: row.retry.Milliseconds()}
			var e *queue.Error
			if errors.As(err, &e) && len(e.Meta) > 0 {
				f.Metadata = make(map[string]string, len(e.Meta)/2)
				for i := 0; i+1 < len(e.Meta); i += 2 {
					f.Metadata[e.Meta[i]] = strings.ToValidUTF8(e.Meta[i+1], "\uFFFD")
				}
			}
			return f
		}
	}
	if st, ok := status.FromError(err); ok { // from Config.Authenticate
		return &pb.Failure{Code: int32(st.Code()), Message: st.Message()}
	}
	s.log.Error("internal error", "err", err)
	return &pb.Failure{Code: int32(codes.Internal), Message: "internal error of the switch; its log has the cause"}
}

// reason is what a trace event tells of err.
func reason(err error) pb.Reason {
	for _, row := range errorTable {
		if errors.Is(err, row.err) {
			return row.reason
		}
	}
	return pb.Reason_REASON_UNSPECIFIED
}

// status is err as a gRPC status with an ErrorInfo, and a RetryInfo where a
// retry makes sense.
func (s *Server) status(err error) error {
	if err == nil {
		return nil
	}
	f := s.failure(err)
	st := status.New(codes.Code(f.GetCode()), f.GetMessage())
	if f.GetReason() == pb.Reason_REASON_UNSPECIFIED {
		return st.Err()
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason:   strings.TrimPrefix(f.GetReason().String(), "REASON_"),
		Domain:   errorDomain,
		Metadata: f.GetMetadata(),
	}}
	if ms := f.GetRetryAfterMs(); ms > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(ms) * time.Millisecond)})
	}
	with, err := st.WithDetails(details...)
	if err != nil {
		return st.Err() // can't be: these details are always encodable
	}
	return with.Err()
}
