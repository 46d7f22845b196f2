package upstream

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is ErrorInfo's domain for the failures of upstreams.
const Domain = "upstream.messageswitch.v1"

// The reasons in an ErrorInfo of Domain. The set only grows.
const (
	ReasonUnreachable = "UPSTREAM_UNREACHABLE"
	ReasonBroken      = "UPSTREAM_BROKEN"
	ReasonTimeout     = "UPSTREAM_TIMEOUT"
	ReasonStatus      = "UPSTREAM_STATUS"
)

// What an upstream has less than the call: a part of the time that is left, but no
// more than maxMargin.
const (
	marginShare = 20
	maxMargin   = 100 * time.Millisecond
)

// timed bounds a call by what the upstream may take: bound, and what the caller has
// but a little. Zero is no bound.
func timed(ctx context.Context, bound time.Duration) (context.Context, context.CancelFunc) {
	deadline, is := ctx.Deadline()
	if is {
		left := time.Until(deadline)
		left -= min(left/marginShare, maxMargin)
		if bound == 0 || left < bound {
			bound = left
		}
	} else if bound == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, bound)
}

// blame is the failure of an upstream. The text names it.
func blame(code codes.Code, reason, addr, text string, more map[string]string) error {
	info := &errdetails.ErrorInfo{Domain: Domain, Reason: reason, Metadata: map[string]string{"upstream": addr}}
	for k, v := range more {
		info.Metadata[k] = v
	}
	s := status.New(code, "upstream "+addr+" "+text)
	if detailed, err := s.WithDetails(info); err == nil { // it fails for OK alone
		return detailed.Err()
	}
	return s.Err()
}
