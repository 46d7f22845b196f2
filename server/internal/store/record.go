package store

import "time"

// Queue is the definition of a durable queue.
type Queue struct {
	ID              uint64 // never used again, also when the name is
	Name            string
	Made            int64 // nanoseconds since 1970
	MaxMessages     int
	MaxBytes        int
	MaxAge          time.Duration
	Overflow        uint8
	MaxAttempts     int
	DeadLetterQueue string
	NoDeadLetter    bool
	Lease           time.Duration
}

// Stat counts what is stored of a queue. It is written with every batch that
// changes it, so a start need not read the messages.
type Stat struct {
	Messages int
	Bytes    int   // of their bodies
	Earliest int64 // no message expires before it, in nanoseconds since 1970; 0: none expires
}

// Header is one header of a message.
type Header struct{ Key, Value string }

// ID names a message of any queue, durable or not.
type ID struct{ Epoch, Sequence uint64 }

// Message is one message of a durable queue.
type Message struct {
	Queue           uint64
	Sequence        uint64 // names the message; rises with every message of a store
	Body            []byte
	Headers         []Header
	CorrelationID   string
	ReplyTo         string
	Sender          string
	Sent            int64 // nanoseconds since 1970
	Expires         int64 // the same; 0: never
	MaxAttempts     int
	RequireConsumer bool
	Stream          bool   // a request that may have parts
	Parent          ID     // the message that it was sent for; zero: none
	StartBy         int64  // when it has to be begun, in nanoseconds since 1970; 0: it need not
	Failure         []byte // of a reply; opaque here
	// Request marks a message that somebody waits for in person: Start reads it.
	Request bool
	// Attempts that count so far. They are stored beside the message (see
	// Batch.PutAttempts), since they change and the rest never does.
	Attempts int
}

// Session is a client's session with what it owns.
type Session struct {
	ID           uint64
	Name         string
	Principal    string
	Producer     string
	TTL, Grace   time.Duration
	Began        int64 // nanoseconds since 1970
	LastConsumer uint64
	Temporary    []string // names of temporary queues
	Consumers    []Consumer
}

// Consumer is one subscription of a session.
type Consumer struct {
	ID          uint64
	Queue       string
	Credit      int
	CreditBytes int
	Lease       time.Duration
}

// WindowSlots is how many sequences of a producer one Window holds.
const WindowSlots = 64

// Window is a part of what is remembered of a producer's sequences: those from
// Part*WindowSlots on.
type Window struct {
	Producer string
	Part     uint64
	Seen     int64               // when the producer last sent, in nanoseconds since 1970
	Messages [WindowSlots]uint64 // message sequences; 0: not seen
}

// Epoch is one start of the switch.
type Epoch struct {
	Epoch uint64 // larger than that of every earlier start; milliseconds since 1970, or later
	First uint64 // the sequence of the first message that was made in it
}
