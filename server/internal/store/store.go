package store

import (
	"crypto/rand"
	"time"
)

// Store is what the engine needs of a disk.
type Store interface {
	// Start begins a life of the switch.
	Start(now time.Time) (Start, error)
	// Durable reports whether what is committed outlives the process.
	Durable() bool
	// Close gives the store back. No other call may follow.
	Close() error
}

// Start is what a life of the switch begins with.
type Start struct {
	// Epoch is larger than that of every earlier start: at least the time in
	// milliseconds since 1970.
	Epoch uint64
	// Key signs session tokens. A store that keeps it lets sessions resume
	// after a restart.
	Key [32]byte
}

// Memory is the store without a disk. The zero value is ready.
type Memory struct{}

var _ Store = Memory{}

// Start makes a new key, and an epoch from the clock.
func (Memory) Start(now time.Time) (Start, error) {
	s := Start{Epoch: uint64(now.UnixMilli())}
	_, err := rand.Read(s.Key[:])
	return s, err
}

// Durable is false.
func (Memory) Durable() bool { return false }

// Close does nothing.
func (Memory) Close() error { return nil }
