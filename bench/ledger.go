package main

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// A ledger holds which numbers have arrived. Numbers run from zero without gaps.
type ledger struct {
	arrived atomic.Int64 // different ones
	mu      sync.Mutex
	seen    []uint64 // one bit for each number; guarded by mu
	first   error    // what was wrong first; guarded by mu
}

// ledgerLimit bounds the numbers, so that a garbled one takes no memory.
const ledgerLimit = 1 << 33

// arrive notes the number in a body.
func (l *ledger) arrive(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.note(body); err != nil {
		if l.first == nil {
			l.first = err
		}
		return
	}
	l.arrived.Add(1)
}

func (l *ledger) note(body []byte) error {
	if len(body) < header {
		return mismatch("a message of %d bytes", len(body))
	}
	number := binary.LittleEndian.Uint64(body[8:])
	if number >= ledgerLimit {
		return mismatch("a message with number %d", number)
	}
	word, bit := number/64, uint64(1)<<(number%64)
	for uint64(len(l.seen)) <= word {
		l.seen = append(l.seen, make([]uint64, 1+len(l.seen))...)
	}
	if l.seen[word]&bit != 0 {
		return mismatch("message %d came twice", number)
	}
	l.seen[word] |= bit
	return nil
}

// fault is what was wrong first, if anything was.
func (l *ledger) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// check says whether every number below total has arrived exactly once.
func (l *ledger) check(total int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first != nil {
		return l.first
	}
	var below int64
	for number := range total {
		if word := number / 64; word < int64(len(l.seen)) && l.seen[word]&(1<<(number%64)) != 0 {
			below++
		}
	}
	if arrived := l.arrived.Load(); arrived != total || below != total {
		return mismatch("%d messages were sent, %d arrived, %d of them with a number that was sent", total, arrived, below)
	}
	return nil
}
