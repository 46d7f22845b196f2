package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Admin looks at a switch, and shuts it down. It needs no session and makes
// none. Its methods are safe for concurrent use.
type Admin struct {
	client  *Client
	service pb.AdminServiceClient
}

// Admin is the operator's side of the switch.
func (c *Client) Admin() *Admin {
	return &Admin{client: c, service: pb.NewAdminServiceClient(c.conn)}
}

// ListQuery selects queues. The zero value selects all named ones.
type ListQuery struct {
	// Prefix begins the names. Empty: all.
	Prefix string
	// ServedOnly leaves out queues without a consumer.
	ServedOnly bool
	// Temporary takes temporary queues too.
	Temporary bool
}

// admin does one unary verb, and translates its error.
func admin[Req, Res any](ctx context.Context, a *Admin, req Req, verb func(context.Context, Req, ...grpc.CallOption) (Res, error)) (Res, error) {
	res, err := verb(a.client.outgoing(ctx), req, grpc.MaxCallRecvMsgSize(maxReceive))
	if err != nil {
		return res, fromCall(err, a.client.addr)
	}
	return res, nil
}

// List gives the queues by name, page after page.
func (a *Admin) List(ctx context.Context, q ListQuery) iter.Seq2[QueueSummary, error] {
	return func(yield func(QueueSummary, error) bool) {
		req := &pb.ListRequest{Prefix: q.Prefix, ServedOnly: q.ServedOnly, Temporary: q.Temporary}
		for more := true; more; {
			res, err := admin(ctx, a, req, a.service.List)
			if err != nil {
				yield(QueueSummary{}, err)
				return
			}
			for _, s := range res.GetQueues() {
				req.After = s.GetQueue()
				if !yield(queueSummary(s), nil) {
					return
				}
			}
			more = res.GetMore() && len(res.GetQueues()) > 0
		}
	}
}

// Describe tells everything about a queue but its messages.
func (a *Admin) Describe(ctx context.Context, queue string) (QueueDescription, error) {
	res, err := admin(ctx, a, &pb.DescribeRequest{Queue: queue}, a.service.Describe)
	if err != nil {
		return QueueDescription{}, err
	}
	return queueDescription(res), nil
}

// Peek shows a queue's messages in order, waiting and leased, without taking
// them: at most limit of them. Zero means 10; at most 1,000. Of each body it
// shows at most 64 KiB.
func (a *Admin) Peek(ctx context.Context, queue string, limit int) ([]MessageInfo, error) {
	res, err := admin(ctx, a, &pb.PeekRequest{Queue: queue, Limit: uint32(limit)}, a.service.Peek)
	if err != nil {
		return nil, err
	}
	return each(res.GetMessages(), messageInfo), nil
}

// Purge takes messages off a queue and counts them: all that wait, or the named
// ones even if they are leased. Callers who wait on them are told at once.
func (a *Admin) Purge(ctx context.Context, queue string, ids ...string) (uint64, error) {
	res, err := admin(ctx, a, &pb.PurgeRequest{Queue: queue, MessageIds: ids}, a.service.Purge)
	return res.GetPurged(), err
}

// Diagnostics says who waits on whom. It shows so many messages of each queue:
// zero means 20, at most 1,000.
func (a *Admin) Diagnostics(ctx context.Context, messagesPerQueue int) (Diagnostics, error) {
	res, err := admin(ctx, a, &pb.DiagnosticsRequest{MessagesPerQueue: uint32(messagesPerQueue)}, a.service.Diagnostics)
	if err != nil {
		return Diagnostics{}, err
	}
	return diagnostics(res), nil
}

// TraceQuery selects events of the flight recorder.
type TraceQuery struct {
	// After is the number of the last event not wanted. Zero: from the oldest.
	After uint64
	// Follow goes on with what happens from here on.
	Follow bool
	// Queue selects one queue's events. Empty: all.
	Queue string
	// MessageID selects one message's events. Empty: all.
	MessageID string
}

// Trace reads the flight recorder, oldest first. It ends with what there is, or
// with Follow, without an error, when ctx does.
func (a *Admin) Trace(ctx context.Context, q TraceQuery) iter.Seq2[TraceEvent, error] {
	return func(yield func(TraceEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := admin(ctx, a, &pb.TraceRequest{After: q.After, Follow: q.Follow, Queue: q.Queue, MessageId: q.MessageID}, a.service.Trace)
		var missed uint64
		for err == nil {
			var res *pb.TraceResponse
			if res, err = stream.Recv(); err != nil {
				break
			}
			missed += res.GetMissed()
			for _, e := range res.GetEvents() {
				if !yield(traceEvent(e, missed), nil) {
					return
				}
				missed = 0
			}
		}
		if !errors.Is(err, io.EOF) && ctx.Err() == nil {
			yield(TraceEvent{}, fromCall(err, a.client.addr))
		}
	}
}

// Shutdown drains the switch and ends it. It returns when the drain has begun.
// bound is how long the switch waits for leases to end: zero means its own bound,
// 20 s as a rule; at most 10 minutes.
func (a *Admin) Shutdown(ctx context.Context, bound time.Duration) error {
	_, err := admin(ctx, a, &pb.ShutdownRequest{BoundMs: toMillis(bound)}, a.service.Shutdown)
	return err
}

// each translates a list. It is never nil, so that JSON has a list too.
func each[From, To any](from []From, f func(From) To) []To {
	to := make([]To, len(from))
	for i := range from {
		to[i] = f(from[i])
	}
	return to
}
