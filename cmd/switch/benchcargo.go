package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"time"
)

const (
	// cargoHead is what makes a body unique, in bytes: the run, the number, and the
	// instant that the latency counts from.
	cargoHead = 24
	// cargoSpan is how many beginnings the rest of a body can have in the noise, so
	// that bodies which were mixed up or shifted are noticed.
	cargoSpan = 4096
)

// A cargo makes the bodies of a run, no two of them the same, and knows them
// again. The cost is that of copying and comparing, whatever the size.
type cargo struct {
	run   uint64 // by chance, so that another run's bodies are none of ours
	size  int    // of a body, in bytes; at least cargoHead
	noise []byte // cargoSpan more than a body's rest
}

func newCargo(size int) *cargo {
	c := &cargo{size: size, noise: make([]byte, size-cargoHead+cargoSpan)}
	rand.Read(c.noise) // it never fails
	var run [8]byte
	rand.Read(run[:])
	c.run = binary.BigEndian.Uint64(run[:])
	return c
}

// fill makes the body of a number.
func (c *cargo) fill(body []byte, n uint64, since time.Duration) {
	binary.BigEndian.PutUint64(body, c.run)
	binary.BigEndian.PutUint64(body[8:], n)
	binary.BigEndian.PutUint64(body[16:], uint64(since))
	copy(body[cargoHead:], c.rest(n))
}

// read gives what fill was given; ok is false when the body is none of ours, or
// was changed.
func (c *cargo) read(body []byte) (n uint64, since time.Duration, ok bool) {
	if len(body) != c.size || binary.BigEndian.Uint64(body) != c.run {
		return 0, 0, false
	}
	n = binary.BigEndian.Uint64(body[8:])
	since = time.Duration(binary.BigEndian.Uint64(body[16:]))
	return n, since, bytes.Equal(body[cargoHead:], c.rest(n))
}

func (c *cargo) rest(n uint64) []byte {
	at := int(n % cargoSpan)
	return c.noise[at : at+c.size-cargoHead]
}
