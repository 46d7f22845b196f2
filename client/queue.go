package client

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Durability says what a message survives.
type Durability int

const (
	// DefaultDurability is the switch's: Durable with a data directory, Memory
	// without.
	DefaultDurability Durability = iota
	// Memory messages are lost when the switch ends.
	Memory
	// Durable messages were synced to disk before they were answered or
	// delivered.
	Durable
)

// String is "default", "memory" or "durable".
func (d Durability) String() string { return name(d, "default", "memory", "durable") }

// MarshalText is String.
func (d Durability) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Overflow says what a full queue does with one more message.
type Overflow int

const (
	// DefaultOverflow is Reject.
	DefaultOverflow Overflow = iota
	// Reject refuses it with ErrQueueFull.
	Reject
	// DropOldest drops the oldest waiting message.
	DropOldest
)

// String is "default", "reject" or "drop-oldest".
func (o Overflow) String() string { return name(o, "default", "reject", "drop-oldest") }

// MarshalText is String.
func (o Overflow) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// name is the name of a value that counts from zero.
func name[T ~int](v T, names ...string) string {
	if v < 0 || int(v) >= len(names) {
		return "unknown"
	}
	return names[v]
}

// QueueOptions are set once, when a queue is made. The zero value is right for
// most queues.
type QueueOptions struct {
	// Durability is what its messages survive.
	Durability Durability `json:"durability"`
	// MaxMessages is how many messages it holds, waiting and leased. Zero means
	// 1,000,000.
	MaxMessages uint64 `json:"max_messages"`
	// MaxBytes is how many body bytes it holds. Zero means 1 GiB.
	MaxBytes uint64 `json:"max_bytes"`
	// MaxAge is how long a message may wait. Zero: for ever; at most 30 days.
	MaxAge time.Duration `json:"-"`
	// Overflow is what happens at MaxMessages or MaxBytes.
	Overflow Overflow `json:"overflow"`
	// MaxAttempts is how often a message is attempted before it is dead-lettered.
	// Zero means 5; at most 1,000,000.
	MaxAttempts int `json:"max_attempts"`
	// DeadLetterQueue is where dead messages go. Empty means the queue's name and
	// ".dead".
	DeadLetterQueue string `json:"dead_letter_queue"`
	// NoDeadLetter drops and counts dead messages instead.
	NoDeadLetter bool `json:"no_dead_letter"`
	// Lease is how long a lease lasts unless its consumer says otherwise. Zero
	// means 30 s; 100 ms to 12 h.
	Lease time.Duration `json:"-"`
}

// MarshalJSON writes durations as numbers of milliseconds.
func (o QueueOptions) MarshalJSON() ([]byte, error) {
	type plain QueueOptions
	return json.Marshal(struct {
		plain
		MaxAgeMS int64 `json:"max_age_ms"`
		LeaseMS  int64 `json:"lease_ms"`
	}{plain(o), o.MaxAge.Milliseconds(), o.Lease.Milliseconds()})
}

func (o *QueueOptions) wire() *pb.QueueOptions {
	if o == nil {
		return nil
	}
	return &pb.QueueOptions{
		Durability:      pb.Durability(o.Durability),
		MaxMessages:     o.MaxMessages,
		MaxBytes:        o.MaxBytes,
		MaxAgeMs:        toMillis(o.MaxAge),
		Overflow:        pb.Overflow(o.Overflow),
		MaxAttempts:     uint32(o.MaxAttempts),
		DeadLetterQueue: o.DeadLetterQueue,
		NoDeadLetter:    o.NoDeadLetter,
		LeaseMs:         toMillis(o.Lease),
	}
}

// encode is for a field of a hot frame; nil stays absent.
func (o *QueueOptions) encode() ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	return proto.MarshalOptions{}.MarshalAppend([]byte{}, o.wire())
}

func queueOptions(p *pb.QueueOptions) QueueOptions {
	return QueueOptions{
		Durability:      Durability(p.GetDurability()),
		MaxMessages:     p.GetMaxMessages(),
		MaxBytes:        p.GetMaxBytes(),
		MaxAge:          millis(p.GetMaxAgeMs()),
		Overflow:        Overflow(p.GetOverflow()),
		MaxAttempts:     int(p.GetMaxAttempts()),
		DeadLetterQueue: p.GetDeadLetterQueue(),
		NoDeadLetter:    p.GetNoDeadLetter(),
		Lease:           millis(p.GetLeaseMs()),
	}
}

// Create makes a named queue. It is idempotent: created is false when the queue
// existed. Options that differ from the existing queue's are ErrQueueExists;
// those left zero are not compared.
func (c *Client) Create(ctx context.Context, queue string, o QueueOptions) (created bool, err error) {
	if queue == "" {
		return false, invalid("a queue needs a name; for a temporary one use CreateTemporary")
	}
	reply, err := c.ask(ctx, frames.VerbCreate, &pb.CreateRequest{Queue: queue, Options: o.wire()})
	if err != nil {
		return false, err
	}
	return reply.(*pb.CreateResponse).GetCreated(), nil
}

// CreateTemporary makes a queue under a name that nobody can guess. It belongs
// to the client's session and ends with it.
func (c *Client) CreateTemporary(ctx context.Context) (queue string, err error) {
	reply, err := c.ask(ctx, frames.VerbCreate, &pb.CreateRequest{})
	if err != nil {
		return "", err
	}
	return reply.(*pb.CreateResponse).GetQueue(), nil
}

// Destroy removes a queue with everything in it, and counts what was. Callers
// who wait on its requests are told at once.
func (c *Client) Destroy(ctx context.Context, queue string) (messages uint64, err error) {
	reply, err := c.ask(ctx, frames.VerbDestroy, &pb.DestroyRequest{Queue: queue})
	if err != nil {
		return 0, err
	}
	return reply.(*pb.DestroyResponse).GetMessages(), nil
}
