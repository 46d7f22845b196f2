package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// maxWait bounds a long poll (TransferRequest.wait_ms).
const maxWait = 300 * time.Second

// poll is one Transfer: the Sink of its consumers while it is open.
type poll struct {
	s    *Server
	wake chan struct{} // gets a value when there is something; never closed

	// Guarded by the engine's lock.
	deliveries []*pb.Delivery
	cancelled  []uint64 // leases
	err        error
}

var _ engine.Sink = (*poll)(nil)

// Deliver notes a delivery.
func (p *poll) Deliver(now queue.Instant, d *queue.Delivery) bool {
	m := d.Message
	out := &pb.Delivery{
		Consumer:      uint64(d.Consumer.ID),
		Lease:         uint64(d.Lease),
		MessageId:     m.ID.String(),
		Queue:         d.Consumer.Queue.Name,
		Body:          m.KeepBody(), // the message may go before it is encoded
		Headers:       headerMap(m.Headers),
		CorrelationId: m.CorrelationID,
		ReplyTo:       m.ReplyTo,
		Attempt:       uint32(m.Attempt()),
		TimeoutMs:     toMillis(m.TimeLeft(now)),
		LeaseMs:       m.LeaseLeft(now).Milliseconds(),
		AgeMs:         now.Sub(m.Sent).Milliseconds(),
		Part:          m.Part,
		End:           m.End,
		Stream:        m.Stream,
		Key:           m.Key(),
	}
	if f := m.Failure; f != nil && f.Err != nil {
		out.Failure = p.s.failure(f.Err)
	} else if f != nil {
		out.Failure = &pb.Failure{}
		if err := proto.Unmarshal(f.Handler, out.Failure); err != nil { // it was checked when it came
			p.s.log.Error("decode a failure", "err", err)
		}
	}
	p.deliveries = append(p.deliveries, out)
	return true
}

// Cancelled ends the poll, unless the client was told before: it may end what it
// does for nobody.
func (p *poll) Cancelled(c *queue.Cancelled) bool {
	p.cancelled = append(p.cancelled, uint64(c.Lease))
	return !c.Again
}

// Taken is for streams: a poller learns it from the answer to its next Part.
func (p *poll) Taken(*queue.Taken) bool { return false }

// ConsumerEnded ends the poll: the client is to know at once.
func (p *poll) ConsumerEnded(_ queue.ConsumerID, err error) bool {
	p.err = err
	return true
}

// SessionEnded ends the poll.
func (p *poll) SessionEnded(err error) bool { return p.ConsumerEnded(0, err) }

// Flush wakes the poll.
func (p *poll) Flush() {
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Transfer is the long poll.
func (d *dataService) Transfer(ctx context.Context, req *pb.TransferRequest) (*pb.TransferResponse, error) {
	wait := millis(req.GetWaitMs())
	if wait < 0 || wait > maxWait {
		return nil, d.s.status(invalid("wait_ms is %d: it must be from 0 to %d", req.GetWaitMs(), maxWait.Milliseconds()))
	}
	p := &poll{s: d.s, wake: make(chan struct{}, 1)}
	id, err := p.open(ctx, req)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		p.wait(ctx, wait)
	}
	return p.close(ctx, id)
}

func (p *poll) open(ctx context.Context, req *pb.TransferRequest) (queue.SessionID, error) {
	consumers := make([]queue.ConsumerID, len(req.GetConsumers()))
	for i, c := range req.GetConsumers() {
		consumers[i] = queue.ConsumerID(c)
	}
	return unary(ctx, p.s, req, func(tx *engine.Tx, id queue.SessionID, req *pb.TransferRequest) (queue.SessionID, error) {
		_, err := tx.Apply(&queue.Pull{Session: id, Consumers: consumers, Messages: int(req.GetMaxMessages()),
			Bytes: toInt(req.GetMaxBytes()), AfterLease: queue.Lease(req.GetAfterLease()), Sink: p})
		return id, err
	})
}

// wait returns when there is something, the time is up, the client is gone, or
// the switch drains.
func (p *poll) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.wake:
	case <-timer.C:
	case <-ctx.Done():
	case <-p.s.stopping:
	}
}

// close takes what there is. When the client is gone, deliveries that it can't
// get go back uncounted.
func (p *poll) close(ctx context.Context, id queue.SessionID) (*pb.TransferResponse, error) {
	var tx engine.Tx
	p.s.engine.Begin(&tx)
	defer tx.End()
	op := &queue.ClosePull{Session: id, Sink: p}
	gone := ctx.Err()
	if gone != nil {
		for _, d := range p.deliveries {
			op.Release = append(op.Release, queue.Lease(d.GetLease()))
		}
		op.Untold = leases(p.cancelled)
	}
	if _, err := tx.Apply(op); err != nil {
		return nil, p.s.status(err)
	}
	if gone != nil {
		return nil, gone
	}
	if len(p.deliveries)+len(p.cancelled) == 0 && p.err != nil {
		return nil, p.s.status(p.err)
	}
	return &pb.TransferResponse{Deliveries: p.deliveries, Cancelled: p.cancelled}, nil
}
