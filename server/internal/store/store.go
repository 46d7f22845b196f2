package store

import (
	"crypto/rand"
	"time"
)

// Start is what a life of the switch begins with.
type Start struct {
	// Epoch is larger than that of every earlier start: at least the time in
	// milliseconds since 1970.
	Epoch uint64
	// Key signs session tokens. A store that keeps it lets sessions resume
	// after a restart.
	Key [32]byte

	// What a disk has kept; empty without one.
	Sequence uint64  // no stored message has a higher one
	Epochs   []Epoch // this start's among them, oldest first
	Queues   []Queue
	Stats    map[uint64]Stat // by queue
	Requests []Message       // with bodies; of all queues, by sequence
	Sessions []Session
	Windows  []Window
	Keyed    []Keyed // by queue and sequence
}

// Memory is the start of a switch without a disk: a new key, and an epoch from
// the clock.
func Memory(now time.Time) (Start, error) {
	s := Start{Epoch: uint64(now.UnixMilli())}
	_, err := rand.Read(s.Key[:])
	return s, err
}
