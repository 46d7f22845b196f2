package queue

import "time"

// An Op is one change of the state, as data. Apply takes a pointer, so that the
// hot path can use one Op again and again. Strings and bytes of an Op may be
// borrowed unless its comment says that Apply keeps them.
type Op interface{ apply(*State, *Effects) error }

// Login opens a session. It fails with ErrInvalid, ErrLimitReached or
// ErrShuttingDown.
type Login struct {
	Session   SessionID // new: from NewSessionID
	Name      string    // for diagnostics; kept
	Principal string    // who it is; kept
	TTL       time.Duration
	Grace     time.Duration
	Producer  string // for Sends that name none; kept
}

// Attach binds a session to an open stream: it does not end while the stream is
// open. An earlier stream's sink is told with ErrSuperseded.
type Attach struct {
	Session SessionID
	Sink    any // handed back in SessionEnded; never looked at
}

// Retell tells the session's stream, which is new, what was cancelled of what it
// holds by consumers that it has ended: nobody resumes those.
type Retell struct{ Session SessionID }

// Detach says that the stream of sink was lost: the grace begins. Without
// effect when another stream took over.
type Detach struct {
	Session SessionID
	Sink    any
}

// Renew says that the session made a unary call.
type Renew struct{ Session SessionID }

// Logout ends a session at once. Its deliveries return uncounted.
type Logout struct{ Session SessionID }

// Create makes a queue if it does not exist.
type Create struct {
	Session   SessionID
	Queue     string  // kept
	Temporary bool    // Queue is an unguessable name made for it
	Options   Options // of a temporary queue MaxMessages and MaxBytes, until a restart
}

// Destroy removes a queue and everything in it.
type Destroy struct {
	Session SessionID
	Queue   string
}

// Buffer is what a body lies in. It is freed when the message is gone, by the Apply
// after that; never, if the Op made none: it had an error, was a duplicate, joined,
// or found no reply queue.
type Buffer interface{ Free() }

// Send puts a message into a queue. Body, unless it is lent, Headers and
// CorrelationID are kept.
type Send struct {
	Session         SessionID
	Queue           string
	Body            []byte
	BodyLent        bool   // Body is copied
	Buffer          Buffer // that Body lies in, when it is to be freed
	Headers         []Header
	CorrelationID   string
	ReplyTo         string
	Timeout         time.Duration // zero: for ever
	Producer        string        // empty: the session's
	Sequence        uint64        // zero: not idempotent
	Create          bool          // make the queue if it is missing …
	CreateOptions   Options       // … with these
	RequireConsumer bool
	MaxAttempts     int           // zero: the queue's
	Parent          ID            // the message that whoever sends works on; zero: none
	StartWithin     time.Duration // expires unless it is delivered by then; zero: it has until Timeout
	Stream          bool          // the reply may come in parts; see Part
	// Key makes the message a request of which there is one: a further Send with the
	// key joins it (keyed.go). Without a ReplyTo nobody waits for it yet.
	Key    string
	KeyTTL time.Duration // how long the reply is kept; zero: DefaultKeyTTL
	Digest [16]byte      // with Key: DigestOf(Body), made before Apply, as it takes long
}

// Subscribe makes a consumer, or changes and resumes the one it names.
type Subscribe struct {
	Session       SessionID
	Queue         string // required for a new consumer
	Consumer      ConsumerID
	Credit        int
	CreditBytes   int
	Lease         time.Duration
	Create        bool
	CreateOptions Options
	AfterLease    Lease // with Consumer: deliver again what it holds beyond this
	// Service is the service that the consumer is an instance of; kept. Empty:
	// none, or what it said before.
	Service     string
	ServiceInfo []byte // its whole description, opaque; kept
	// Sink is where its deliveries go: it is pushed to as far as its credit
	// lasts. Nil: deliveries are taken by Pull.
	Sink any
}

// Unsubscribe ends a consumer. Leases that it holds stay valid.
type Unsubscribe struct {
	Session  SessionID
	Consumer ConsumerID
}

// Pull opens consumers for deliveries to sink until Close, within Messages and
// Bytes.
type Pull struct {
	Session    SessionID
	Consumers  []ConsumerID // empty: all that no stream serves
	Messages   int
	Bytes      int
	AfterLease Lease // deliver again what they hold beyond this, first
	Sink       any
}

// ClosePull ends what Pull opened for the sink.
type ClosePull struct {
	Session SessionID
	Sink    any
	// Release are deliveries that did not get through: they go back, untouched,
	// but for those that another Pull has asked for since.
	Release []Lease
	// Untold are leases of Effects.Cancelled that did not get through.
	Untold []Lease
}

// Ack ends leases for good. With one lease its failure is the Op's; else it is
// in Effects.Refused.
type Ack struct {
	Session  SessionID
	Leases   []Lease
	Consumer ConsumerID // with Through
	Through  Lease      // all leases of Consumer up to this one; zero: none
	Sync     bool       // answer once it is on disk
}

// NackKind says what becomes of a message that was not handled.
type NackKind uint8

// The kinds of Nack. The zero is Retry.
const (
	Retry   NackKind = iota // try again after Delay; the attempt counts
	Release                 // give it back; the attempt does not count
	Refuse                  // reject: never try again
)

// Nack ends leases without success. Refusals as in Ack.
type Nack struct {
	Session SessionID
	Leases  []Lease
	Kind    NackKind
	Delay   time.Duration // with Retry
	Cause   string        // kept
}

// Extend moves lease deadlines to Lease from now. Refusals as in Ack.
type Extend struct {
	Session SessionID
	Leases  []Lease
	Lease   time.Duration // zero: the consumer's
}

// Reply answers the request of a lease and acks it. Body, unless it is lent,
// Headers and Failure are kept. A reply queue that is gone is no error: the request is acked and
// Effects.ReplyQueueGone set. Nor are parts that are missing: the caller is told, and Effects.Broken set.
type Reply struct {
	Session  SessionID
	Lease    Lease
	Body     []byte
	BodyLent bool   // Body is copied
	Buffer   Buffer // that Body lies in, when it is to be freed
	Headers  []Header
	Failure  []byte // a handler's failure, opaque; empty: none
	// FailureText is what a Failure says to people; kept.
	FailureText string
	Parts       uint64 // without Failure, of a stream: how many were sent before; zero: not checked
}

// Cancel withdraws a queued request by its reply queue and correlation id.
type Cancel struct {
	Session       SessionID
	ReplyTo       string
	CorrelationID string
}

// Purge takes messages off a queue: all that wait, or those of IDs.
type Purge struct {
	Queue  string
	IDs    []ID
	Stored []Stored // those of IDs that are Queue.Spilled, read after that; what has left since is ignored
}

// Tick does what is due: leases and messages end, delays pass, sessions end.
type Tick struct{}

// Drain begins the shutdown: no deliveries, no sends, no logins from here on.
type Drain struct{}
