package client

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Delivery is one attempt at one message, held under a lease until it is acked,
// replied to or given back, or its time is up. Its methods are safe for
// concurrent use; its fields are the program's. What few deliveries have, and the
// times, are methods: many deliveries are held at once, and so they are small.
//
// Ack, Reply and ReplyFailure do not wait: they go out with the next flush, and
// again after a reconnect until the switch has them. The others wait for the
// switch's word: ErrLeaseGone when the lease has ended, ErrSessionLost when it
// ended with the session.
type Delivery struct {
	// MessageID is the message's id, never used again.
	MessageID string
	// Queue is where it came from.
	Queue string
	// Body is the payload.
	Body []byte
	// Headers are as sent, and the switch's own ("switch-…") on a dead letter. Nil
	// when there are none.
	Headers map[string]string
	// CorrelationID is that of the request, also on its reply.
	CorrelationID string
	// ReplyTo is where the reply goes; empty when none is wanted.
	ReplyTo string
	// Attempt counts from 1.
	Attempt int
	// Failure is set on a reply to a request that failed.
	Failure *Failure

	batch *batch
	lease uint64
	extra *extra // nil for most

	// In milliseconds from batch.received, as on the wire.
	expiresIn int64 // zero: never
	leaseFor  int64
	age       int64
}

// A batch is what the deliveries of one stream message share.
type batch struct {
	client   *Client
	epoch    uint64 // of the session that holds the leases
	received time.Time
}

// An extra is what few deliveries have.
type extra struct {
	key    string
	part   uint64
	end    bool
	stream bool
	sender *PartSender // of parts of the reply; nil: none was made; guarded by Client.mu
}

// Sent is when the message was, by this machine's clock.
func (d *Delivery) Sent() time.Time { return d.at(-d.age) }

// Expires is when the message does, by this machine's clock. Zero: never.
func (d *Delivery) Expires() time.Time {
	if d.expiresIn == 0 {
		return time.Time{}
	}
	return d.at(d.expiresIn)
}

// LeaseUntil is when the lease ends unless it is extended.
func (d *Delivery) LeaseUntil() time.Time { return d.at(d.leaseFor) }

// at is so long after the delivery was received. One that never was has no times.
func (d *Delivery) at(ms int64) time.Time {
	if d.batch == nil {
		return time.Time{}
	}
	return d.batch.received.Add(millis(ms))
}

// Key is that of a call which has one, else empty. A handler may see it again: at
// another attempt, or after the switch has forgotten the reply.
func (d *Delivery) Key() string {
	if d.extra == nil {
		return ""
	}
	return d.extra.key
}

// Part is which part of its half of a stream this is, from 1 without a gap. Zero:
// it is none. A part with a ReplyTo says that the holder takes parts, and nothing
// else.
func (d *Delivery) Part() uint64 {
	if d.extra == nil {
		return 0
	}
	return d.extra.part
}

// End reports whether this is the last part of its half. Without Body and Headers
// it is the end and nothing else.
func (d *Delivery) End() bool { return d.extra != nil && d.extra.end }

// Stream reports whether this is a request whose caller takes the reply in parts;
// see Parts.
func (d *Delivery) Stream() bool { return d.extra != nil && d.extra.stream }

// Lease is the number of the lease, unique in the life of the switch.
func (d *Delivery) Lease() uint64 { return d.lease }

// Ack says that the message is done.
func (d *Delivery) Ack() error {
	c := d.batch.client
	c.mu.Lock()
	if err := d.heldLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.out.acks = append(c.out.acks, d.lease); len(c.out.acks) == maxAcks {
		c.out.putAcks()
	}
	c.leave()
	return nil
}

// AckWait is Ack, and waits until the switch has it on disk, where the queue is
// durable: after that no crash brings the message back.
func (d *Delivery) AckWait(ctx context.Context) error {
	return d.ask(ctx, frames.VerbAck, &pb.AckRequest{Leases: []uint64{d.lease}, Sync: true})
}

// Retry gives the message back, to be tried again after delay, at most a day.
// The attempt counts. The cause, at most 1,024 bytes, is for the dead letter and
// the trace.
func (d *Delivery) Retry(ctx context.Context, delay time.Duration, cause string) error {
	return d.nack(ctx, &pb.NackRequest{Kind: pb.NackKind_NACK_KIND_RETRY, DelayMs: toMillis(delay), Cause: cause})
}

// Release gives the message back untouched: the attempt does not count.
func (d *Delivery) Release(ctx context.Context) error {
	return d.nack(ctx, &pb.NackRequest{Kind: pb.NackKind_NACK_KIND_RELEASE})
}

// Reject lets the message never be tried again: it becomes a dead letter now.
func (d *Delivery) Reject(ctx context.Context, cause string) error {
	return d.nack(ctx, &pb.NackRequest{Kind: pb.NackKind_NACK_KIND_REJECT, Cause: cause})
}

func (d *Delivery) nack(ctx context.Context, m *pb.NackRequest) error {
	m.Leases = []uint64{d.lease}
	return d.ask(ctx, frames.VerbNack, m)
}

// Extend lets the lease last so long from now. Zero: as long as the consumer's
// leases do; 100 ms to 12 h. With ErrCallerGone it does as well, and nobody waits for
// the reply any more.
func (d *Delivery) Extend(ctx context.Context, lease time.Duration) error {
	a, err := d.answer(ctx, frames.VerbExtend, &pb.ExtendRequest{Leases: []uint64{d.lease}, LeaseMs: toMillis(lease)})
	if err == nil && len(a.(*pb.ExtendResponse).GetCancelled()) > 0 {
		return ErrCallerGone
	}
	return err
}

// Reply answers the request and acks it, in one step. The client keeps neither
// body nor headers. If the switch has refused a part that was sent before, the caller
// is told ErrStreamBroken in place of the reply.
func (d *Delivery) Reply(body []byte, headers map[string]string) error {
	hs, err := fillHeaders(nil, headers)
	if err != nil {
		return err
	}
	return d.reply(&frames.Reply{Lease: d.lease, Body: body, Headers: hs})
}

// ReplyFailure answers the request with a failure and acks it.
func (d *Delivery) ReplyFailure(f Failure) error {
	b, err := f.encode()
	if err != nil {
		return invalid("the failure: %v", err)
	}
	hs, err := fillHeaders(nil, f.Headers)
	if err != nil {
		return err
	}
	return d.reply(&frames.Reply{Lease: d.lease, Failure: b, Headers: hs})
}

// reply appends a quiet reply. It does not wait for room: replies are bounded by
// the deliveries that the consumers hold.
func (d *Delivery) reply(m *frames.Reply) error {
	c := d.batch.client
	c.mu.Lock()
	err := d.heldLocked()
	switch {
	case err != nil:
	case d.ReplyTo == "":
		err = &Error{Code: codes.FailedPrecondition, Reason: "NO_REPLY_TO", Message: "message " + d.MessageID + " wants no reply; ack it"}
	case len(m.Body) > c.limits.payload:
		err = tooLarge(len(m.Body), c.limits.payload)
	default:
		if m.Failure == nil {
			m.Parts = d.partsLocked()
		}
		c.out.addReply(m)
		c.leave()
		return nil
	}
	c.mu.Unlock()
	return err
}

// ReplyWait is Reply, and waits for the switch's word. ErrReplyQueueGone says
// that the caller is gone, and ErrStreamBroken that parts are missing; the request is
// acked all the same.
func (d *Delivery) ReplyWait(ctx context.Context, body []byte, headers map[string]string) error {
	c := d.batch.client
	c.mu.Lock()
	limit, parts := c.limits.payload, d.partsLocked()
	c.mu.Unlock()
	if len(body) > limit {
		return tooLarge(len(body), limit)
	}
	return d.ask(ctx, frames.VerbReply, &pb.ReplyRequest{Lease: d.lease, Body: body, Headers: headers, Parts: parts})
}

// partsLocked is how many parts of the reply were sent.
func (d *Delivery) partsLocked() uint64 {
	if d.extra == nil || d.extra.sender == nil {
		return 0
	}
	return d.extra.sender.number
}

// ask does a verb about the lease and waits for the answer.
func (d *Delivery) ask(ctx context.Context, verb frames.Verb, m proto.Message) error {
	_, err := d.answer(ctx, verb, m)
	return err
}

func (d *Delivery) answer(ctx context.Context, verb frames.Verb, m proto.Message) (proto.Message, error) {
	c := d.batch.client
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	k := newCall(verb, m)
	err := d.heldLocked()
	if err == nil {
		err = c.out.add(k)
	}
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.exit()
	a := c.await(ctx, k)
	if a.lost && c.isOpen() {
		return nil, errLeaseLost(d.Queue)
	}
	return a.reply, a.err
}

// heldLocked says why nothing can be done with the lease any more, if so.
func (d *Delivery) heldLocked() error {
	switch c := d.batch.client; {
	case c.shut != nil:
		return c.shut
	case d.batch.epoch != c.epoch:
		return errLeaseLost(d.Queue)
	}
	return nil
}

func (c *Client) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shut == nil
}
