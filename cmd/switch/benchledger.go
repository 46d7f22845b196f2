package main

import (
	"sync"
	"time"
)

// A ledger says of every number whether there is a receipt for it and whether it
// came out of the queue: two bits a number. It is safe for concurrent use.
type ledger struct {
	mu       sync.Mutex // guards all of it
	receipts bits
	arrivals bits
	open     uint64    // numbers with a receipt that have not arrived
	sent     uint64    // numbers with a receipt
	arrived  uint64    // different numbers
	again    uint64    // redeliveries: attempts after a message's first
	twice    uint64    // first attempts at a number that had arrived: it was in the queue twice
	last     time.Time // when something arrived
}

// receipt notes the switch's word that a number is in the queue. The number may
// have arrived before it.
func (l *ledger) receipt(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts.set(n)
	l.sent++
	if !l.arrivals.has(n) {
		l.open++
	}
}

// arrive notes a delivery; it reports whether it is the first of its number.
func (l *ledger) arrive(n uint64, attempt int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	if attempt > 1 {
		l.again++
	}
	if l.arrivals.has(n) {
		if attempt <= 1 {
			l.twice++
		}
		return false
	}
	l.arrivals.set(n)
	l.arrived++
	if l.receipts.has(n) {
		l.open--
	}
	return true
}

// missing counts the numbers that have a receipt and have not arrived, and says
// for how long nothing has.
func (l *ledger) missing() (n uint64, silent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, time.Since(l.last)
}

// bits is a set of numbers that grows.
type bits []uint64

func (b *bits) set(n uint64) {
	for n/64 >= uint64(len(*b)) {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bits) has(n uint64) bool { return n/64 < uint64(len(b)) && b[n/64]&(1<<(n%64)) != 0 }
