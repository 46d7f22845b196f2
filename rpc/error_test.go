package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

// TestFromClient has the errors of the client that no test provokes end to end.
func TestFromClient(t *testing.T) {
	for _, c := range []struct {
		err    error
		origin Origin
		code   codes.Code
	}{
		{client.ErrClosed, OriginLocal, codes.Canceled},
		{client.ErrUnreachable, OriginTransport, codes.Unavailable},
		{client.ErrSessionLost, OriginTransport, codes.Unavailable},
		{fmt.Errorf("%w: %w", client.ErrSessionLost, &client.Error{Code: codes.Unauthenticated, Reason: "SESSION_ENDED"}), OriginTransport, codes.Unavailable},
		{&client.Error{Code: codes.ResourceExhausted, Reason: "LIMIT_REACHED"}, OriginSwitch, codes.ResourceExhausted},
		{&client.Error{Code: codes.Unauthenticated}, OriginTransport, codes.Unauthenticated},
		{status.Error(codes.Internal, "half a frame"), OriginTransport, codes.Internal},
		{context.DeadlineExceeded, OriginLocal, codes.DeadlineExceeded},
		{errors.New("strange"), OriginTransport, codes.Unavailable},
	} {
		err := fromClient("q", c.err)
		if err.Origin != c.origin || status.Code(err) != c.code || !errors.Is(err, c.err) {
			t.Errorf("%v: origin %v, code %v; want %v, %v", err, err.Origin, status.Code(err), c.origin, c.code)
		}
	}
}

// TestHandlerThatNoticesTheDeadlineFirst is about a reply that is quicker than the
// caller's own timer.
func TestHandlerThatNoticesTheDeadlineFirst(t *testing.T) {
	f := &client.Failure{Code: codes.DeadlineExceeded, Message: "context deadline exceeded"}
	over, cancel := context.WithDeadline(context.Background(), time.Now())
	defer cancel()
	if err := fromFailure(over, "q", f); err.Origin != OriginLocal || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the caller's deadline: %v", err)
	}
	if err := fromFailure(context.Background(), "q", f); err.Origin != OriginHandler || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without one: %v", err)
	}
}

func TestDeadlineTravelsInWholeMilliseconds(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		1:                                   time.Millisecond,
		time.Millisecond - 1:                time.Millisecond,
		time.Millisecond:                    2 * time.Millisecond,
		2*time.Second - time.Microsecond:    2 * time.Second,
		2 * time.Second:                     2*time.Second + time.Millisecond,
		30 * 24 * time.Hour:                 30 * 24 * time.Hour,
		365*24*time.Hour + time.Microsecond: 30 * 24 * time.Hour,
	} {
		if got := travelling(left); got != want {
			t.Errorf("of %v travels %v, want %v", left, got, want)
		}
	}
}

func TestOriginsHaveNames(t *testing.T) {
	if got, want := fmt.Sprint(Origin(0), OriginLocal, OriginTransport, OriginSwitch, OriginHandler), "unknown local transport switch handler"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
