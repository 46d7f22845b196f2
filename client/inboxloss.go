package client

import (
	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// refused takes the switch's refusal of a request.
func (i *Inbox) refused(id string, err error) {
	c := i.client
	c.mu.Lock()
	_, waiting := i.waiting[id]
	delete(i.waiting, id)
	c.mu.Unlock()
	if waiting {
		i.handler.Refused(id, err)
	}
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
	for id, tag := range i.waiting {
		if tag <= applied && !known[id] {
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
	missing := map[string]bool{}
	c.mu.Lock()
	for _, id := range i.fresh {
		delete(i.waiting, id)
	}
	for _, id := range i.doubted {
		if _, waiting := i.waiting[id]; waiting {
			missing[id] = true
			delete(i.waiting, id)
		}
	}
	i.doubted = nil
	c.mu.Unlock()
	if i.handler.Missing != nil {
		i.handler.Missing(func(id string) bool { return !missing[id] })
	}
	for id := range missing {
		i.handler.Refused(id, errForgotten)
	}
}

// lost takes the loss of the queue, with the session or without.
func (i *Inbox) lost(why error) {
	c := i.client
	c.mu.Lock()
	waiting := i.waiting
	had := i.queue != ""
	i.waiting = map[string]uint64{}
	i.queue, i.sub, i.doubted, i.unacked, i.bytes = "", nil, nil, 0, 0
	closed := i.closed
	c.mu.Unlock()
	if closed || !had {
		return
	}
	if i.handler.Lost != nil {
		i.handler.Lost(why)
	}
	for id := range waiting {
		i.handler.Refused(id, why)
	}
}
