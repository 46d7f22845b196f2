package queue

import (
	"strings"
	"time"
)

// Durability says what a message survives.
type Durability uint8

// The durabilities. The zero asks for the switch's default.
const (
	DefaultDurability Durability = iota
	Memory
	Durable
)

// Overflow says what a full queue does with one more message.
type Overflow uint8

// The overflow rules. The zero is Reject.
const (
	DefaultOverflow Overflow = iota
	Reject
	DropOldest
)

// Options are a queue's settings, set once when it is made. A zero field means
// its default when the queue is made, and "not compared" when it exists.
type Options struct {
	Durability      Durability
	MaxMessages     int           // waiting and leased; default 1,000,000
	MaxBytes        int           // of their bodies; default 1 GiB
	MaxAge          time.Duration // how long a message may wait; default for ever
	Overflow        Overflow
	MaxAttempts     int    // default 5
	DeadLetterQueue string // default the queue's name and ".dead"
	NoDeadLetter    bool   // drop and count dead messages instead
	Lease           time.Duration
}

func (o Options) check() error {
	for _, err := range []error{
		inRange("max_messages", o.MaxMessages, 1, 1<<40),
		inRange("max_bytes", o.MaxBytes, 1, 1<<50),
		inRange("max_age_ms", o.MaxAge, time.Millisecond, MaxTimeout),
		inRange("max_attempts", o.MaxAttempts, 1, MaxAttempts),
		inRange("lease_ms", o.Lease, MinLease, MaxLease),
		checkName("dead_letter_queue", o.DeadLetterQueue),
	} {
		if err != nil {
			return err
		}
	}
	if strings.HasPrefix(o.DeadLetterQueue, TemporaryPrefix) {
		return errorf(ErrInvalid, "dead_letter_queue %s begins with %q, which names temporary queues; choose another", quote(o.DeadLetterQueue), TemporaryPrefix)
	}
	return nil
}

// withDefaults fills in what was left open for a queue of that name.
func (o Options) withDefaults(name string, l *Limits) Options {
	if o.Durability == DefaultDurability {
		o.Durability = Memory
		if l.DefaultDurable {
			o.Durability = Durable
		}
	}
	if o.MaxMessages == 0 {
		o.MaxMessages = DefaultMessages
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultBytes
	}
	if o.Overflow == DefaultOverflow {
		o.Overflow = Reject
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = DefaultAttempts
	}
	if o.DeadLetterQueue == "" && !o.NoDeadLetter {
		o.DeadLetterQueue = name + deadSuffix
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	return o
}

// conflict names the first set field of want in which o differs.
func (o Options) conflict(want Options) string {
	for _, f := range []struct {
		name     string
		set, has bool
	}{
		{"durability", want.Durability != 0, want.Durability == o.Durability},
		{"max_messages", want.MaxMessages != 0, want.MaxMessages == o.MaxMessages},
		{"max_bytes", want.MaxBytes != 0, want.MaxBytes == o.MaxBytes},
		{"max_age_ms", want.MaxAge != 0, want.MaxAge == o.MaxAge},
		{"overflow", want.Overflow != 0, want.Overflow == o.Overflow},
		{"max_attempts", want.MaxAttempts != 0, want.MaxAttempts == o.MaxAttempts},
		{"dead_letter_queue", want.DeadLetterQueue != "", want.DeadLetterQueue == o.DeadLetterQueue},
		{"no_dead_letter", want.NoDeadLetter, o.NoDeadLetter},
		{"lease_ms", want.Lease != 0, want.Lease == o.Lease},
	} {
		if f.set && !f.has {
			return f.name
		}
	}
	return ""
}
