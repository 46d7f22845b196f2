package grpcqueue

import (
	"context"
	"errors"
	"io"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// switchDomain is ErrorInfo's domain for the reasons of the switch.
const switchDomain = "messageswitch.v1"

// statusError turns an error of package rpc into the status that a gRPC client
// expects: that of the handler as it is, that of the switch with its reason.
func statusError(err error) error {
	var e *rpc.Error
	if !errors.As(err, &e) {
		if s, is := status.FromError(err); is {
			return s.Err()
		}
		return status.FromContextError(err).Err()
	}
	s := e.GRPCStatus()
	switch e.Origin {
	case rpc.OriginHandler:
		return s.Err()
	case rpc.OriginLocal:
		if s.Code() == codes.Canceled || s.Code() == codes.DeadlineExceeded {
			return status.Error(s.Code(), err.Error())
		}
	case rpc.OriginSwitch:
		return withReason(e).Err()
	case rpc.OriginTransport: // in its own words
	}
	return status.Error(s.Code(), err.Error())
}

// withReason is what the switch said, with the details that its own verbs give.
func withReason(e *rpc.Error) *status.Status {
	code := status.Code(e)
	switch {
	case errors.Is(e, client.ErrQueueNotFound):
		code = codes.Unimplemented
	case errors.Is(e, client.ErrPayloadTooLarge):
		code = codes.ResourceExhausted
	}
	info := &errdetails.ErrorInfo{Domain: switchDomain, Reason: client.ReasonOf(e)}
	details := []protoadapt.MessageV1{info}
	var (
		refusal *client.Error
		failure *client.Failure
	)
	switch {
	case errors.As(e, &refusal):
		info.Metadata = refusal.Metadata
		if refusal.RetryAfter > 0 {
			details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryAfter)})
		}
	case errors.As(e, &failure):
		info.Metadata = failure.Metadata
	}
	s := status.New(code, e.Error())
	if detailed, err := s.WithDetails(details...); err == nil { // it fails for OK alone
		return detailed
	}
	return s
}

// handlerError is what a handler's own code is told of its stream's end: io.EOF as it
// is, and all else as a status.
func handlerError(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.EOF is never wrapped; what is wrapped is another end
		return err
	}
	return statusError(err)
}

// ended is the status of a context that has ended.
func ended(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// reasonOf is the switch's reason in a status; empty when somebody else spoke.
func reasonOf(s *status.Status) client.Reason {
	for _, d := range s.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is && info.GetDomain() == switchDomain {
			return info.GetReason()
		}
	}
	return ""
}
