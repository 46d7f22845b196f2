package server

import (
	"context"
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
func look[Res any](ctx context.Context, s *Server, read func(*engine.Tx) (Res, error)) (res Res, err error) {
	var none Res
	if _, err := s.principal(ctx); err != nil {
		return none, s.status(err)
	}
	res, wait, err := underLock(s, func(tx *engine.Tx) (Res, *engine.Ticket, error) {
		res, err := read(tx)
		return res, tx.TicketForAll(), err
	})
	if err == nil {
		err = wait.Wait(ctx)
	}
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
	return look(ctx, a.s, func(tx *engine.Tx) (*pb.PeekResponse, error) {
		limit, err := bounded("limit", req.GetLimit(), defaultPeek, maxPeek)
		if err != nil {
			return nil, err
		}
		body, err := bounded("max_body_bytes", req.GetMaxBodyBytes(), defaultPeekBody, maxPeekBody)
		if err != nil {
			return nil, err
		}
		q, err := tx.State().QueueNamed(req.GetQueue())
		if err != nil {
			return nil, err
		}
		if q.Temporary() {
			return nil, &queue.Error{Kind: queue.ErrQueueNotYours, Text: "temporary queues hold replies, which are their caller's; describe shows the counts"}
		}
		res, room := &pb.PeekResponse{}, maxAnswer
		for _, m := range q.Oldest(limit) {
			info := messageInfo(tx.Now, m, body)
			if size := proto.Size(info); size <= room {
				room -= size
			} else {
				info.Body, info.Headers = nil, nil // the rest is small
			}
			res.Messages = append(res.Messages, info)
		}
		return res, nil
	})
}

func (a *adminService) Purge(ctx context.Context, req *pb.PurgeRequest) (*pb.PurgeResponse, error) {
	return look(ctx, a.s, func(tx *engine.Tx) (*pb.PurgeResponse, error) {
		ids := make([]queue.ID, len(req.GetMessageIds()))
		for i, text := range req.GetMessageIds() {
			id, err := queue.ParseID(text)
			if err != nil {
				return nil, err
			}
			ids[i] = id
		}
		fx, err := tx.Apply(&queue.Purge{Queue: req.GetQueue(), IDs: ids})
		if err != nil {
			return nil, err
		}
		a.s.log.Info("purged", "queue", req.GetQueue(), "messages", fx.Count)
		return &pb.PurgeResponse{Purged: uint64(fx.Count)}, nil
	})
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
