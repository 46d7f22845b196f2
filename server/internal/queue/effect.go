package queue

// Effects are what an operation caused, and its result. Messages and consumers
// in it may be read until the next Apply. The zero value is ready; Apply resets
// it first.
type Effects struct {
	Result
	Refused     []Refusal // Ack, Nack, Extend of several leases
	CallersGone []Lease   // Extend: nobody waits for the replies to these any more

	// What others are to be told.
	Deliveries     []Delivery
	ConsumersEnded []ConsumerEnded
	SessionsEnded  []SessionEnded
	Cancelled      []Cancelled // after Deliveries: some may be in both
	Taken          []Taken

	// What a store is to keep, and to bring.
	Changes []Change
	Loads   []Load
}

// Result is an operation's result.
type Result struct {
	ID             ID          // Send: the message; a duplicate's first id
	Duplicate      bool        // Send, Part: nothing was enqueued
	Joined         bool        // Send, Join: ID is the call that was joined; nothing was enqueued
	Answered       bool        // with Joined: the reply was there, and is on its way
	Queue          *Queue      // Create, Send, Subscribe, EndCall: the queue
	Created        bool        // Create, Subscribe, Send: the queue is new
	Consumer       *Consumer   // Subscribe
	Count          int         // Ack, Nack, Extend, Purge, Destroy: how many; EndCall: how many others
	ReplyQueueGone bool        // Reply
	Broken         error       // Reply: its caller was told this instead, for parts are missing
	Cancel         CancelState // Cancel, EndCall
	Left           int         // Replay: how many were left alone …
	LeftErr        error       // … and why the first was
	Through        uint64      // Replay without IDs: all up to this sequence were looked at
	Half           *Half       // Part
	Sync           bool        // the answer waits until Changes are on disk
}

// Refusal says why one lease of a list was refused.
type Refusal struct {
	Lease Lease
	Err   error
}

// Delivery is one attempt at one message for one consumer.
type Delivery struct {
	Sink     any // of the consumer
	Consumer *Consumer
	Message  *Message
	Lease    Lease // the message's, at this time
}

// ConsumerEnded says that a consumer ended without being asked to.
type ConsumerEnded struct {
	Sink     any
	Consumer ConsumerID
	Err      error
}

// SessionEnded says that a session is gone, or that another stream took it
// (ErrSuperseded).
type SessionEnded struct {
	Sink    any // nil without a stream
	Session SessionID
	Err     error
}

// Cancelled says that nobody waits for the reply to a request that a consumer
// holds.
type Cancelled struct {
	Sink     any // of the consumer's session, or of its Pull
	Consumer ConsumerID
	Lease    Lease
	Again    bool // it was told before
}

// Taken says how much of one half of a stream its receiver has taken in all.
type Taken struct {
	Sink          any    // of the sender's session
	Lease         Lease  // of the request, whose holder sends; zero: its caller does
	ReplyTo       string // without Lease, with CorrelationID: the request
	CorrelationID string
	Parts, Bytes  uint64
}

// about reports whether t is about the same half of the same stream as other.
func (t *Taken) about(other *Taken) bool {
	return t.Sink == other.Sink && t.Lease == other.Lease && t.ReplyTo == other.ReplyTo && t.CorrelationID == other.CorrelationID
}

// CancelState says what became of a cancelled request.
type CancelState uint8

// What Cancel found.
const (
	CancelUnknown   CancelState = iota // not pending
	CancelWithdrawn                    // it was queued, and is gone
	CancelRunning                      // somebody holds its lease
	CancelLeft                         // it goes on for others who wait, or because it is detached
)

// reset empties e and keeps its memory.
func (e *Effects) reset() {
	e.Result = Result{}
	e.Deliveries = emptied(e.Deliveries)
	if len(e.Refused)+len(e.CallersGone)+len(e.ConsumersEnded)+len(e.SessionsEnded)+
		len(e.Cancelled)+len(e.Taken)+len(e.Changes)+len(e.Loads) == 0 {
		return // as most often
	}
	e.Refused = emptied(e.Refused)
	e.CallersGone = emptied(e.CallersGone)
	e.ConsumersEnded = emptied(e.ConsumersEnded)
	e.SessionsEnded = emptied(e.SessionsEnded)
	e.Cancelled = emptied(e.Cancelled)
	e.Taken = emptied(e.Taken)
	e.Changes = emptied(e.Changes)
	e.Loads = emptied(e.Loads)
}

// emptied is list without its elements. Most have none, or one, which is cleared
// without a call.
func emptied[T any](list []T) []T {
	if len(list) == 1 {
		var none T
		list[0] = none
	} else {
		clear(list)
	}
	return list[:0]
}
