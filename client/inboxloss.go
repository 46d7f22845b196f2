package client

import (
	"errors"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// refused takes the switch's refusal of a request.
func (i *Inbox) refused(id string, err error) {
	c := i.client
	c.mu.Lock()
	r, waiting := i.waiting[id]
	delete(i.waiting, id)
	err = i.withoutQueue(err)
	c.mu.Unlock()
	if waiting {
		r.told.Lost(err)
	}
}

// withoutQueue is err, unless that says that the inbox's own queue is missing: a
// switch was killed after it had made the queue, and before it kept that. Whoever
// waits here knows nothing of that queue, and has lost the request.
func (i *Inbox) withoutQueue(err error) error {
	var refusal *Error
	if errors.As(err, &refusal) && errors.Is(err, ErrQueueNotFound) && i.queue != "" && refusal.Metadata["queue"] == i.queue {
		return errForgotten
	}
	return err
}

// doubtLocked notes, after a resume, which requests had reached the switch and
// are not pending there any more. Their replies may be on the way.
func (i *Inbox) doubtLocked(applied uint64, pending []*pb.PendingRequest) {
	known := make(map[string]bool, len(pending))
	for _, p := range pending {
		if p.GetReplyTo() == i.queue {
			known[p.GetCorrelationId()] = true
		}
	}
	i.doubted = i.doubted[:0]
	for id, r := range i.waiting {
		if r.tag <= applied && !known[id] {
			i.doubted = append(i.doubted, id)
		}
	}
}

// errForgotten is for what the switch does not know after a resume: it was
// restarted.
var errForgotten = &Error{Code: codes.Unavailable, Message: "the switch was restarted, and has lost the request or the answer", cause: ErrSessionLost}

// resumed is called when all replies that the switch had kept have come.
func (i *Inbox) resumed() {
	c := i.client
	var missing []request
	c.mu.Lock()
	c.loop.answered = i.settleLocked(c.loop.answered)
	for _, id := range i.doubted {
		if r, waiting := i.waiting[id]; waiting {
			missing = append(missing, r)
			delete(i.waiting, id)
		}
	}
	i.doubted = nil
	c.mu.Unlock()
	for _, r := range missing {
		r.told.Lost(errForgotten)
	}
}

// lost takes the loss of the queue, with the session or without.
func (i *Inbox) lost(why error) {
	c := i.client
	c.mu.Lock()
	c.loop.answered = i.settleLocked(c.loop.answered)
	why = i.withoutQueue(why)
	waiting := i.waiting
	i.waiting = map[string]request{}
	i.queue, i.sub, i.doubted, i.unacked, i.bytes = "", nil, nil, 0, 0
	c.mu.Unlock()
	for _, r := range waiting {
		r.told.Lost(why)
	}
}
