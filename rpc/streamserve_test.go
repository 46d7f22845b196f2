package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/d3b0a776/switch/client"
)

// A Send that fails because the lease is gone never leaves the handler with a context
// that still runs: it may learn of it before anybody else does.
func TestASendThatFailsWithTheLeaseEndsTheHandler(t *testing.T) {
	for _, why := range []error{client.ErrSessionLost, client.ErrLeaseGone} {
		j := newJob(&service{base: t.Context()}, &client.Delivery{})
		err := newStreamJob(j).failed(fmt.Errorf("sending: %w", why))
		if cause := context.Cause(&j.context); !errors.Is(cause, why) || !errors.Is(err, why) || !errors.Is(err, context.Canceled) || !j.lost.Load() {
			t.Errorf("Send answers %v, the context ended with %v, lost: %v", err, cause, j.lost.Load())
		}
		j.context.end(nil)
	}
}
