package client

import (
	"context"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// MaxReplay is how many messages may be named in one Replay.
const MaxReplay = 1000

// ReplayQuery says which dead letters are tried again.
type ReplayQuery struct {
	// IDs are the messages, at most MaxReplay. Empty: all that wait now.
	IDs []string
	// To is the queue that they go to. Empty: each to the queue where it died.
	To string
}

// Replayed counts what Replay did.
type Replayed struct {
	Replayed uint64 `json:"replayed"`
	Left     uint64 `json:"left"` // that were left alone
	// Why the first of those was left alone: their queue is gone or full, or they
	// don't say where they died. Nil when none was.
	Why *Failure `json:"-"`
}

// Replay moves messages off a dead-letter queue, back to where they died or to
// another queue: each in one step, so that none is lost or doubled. They start
// anew there, without attempts. Any named queue may be replayed from. On an error
// the count says how far it came.
func (a *Admin) Replay(ctx context.Context, queue string, q ReplayQuery) (Replayed, error) {
	var sum Replayed
	req := &pb.ReplayRequest{Queue: queue, MessageIds: q.IDs, To: q.To}
	for {
		res, err := admin(ctx, a, req, a.service.Replay)
		if err != nil {
			return sum, err
		}
		sum.Replayed += res.GetReplayed()
		sum.Left += res.GetLeft()
		if f := res.GetFailure(); f != nil && sum.Why == nil {
			sum.Why = failure(f)
		}
		if req.Cursor = res.GetCursor(); req.Cursor == "" {
			return sum, nil
		}
	}
}
