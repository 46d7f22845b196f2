package store

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A key is its family's byte and then big-endian numbers, so that the order of
// keys is the order of the numbers. The families are in the order in which they
// are read: a start reads all below familyAttempts in one pass, and from familyKeyed on.
const (
	familyFormat   = 0x01
	familyKey      = 0x02
	familySequence = 0x03
	familyEpoch    = 0x04 // epoch
	familyQueue    = 0x05 // queue
	familyStat     = 0x06 // queue
	familySession  = 0x07 // session
	familyWindow   = 0x08 // length of the producer, producer, slot
	familyIndex    = 0x09 // queue, sequence; of the requests, in formats 1 and 2
	familyAttempts = 0x0a // queue, sequence
	familyMessage  = 0x0b // queue, sequence
	familyKeyed    = 0x0c // queue, sequence of the request
	familyRequest  = 0x0d // queue, sequence
	familyEnd      = 0x0e
)

// Sizes of keys, in bytes.
const (
	sizeID     = 1 + 8
	sizePlace  = 1 + 8 + 8
	maxKeySize = 1 + 1 + maxProducer + 1
)

// maxProducer is how long a producer's name may be, in bytes: its length is one
// byte of the key.
const maxProducer = math.MaxUint8

// windowParts is how many parts of a producer are kept: those that its 4,096
// remembered sequences lie in. A new part takes the place of the one that many
// below it, so nothing needs to be deleted.
const windowParts = 4096/WindowSlots + 1

func appendID(b []byte, family byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, family), id)
}

// appendPlace appends the key of a message, or of what is kept beside it.
func appendPlace(b []byte, family byte, queue, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(appendID(b, family, queue), sequence)
}

func appendProducer(b []byte, producer string) []byte {
	if len(producer) > maxProducer {
		panic(fmt.Sprintf("store: a producer's name has %d bytes; at most %d fit into a key", len(producer), maxProducer))
	}
	return append(append(b, familyWindow, byte(len(producer))), producer...)
}

func appendWindow(b []byte, producer string, part uint64) []byte {
	return append(appendProducer(b, producer), byte(part%windowParts))
}

// after appends what makes key the first one behind itself.
func after(key []byte) []byte { return append(key, 0) }

// splitID takes the number out of a key of one number.
func splitID(key []byte) (id uint64, err error) {
	if len(key) != sizeID {
		return 0, corrupt(key, "its key has %d bytes instead of %d", len(key), sizeID)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// splitPlace takes the numbers out of a key of two.
func splitPlace(key []byte) (queue, sequence uint64, err error) {
	if len(key) != sizePlace {
		return 0, 0, corrupt(key, "its key has %d bytes instead of %d", len(key), sizePlace)
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:]), nil
}

// splitWindow takes a window's key apart; ok is false when it is none.
func splitWindow(key []byte) (producer string, slot byte, ok bool) {
	if len(key) < 3 || len(key) != 3+int(key[1]) || key[len(key)-1] >= windowParts {
		return "", 0, false
	}
	return string(key[2 : len(key)-1]), key[len(key)-1], true
}

// name says in words which record a key is of.
func name(key []byte) string {
	if len(key) == 0 {
		return "record without a key"
	}
	id, place := "", ""
	if len(key) == sizeID {
		id = fmt.Sprintf(" %d", binary.BigEndian.Uint64(key[1:]))
	}
	if len(key) == sizePlace {
		place = fmt.Sprintf(" %d of queue %d", binary.BigEndian.Uint64(key[9:]), binary.BigEndian.Uint64(key[1:]))
	}
	switch key[0] {
	case familyFormat:
		return "format"
	case familyKey:
		return "signing key"
	case familySequence:
		return "last sequence"
	case familyEpoch:
		return "epoch" + id
	case familyQueue:
		return "queue" + id
	case familyStat:
		return "stat of queue" + id
	case familySession:
		return "session" + id
	case familyWindow:
		if producer, slot, ok := splitWindow(key); ok {
			return fmt.Sprintf("window %d of producer %x", slot, producer)
		}
		return "window"
	case familyIndex:
		return "entry in the index of requests" + place
	case familyAttempts:
		return "attempts of message" + place
	case familyMessage:
		return "message" + place
	case familyKeyed:
		return "call with a key, of message" + place
	case familyRequest:
		return "request" + place
	}
	return fmt.Sprintf("record of the unknown family %#x", key[0])
}

// corrupt is the error about the record of a key.
func corrupt(key []byte, format string, args ...any) error {
	return fmt.Errorf("%s (key %x) is %w: %w", name(key), key, ErrCorrupt, fmt.Errorf(format, args...))
}
