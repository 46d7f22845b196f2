package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// sentinels are all that there are with a reason.
var sentinels = []error{
	ErrInvalid, ErrQueueNotFound, ErrQueueExists, ErrQueueFull, ErrQueueNotYours, ErrLeaseGone, ErrLeaseNotYours,
	ErrSessionRequired, ErrSessionEnded, ErrTokenInvalid, ErrSessionNotYours, ErrNoConsumer, ErrReplyQueueGone,
	ErrSequenceTooOld, ErrConsumerNotFound, ErrMessageNotFound, ErrPayloadTooLarge, ErrLimitReached, ErrShuttingDown,
	ErrVersionUnsupported, ErrDurabilityUnavailable, ErrCorrelationInUse, ErrNoReplyTo, ErrExpired, ErrAttemptsExhausted,
	ErrRejected, ErrServerGone, ErrPurged, ErrQueueDestroyed, ErrDropped, ErrSuperseded, ErrProtocol,
	ErrStreamBroken, ErrNoStream, ErrStreamNotAccepted, ErrStreamGap,
	ErrCallNotFound, ErrCallNotYours, ErrKeyReused, ErrParentGone, ErrNotStarted, ErrCallCancelled,
}

// TestEveryReasonHasItsSentinel lets each reason of the protocol arrive in all
// three forms: as a status, as a frame's failure, and in place of a reply.
func TestEveryReasonHasItsSentinel(t *testing.T) {
	if len(sentinels) != len(pb.Reason_name)-1 {
		t.Errorf("%d sentinels for %d reasons", len(sentinels), len(pb.Reason_name)-1)
	}
	for i, s := range sentinels {
		reason := pb.Reason(pb.Reason_value["REASON_"+ReasonOf(s)])
		if reason == pb.Reason_REASON_UNSPECIFIED {
			t.Errorf("%v has no reason of the protocol", s)
		}
		code := status.Code(s)
		st, err := status.New(code, "text").WithDetails(
			&errdetails.ErrorInfo{Domain: errorDomain, Reason: reasonName(reason), Metadata: map[string]string{"queue": "q"}},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		f := &pb.Failure{Code: int32(code), Message: "text", Reason: reason, Metadata: map[string]string{"queue": "q"}, RetryAfterMs: 1000}
		for _, err := range []error{
			fromCall(st.Err(), "addr"),
			fromWire(f),
			&Failure{Code: code, Message: "text", Reason: reasonName(reason)},
			fmt.Errorf("wrapped: %w", fromWire(f)),
			s,
		} {
			for j, other := range sentinels {
				if errors.Is(err, other) != (i == j) {
					t.Errorf("%v: %T is %v: %v", reason, err, other, i != j)
				}
			}
			if status.Code(err) != code || ReasonOf(err) != reasonName(reason) {
				t.Errorf("%v: %T has code %v and reason %q", reason, err, status.Code(err), ReasonOf(err))
			}
			var e *Error
			if errors.As(err, &e) && (e.Metadata["queue"] != "q" || e.RetryAfter != time.Second || e.Message != "text") {
				t.Errorf("%v: %+v", reason, e)
			}
		}
	}
}

func TestErrorsOfOthers(t *testing.T) {
	foreign, err := status.New(codes.NotFound, "text").WithDetails(&errdetails.ErrorInfo{Domain: "example.com", Reason: "QUEUE_NOT_FOUND"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err    error
		target error
		code   codes.Code
	}{
		{status.Error(codes.Unavailable, "connection refused"), ErrUnreachable, codes.Unavailable},
		{status.FromContextError(context.Canceled).Err(), context.Canceled, codes.Canceled},
		{status.FromContextError(context.DeadlineExceeded).Err(), context.DeadlineExceeded, codes.DeadlineExceeded},
		{sessionLost(status.Error(codes.Unauthenticated, "")), ErrSessionLost, codes.Unavailable},
		{errLeaseLost("q"), ErrSessionLost, codes.Unavailable},
		{errLeaseLost("q"), ErrLeaseGone, codes.Unavailable},
	} {
		got := fromCall(c.err, "addr")
		if !errors.Is(got, c.target) || status.Code(got) != c.code {
			t.Errorf("%v became %v (%v)", c.err, got, status.Code(got))
		}
	}
	if got := fromCall(foreign.Err(), "addr"); errors.Is(got, ErrQueueNotFound) || status.Code(got) != codes.NotFound {
		t.Errorf("another's reason became ours: %v", got)
	}
	if ReasonOf(errors.New("plain")) != "" || ReasonOf(nil) != "" {
		t.Error("a reason out of nothing")
	}
	if got := reasonName(pb.Reason(9999)); got != "9999" {
		t.Errorf("a reason newer than us is %q", got)
	}
}
