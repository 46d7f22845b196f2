package client

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestAMissingReplyQueueIsALoss: to whoever waits it is no refusal of his request,
// whose queue is another one.
func TestAMissingReplyQueueIsALoss(t *testing.T) {
	i := &Inbox{queue: "tmp.a"}
	missing := func(queue string) error {
		return &Error{Code: codes.NotFound, Reason: "QUEUE_NOT_FOUND", Metadata: map[string]string{"queue": queue}}
	}
	for queue, loss := range map[string]bool{"tmp.a": true, "tmp.b": false, "q": false} {
		if err := i.withoutQueue(missing(queue)); errors.Is(err, ErrSessionLost) != loss || errors.Is(err, ErrQueueNotFound) == loss {
			t.Errorf("queue %s is missing: %v", queue, err)
		}
	}
	for _, err := range []error{ErrClosed, ErrSessionLost, missing("")} {
		if got := i.withoutQueue(err); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
	}
	if err := (&Inbox{}).withoutQueue(missing("")); errors.Is(err, ErrSessionLost) {
		t.Error("an inbox without a queue misses it")
	}
}
