package main

import (
	"context"
	"fmt"

	"github.com/d3b0a776/switch/client"
)

// replayed is what dlq replay did, as a document.
type replayed struct {
	Queue string `json:"queue"`
	client.Replayed
	Why string `json:"why,omitempty"` // the first of those was left
}

// dlqReplay moves letters. Those that were left alone make it fail, with the
// reason of the first.
func (sh *shell) dlqReplay(ctx context.Context, a *client.Admin, queue string, q client.ReplayQuery) error {
	var sum client.Replayed
	ids := q.IDs
	for first := true; first || len(ids) > 0; first = false {
		q.IDs = ids[:min(len(ids), client.MaxReplay)]
		ids = ids[len(q.IDs):]
		r, err := a.Replay(ctx, queue, q)
		sum.Replayed += r.Replayed
		sum.Left += r.Left
		if sum.Why == nil {
			sum.Why = r.Why
		}
		if err != nil {
			if sum.Replayed > 0 {
				sh.notice("%s replayed before that:", plural(sum.Replayed, "letter"))
			}
			return err
		}
	}
	doc := replayed{Queue: queue, Replayed: sum}
	if sum.Why != nil {
		doc.Why = sum.Why.Message
	}
	if err := sh.done(doc, "%s replayed from %s", plural(sum.Replayed, "letter"), plain(queue)); err != nil || sum.Left == 0 {
		return err
	}
	return &worded{error: leftError(sum.Why), text: fmt.Sprintf("%s left in %s, the first because: %s", plural(sum.Left, "letter"), plain(queue), doc.Why)}
}

// leftError is why letters were left; it decides the exit code.
func leftError(why *client.Failure) error {
	if why == nil {
		return fmt.Errorf("no reason given")
	}
	return why
}
