package server

import (
	"context"

	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

const (
	defaultCalls = 10_000
	maxCalls     = 100_000
	// callBatch is how many messages are looked at under one hold of the lock: less
	// than a millisecond's work, so that a backlog of a million holds nobody up. What
	// is leased or was given back, of one queue, is noted in one hold: some
	// milliseconds for 100,000. One answer has about as many calls at most.
	callBatch = 1000
)

// ListCalls shows calls. It does not wait for the disk: that may be what holds
// them up.
func (a *adminService) ListCalls(req *pb.ListCallsRequest, ss grpc.ServerStreamingServer[pb.ListCallsResponse]) error {
	if _, err := a.s.principal(ss.Context()); err != nil {
		return a.s.status(err)
	}
	limit, err := bounded("limit", req.GetLimit(), defaultCalls, maxCalls)
	scan := &queue.CallScan{Queue: req.GetQueue(), Prefix: req.GetPrefix()}
	if err == nil {
		scan.Only, err = parentID(req.GetCall())
	}
	if err != nil {
		return a.s.status(err)
	}
	for more := true; more; {
		if err := ss.Context().Err(); err != nil {
			return err
		}
		res := &pb.ListCallsResponse{}
		more = a.scan(scan, func(tx *engine.Tx, m *queue.Message) {
			if res.More = limit == 0; !res.More {
				limit--
				res.Calls = append(res.Calls, callInfo(tx.Now, m))
			}
		})
		if len(res.Calls) == 0 && !res.More {
			continue
		}
		if err := ss.Send(res); err != nil || res.More {
			return err
		}
	}
	return nil
}

// scan takes one step of a scan, and puts what it has in order without the lock.
func (a *adminService) scan(c *queue.CallScan, found func(*engine.Tx, *queue.Message)) (more bool) {
	more = a.look(c, found)
	c.Order()
	return more
}

// look takes one step of a scan under the engine's lock.
func (a *adminService) look(c *queue.CallScan, found func(*engine.Tx, *queue.Message)) (more bool) {
	var tx engine.Tx
	a.s.engine.Begin(&tx)
	defer tx.End()
	if !c.Only.IsZero() { // as a rule it runs
		if m := tx.State().HeldMessage(c.Only); m != nil {
			found(&tx, m)
			return false
		}
	}
	met := false
	more = c.Next(tx.State(), callBatch, func(m *queue.Message) {
		met = true
		found(&tx, m)
	})
	return more && (c.Only.IsZero() || !met)
}

func callInfo(now queue.Instant, m *queue.Message) *pb.CallInfo {
	q, info := m.Queue(), messageInfo(now, m, 0)
	return &pb.CallInfo{
		Call:            info.GetMessageId(),
		Queue:           q.Name,
		State:           info.GetState(),
		Caller:          info.GetSender(),
		CallerState:     info.GetCaller(),
		Server:          info.GetHolder(),
		ServerConnected: info.GetHolderConnected(),
		Attempt:         info.GetAttempts(),
		MaxAttempts:     uint32(m.MaxAttempts()),
		AgeMs:           info.GetAgeMs(),
		RunningMs:       info.GetHeldMs(),
		TimeoutMs:       info.GetTimeoutMs(),
		StartMs:         toMillis(m.StartLeft(now)),
		Parent:          m.Parent().String(),
		Children:        uint32(m.Children()),
		Consumers:       uint32(len(q.Consumers())),
		UnservedMs:      toMillis(q.Unserved(now)),
	}
}

// CancelCall ends a call, wherever it is.
func (a *adminService) CancelCall(ctx context.Context, req *pb.CancelCallRequest) (*pb.CancelCallResponse, error) {
	if _, err := a.s.principal(ctx); err != nil {
		return nil, a.s.status(err)
	}
	id, err := queue.ParseID(req.GetCall())
	if err != nil {
		return nil, a.s.status(err)
	}
	var (
		res  *pb.CancelCallResponse
		wait *engine.Ticket
		scan = &queue.CallScan{Only: id}
	)
	err = queue.ErrNoCall(id)
	for more := true; more && ctx.Err() == nil; {
		more = a.scan(scan, func(tx *engine.Tx, m *queue.Message) {
			var fx *queue.Effects
			if fx, err = tx.Apply(&queue.EndCall{Call: id, At: m}); err == nil {
				wait = tx.TicketForAll()
				res = &pb.CancelCallResponse{Running: fx.Cancel == queue.CancelRunning, Others: uint32(fx.Count), Queue: fx.Queue.Name}
			}
		})
	}
	if err == nil {
		err = wait.Wait(ctx)
	}
	if err != nil {
		return nil, a.s.status(err)
	}
	a.s.log.Info("an operator cancelled a call", "message_id", req.GetCall(), "queue", res.GetQueue(), "others", res.GetOthers())
	return res, nil
}
