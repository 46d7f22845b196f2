package server

import (
	"context"
	"errors"
	"strconv"
	"strings"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// Replay moves letters, as many at a time as the core takes in one step. Those
// that are on disk alone are read before, without the lock.
func (a *adminService) Replay(ctx context.Context, req *pb.ReplayRequest) (*pb.ReplayResponse, error) {
	if _, err := a.s.principal(ctx); err != nil {
		return nil, a.s.status(err)
	}
	ids, err := parseIDs(req.GetMessageIds(), queue.MaxReplay)
	limit := 0
	if err == nil {
		limit, err = bounded("limit", req.GetLimit(), queue.MaxReplay, queue.MaxReplay)
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	r := replay{s: a.s, queue: req.GetQueue(), to: req.GetTo()}
	if len(ids) > 0 {
		err = r.named(ctx, ids)
	} else {
		err = r.oldest(ctx, limit, req.GetCursor())
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	a.s.log.Info("replayed", "queue", req.GetQueue(), "messages", r.res.GetReplayed(), "left", r.res.GetLeft())
	return &r.res, nil
}

// replay is one call of Replay.
type replay struct {
	s         *Server
	queue, to string
	res       pb.ReplayResponse
}

// apply does one step, and waits until it is on disk.
func (r *replay) apply(ctx context.Context, op *queue.Replay) (through uint64, err error) {
	through, wait, err := underLock(r.s, func(tx *engine.Tx) (uint64, *engine.Ticket, error) {
		fx, err := tx.Apply(op)
		if err != nil {
			return 0, nil, err
		}
		r.res.Replayed += uint64(fx.Count)
		r.res.Left += uint64(fx.Left)
		if fx.LeftErr != nil && r.res.Failure == nil {
			r.res.Failure = r.s.failure(fx.LeftErr)
		}
		return fx.Through, tx.Ticket(), nil
	})
	if err != nil {
		return 0, err
	}
	return through, wait.Wait(ctx)
}

// named replays those of ids.
func (r *replay) named(ctx context.Context, ids []queue.ID) error {
	return r.s.inParts(ctx, r.queue, ids, func(ids []queue.ID, stored []queue.Stored) error {
		_, err := r.apply(ctx, &queue.Replay{Queue: r.queue, To: r.to, IDs: ids, Stored: stored})
		return err
	})
}

// oldest replays those that wait, from a cursor on.
func (r *replay) oldest(ctx context.Context, limit int, cursor string) error {
	after, through, err := parseCursor(cursor)
	if err != nil {
		return err
	}
	at, err := r.s.place(ctx, r.queue)
	if err != nil {
		return err
	}
	if through == 0 {
		through = at.last
	}
	op := queue.Replay{Queue: r.queue, To: r.to, Limit: limit, After: after, Through: through}
	if at.spilled > 0 && after < through {
		op.Stored, op.Through, err = r.s.engine.Page(at.number, after+1, through, limit, queue.ReplayBytes)
		if err != nil {
			return err
		}
	}
	looked, err := r.apply(ctx, &op)
	if err == nil && looked < through {
		r.res.Cursor = strconv.FormatUint(looked, 36) + "." + strconv.FormatUint(through, 36)
	}
	return err
}

func parseCursor(cursor string) (after, through uint64, err error) {
	if cursor == "" {
		return 0, 0, nil
	}
	a, t, _ := strings.Cut(cursor, ".")
	after, err1 := strconv.ParseUint(a, 36, 64)
	through, err2 := strconv.ParseUint(t, 36, 64)
	if err := errors.Join(err1, err2); err != nil || after >= through {
		return 0, 0, invalid("cursor %.40q is none of an answer; leave it out to begin anew", cursor)
	}
	return after, through, nil
}
