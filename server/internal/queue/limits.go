package queue

import (
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits bound the state. The zero of each field means its default.
type Limits struct {
	PayloadBytes     int // largest body of one message; default 1 MiB
	Queues           int // named and temporary; default 200,000
	Sessions         int // default 20,000
	Consumers        int // per session; default 1,024
	TemporaryQueues  int // per session; default 1,024, as many as it may consume
	Producers        int // remembered idempotency windows; the longest silent goes first; default 20,000
	MemoryBytes      int // bodies in all queues together; default 256 MiB
	Keys             int // calls with a key of one queue, running or answered; default 100,000
	TraceEvents      int // entries of the flight recorder; default 4,096
	ProducerSilence  time.Duration
	DefaultDurable   bool // queues that ask for nothing are durable
	DurableAvailable bool // there is a store that keeps what it is given
}

// The limits of a request, from the protocol's comments.
const (
	MaxNameBytes     = 255
	MaxHeaders       = 64
	MaxHeaderBytes   = 16 << 10
	MaxCauseBytes    = 1024
	MaxProducerBytes = 64
	MaxLeases        = 4096 // in one Ack, Nack or Extend
	MaxCredit        = 65_536
	MaxAttempts      = 1_000_000
	MaxTimeout       = 30 * 24 * time.Hour
	MaxDelay         = 24 * time.Hour
	MinLease         = 100 * time.Millisecond
	MaxLease         = 12 * time.Hour
	MinTTL           = time.Second
	MaxTTL           = time.Hour
	MaxCreditBytes   = 1 << 40
	MaxTransfer      = 1024
	MaxTransferBytes = 64 << 20
	DefaultTTL       = 30 * time.Second
	DefaultGrace     = 10 * time.Second
	DefaultLease     = 30 * time.Second
	DefaultAttempts  = 5
	DefaultMessages  = 1_000_000
	DefaultBytes     = 1 << 30
	DefaultCredit    = 1
	// DefaultCreditBytes is 64 MiB: the largest payload that may be configured.
	DefaultCreditBytes = 64 << 20
	// DefaultTransferBytes leaves room for the rest of the answer in the 4 MiB
	// that gRPC clients take by default.
	DefaultTransferBytes = 3 << 20
	// TemporaryPrefix begins the names of temporary queues, and of no others.
	TemporaryPrefix = "tmp."
	// HeaderPrefix begins the headers that only the switch sets.
	HeaderPrefix = "switch-"
)

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.PayloadBytes, 1<<20)
	def(&l.Queues, 200_000)
	def(&l.Sessions, 20_000)
	def(&l.Consumers, 1024)
	def(&l.TemporaryQueues, 1024)
	def(&l.Producers, 20_000)
	def(&l.MemoryBytes, 256<<20)
	def(&l.Keys, 100_000)
	def(&l.TraceEvents, 4096)
	if l.ProducerSilence == 0 {
		l.ProducerSilence = time.Hour
	}
	return l
}

// checkName says what is wrong with a name that a client chose.
func checkName(what, name string) error {
	if len(name) <= MaxNameBytes && plain(name) {
		return nil
	}
	switch {
	case len(name) > MaxNameBytes:
		return errorf(ErrInvalid, "%s %s is too long: at most %d bytes", what, quote(name), MaxNameBytes)
	case !utf8.ValidString(name):
		return errorf(ErrInvalid, "%s %s is not UTF-8", what, quote(name))
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return errorf(ErrInvalid, "%s %s has a control character; use printable ones", what, quote(name))
		}
	}
	return nil
}

// plain reports whether name is printable ASCII, as names most often are.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func checkQueueName(name string) error {
	if name == "" {
		return errorf(ErrInvalid, "the queue has no name; name one of 1 to %d bytes", MaxNameBytes)
	}
	return checkName("queue name", name)
}

// inRange checks a number against its limits; zero is allowed and means a
// default.
func inRange[T ~int64 | ~int | ~uint64](what string, v, lo, hi T) error {
	if v == 0 || v >= lo && v <= hi {
		return nil
	}
	return errRange(what, v, lo, hi)
}

func errRange(what string, v, lo, hi any) *Error {
	return errorf(ErrInvalid, "%s is %v: it must be from %v to %v, or zero for the default", what, v, lo, hi)
}
