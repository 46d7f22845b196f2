package server

import (
	"context"
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// Bounds of the admin verbs, from the protocol's comments.
const (
	defaultList     = 10_000
	maxList         = 100_000
	defaultPeek     = 10
	maxPeek         = 1000
	defaultPeekBody = 64 << 10
	maxPeekBody     = 1 << 20
	maxAnswer       = 3 << 20 // bytes of one answer: gRPC clients take 4 MiB
	maxShutdown     = 600 * time.Second
)

// adminService is AdminService: its verbs here, Diagnostics and Trace in files
// of their own.
type adminService struct {
	pb.UnimplementedAdminServiceServer
	s *Server
}

// look reads the state under the engine's lock, or changes it. What it answers
// is on disk by then, if it is to be.
func look[Res any](ctx context.Context, s *Server, read func(*engine.Tx) (Res, error)) (Res, error) {
	var wait *engine.Ticket
	res, err := glance(ctx, s, func(tx *engine.Tx) (Res, error) {
		res, err := read(tx)
		wait = tx.TicketForAll()
		return res, err
	})
	if err != nil {
		return res, err
	}
	if err := wait.Wait(ctx); err != nil {
		var none Res
		return none, s.status(err)
	}
	return res, nil
}

// glance reads the state as it is, and be it lost in a moment.
func glance[Res any](ctx context.Context, s *Server, read func(*engine.Tx) (Res, error)) (Res, error) {
	var none Res
	if _, err := s.principal(ctx); err != nil {
		return none, s.status(err)
	}
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	res, err := read(&tx)
	if err != nil {
		return none, s.status(err)
	}
	return res, nil
}

// bounded is n, or def for zero; an error says that n is more than most.
func bounded(what string, n uint32, def, most int) (int, error) {
	if n == 0 {
		return def, nil
	}
	if int64(n) > int64(most) {
		return 0, invalid("%s is %d: at most %d", what, n, most)
	}
	return int(n), nil
}

func (a *adminService) List(ctx context.Context, req *pb.ListRequest) (*pb.ListResponse, error) {
	return look(ctx, a.s, func(tx *engine.Tx) (*pb.ListResponse, error) {
		limit, err := bounded("limit", req.GetLimit(), defaultList, maxList)
		if err != nil {
			return nil, err
		}
		qs, more := tx.State().Queues(queue.Query{Prefix: req.GetPrefix(), After: req.GetAfter(), ServedOnly: req.GetServedOnly(),
			Temporary: req.GetTemporary(), Limit: limit})
		res, room := &pb.ListResponse{More: more}, maxAnswer
		for _, q := range qs {
			sum := summary(tx.Now, q)
			if room -= proto.Size(sum); room < 0 {
				res.More = true
				break
			}
			res.Queues = append(res.Queues, sum)
		}
		return res, nil
	})
}

func (a *adminService) Describe(ctx context.Context, req *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return look(ctx, a.s, func(tx *engine.Tx) (*pb.DescribeResponse, error) {
		q, err := tx.State().QueueNamed(req.GetQueue())
		if err != nil {
			return nil, err
		}
		c := q.Counters()
		return &pb.DescribeResponse{
			Summary:   summary(tx.Now, q),
			Options:   pbOptions(q.Options),
			Consumers: consumers(q),
			Owner:     owner(q),
			AgeMs:     tx.Now.Sub(q.Made).Milliseconds(),
			Counters: &pb.QueueCounters{Sent: c.Sent, Delivered: c.Delivered, Acked: c.Acked, Redelivered: c.Redelivered,
				Expired: c.Expired, Dead: c.Dead, Dropped: c.Dropped, Refused: c.Refused, Duplicates: c.Repeats},
		}, nil
	})
}

func (a *adminService) Peek(ctx context.Context, req *pb.PeekRequest) (*pb.PeekResponse, error) {
	if _, err := a.s.principal(ctx); err != nil {
		return nil, a.s.status(err)
	}
	limit, err := bounded("limit", req.GetLimit(), defaultPeek, maxPeek)
	body := 0
	if err == nil {
		body, err = bounded("max_body_bytes", req.GetMaxBodyBytes(), defaultPeekBody, maxPeekBody)
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	res, room := &pb.PeekResponse{}, maxAnswer
	err = a.s.oldest(ctx, req.GetQueue(), limit, partBytes, func(now queue.Instant, q *queue.Queue, ms []*queue.Message) error {
		if q.Temporary() {
			return &queue.Error{Kind: queue.ErrQueueNotYours, Text: "temporary queues hold replies, which are their caller's; describe shows the counts"}
		}
		for _, m := range ms {
			info := messageInfo(now, m, body)
			if size := proto.Size(info); size <= room {
				room -= size
			} else {
				info.Body, info.Headers = nil, nil // the rest is small
			}
			res.Messages = append(res.Messages, info)
		}
		return nil
	})
	if err != nil {
		return nil, a.s.status(err)
	}
	return res, nil
}

func (a *adminService) Purge(ctx context.Context, req *pb.PurgeRequest) (*pb.PurgeResponse, error) {
	if _, err := a.s.principal(ctx); err != nil {
		return nil, a.s.status(err)
	}
	ids, err := parseIDs(req.GetMessageIds(), math.MaxInt)
	var purged int
	if err == nil {
		purged, err = a.purge(ctx, req.GetQueue(), ids)
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	a.s.log.Info("purged", "queue", req.GetQueue(), "messages", purged)
	return &pb.PurgeResponse{Purged: uint64(purged)}, nil
}

// purge takes messages off a queue, and waits until that is on disk.
func (a *adminService) purge(ctx context.Context, name string, ids []queue.ID) (purged int, err error) {
	step := func(op *queue.Purge) error {
		n, wait, err := underLock(a.s, func(tx *engine.Tx) (int, *engine.Ticket, error) {
			fx, err := tx.Apply(op)
			if err != nil {
				return 0, nil, err
			}
			return fx.Count, tx.TicketForAll(), nil
		})
		purged += n
		if err == nil {
			err = wait.Wait(ctx)
		}
		return err
	}
	if len(ids) == 0 {
		err = step(&queue.Purge{Queue: name})
		return purged, err
	}
	var missing error
	err = a.s.inParts(ctx, name, ids, func(ids []queue.ID, stored []queue.Stored) error {
		err := step(&queue.Purge{Queue: name, IDs: ids, Stored: stored})
		if errors.Is(err, queue.ErrMessageNotFound) {
			missing, err = err, nil
		}
		return err
	})
	if err == nil && purged == 0 {
		err = missing
	}
	return purged, err
}

func (a *adminService) Shutdown(ctx context.Context, req *pb.ShutdownRequest) (*pb.ShutdownResponse, error) {
	if _, err := a.s.principal(ctx); err != nil {
		return nil, a.s.status(err)
	}
	bound := millis(req.GetBoundMs())
	if bound < 0 || bound > maxShutdown {
		return nil, a.s.status(invalid("bound_ms is %d: it must be from 0 to %d", req.GetBoundMs(), maxShutdown.Milliseconds()))
	}
	if bound == 0 {
		bound = a.s.config.DrainBound
	}
	a.s.log.Info("shutdown was asked for")
	a.s.beginShutdown(bound)
	return &pb.ShutdownResponse{}, nil
}
