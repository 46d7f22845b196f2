package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

// Origin says who spoke an error. The set only ever grows.
type Origin int

const (
	// OriginLocal is this process: its context ended, or the caller was closed.
	OriginLocal Origin = iota + 1
	// OriginTransport is the way to the switch: the session, and the reply with
	// it, was lost. The handler may or may not have run.
	OriginTransport
	// OriginSwitch is the switch: it refused the request, or gave it up. A reason
	// says why; errors.Is with the client's sentinels tells them apart.
	OriginSwitch
	// OriginHandler is the remote handler: it ran, and answered with an error.
	OriginHandler
)

// String names the origin in one word, as the error's text does.
func (o Origin) String() string {
	switch o {
	case OriginLocal:
		return "local"
	case OriginTransport:
		return "transport"
	case OriginSwitch:
		return "switch"
	case OriginHandler:
		return "handler"
	default:
		return "unknown"
	}
}

// An Error says why a call has no reply, and who says so.
//
// status.Code and status.FromError give its gRPC code, message and details.
// errors.Is finds the client's sentinels when the origin is not the handler, and
// context.Canceled or context.DeadlineExceeded when the call's own context or time
// was over; a handler's own Canceled or DeadlineExceeded is in the code only, so that
// nobody takes another's end for his own.
type Error struct {
	// Origin says who spoke.
	Origin Origin
	// Queue is the name of the queue that was called; empty when a call was joined.
	Queue string

	code  codes.Code
	cause error
}

// Error names the queue, who spoke, and what was said.
func (e *Error) Error() string {
	if e.Queue == "" {
		return fmt.Sprintf("join of a call: %v: %v", e.Origin, e.cause)
	}
	return fmt.Sprintf("call to queue %q: %v: %v", e.Queue, e.Origin, e.cause)
}

// Unwrap answers what was said, without who and where.
func (e *Error) Unwrap() error { return e.cause }

// Is also matches context.DeadlineExceeded when the switch says that the call's
// time was over: that is the same deadline, noticed elsewhere first.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.code == codes.DeadlineExceeded && e.Origin == OriginSwitch
}

// Headers are those of the reply, if the handler answered with an error and gave it
// some; see [Request.SetReplyHeaders].
func (e *Error) Headers() map[string]string {
	var f *client.Failure
	if errors.As(e.cause, &f) {
		return f.Headers
	}
	return nil
}

// GRPCStatus answers the status that a handler gave, with its details, or one
// that is made from code and text of any other cause.
func (e *Error) GRPCStatus() *status.Status {
	if s, ok := status.FromError(e.cause); ok && s.Code() == e.code {
		return s
	}
	return status.New(e.code, e.cause.Error())
}

// fromFailure turns the failure that came in place of a reply into an error.
func fromFailure(ctx context.Context, queue string, f *client.Failure) *Error {
	if f.Reason != "" {
		return &Error{Origin: OriginSwitch, Queue: queue, code: f.Code, cause: f}
	}
	e := &Error{Origin: OriginHandler, Queue: queue, code: f.Code, cause: f}
	if f.Code == codes.DeadlineExceeded && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		// The handler's context ended with ours, and its answer was quicker
		// than our timer.
		e.Origin, e.cause = OriginLocal, fmt.Errorf("%w: %w", context.DeadlineExceeded, f)
	}
	return e
}

// fromClient turns an error of the client into one that says who spoke.
func fromClient(queue string, err error) *Error {
	e := &Error{Origin: OriginTransport, Queue: queue, code: codes.Unavailable, cause: err}
	var refusal *client.Error
	switch {
	case errors.Is(err, client.ErrSessionLost):
	case errors.Is(err, client.ErrClosed):
		e.Origin, e.code = OriginLocal, codes.Canceled
	case errors.As(err, &refusal) && refusal.Reason != "":
		e.Origin, e.code = OriginSwitch, refusal.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Origin, e.code = OriginLocal, status.FromContextError(err).Code()
	default:
		if s, ok := status.FromError(err); ok {
			e.code = s.Code()
		}
	}
	return e
}

// endedBefore is for a call whose context had ended before anything was sent.
func endedBefore(ctx context.Context, queue string) *Error {
	return ended(ctx, queue, "not sent")
}

// endedConnecting is for a call that waited for a connection to the switch.
func endedConnecting(ctx context.Context, queue string, left time.Duration) *Error {
	return ended(ctx, queue, "no connection to the switch"+within(ctx, left))
}

// endedWaiting is for a call that waited for the handler's reply.
func endedWaiting(ctx context.Context, queue string, left time.Duration) *Error {
	return ended(ctx, queue, "no reply"+within(ctx, left))
}

// within tells the time that a call was given, if that is what ended it.
func within(ctx context.Context, left time.Duration) string {
	if left == 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ""
	}
	return " within " + left.Round(time.Millisecond).String()
}

// ended is for a call whose context has ended; what says how far it had come.
func ended(ctx context.Context, queue, what string) *Error {
	err := ctx.Err()
	cause := fmt.Errorf("%s: %w", what, err)
	if because := context.Cause(ctx); because != err { //nolint:errorlint // is it the very same error, so that there is nothing to add
		cause = fmt.Errorf("%s: %w: %w", what, err, because)
	}
	return &Error{Origin: OriginLocal, Queue: queue, code: status.FromContextError(err).Code(), cause: cause}
}
