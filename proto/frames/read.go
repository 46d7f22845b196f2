package frames

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes are not the protobuf message that they should
// be.
var ErrMalformed = errors.New("malformed frame")

// A tag is a field's number, shifted by three, and its wire type. All fields here
// are of one of these two; one that comes in another is unknown, and skipped.
const (
	varint = uint64(protowire.VarintType)
	sized  = uint64(protowire.BytesType) // bytes, texts, messages

	other = 0x80 | 7&^sized // of a tag of more bytes, or another wire type
)

// Zero is no tag, since fields count from 1.
const (
	malformed = 0
	long      = 0 // next leaves the field to nextLong
)

// next reads the field of b that begins at at, and ends before end. n is the value
// of a varint; that of a sized field is b[n:end]. Every message is read in the same
// way:
//
//	ok := true
//	for at := 0; ok && at < len(b); {
//		tag, n, end := next(b, at)
//		if tag == long {
//			tag, n, end = nextLong(b, at)
//		}
//		switch tag {
//		case malformed:
//			ok = false
//		case 1<<3 | varint:
//			m.Number = n
//		case 2<<3 | sized:
//			m.Text, ok = text(b[n:end])
//		}
//		at = end
//	}
//
// next is as small as it must be for the compiler to inline it, so that nothing of
// it goes through memory: it knows tags of one byte, and numbers and lengths of one
// byte, as most are.
func next(b []byte, at int) (tag, n uint64, end int) {
	if at >= len(b)-1 {
		return long, 0, 0
	}
	both := uint64(b[at]) | uint64(b[at+1])<<8
	tag, n, end = both&0xff, both>>8, at+2
	if tag&sized != 0 {
		n, end = uint64(end), end+int(n)
	}
	if both&(other|0x80<<8) != 0 || tag < 1<<3 || end > len(b) {
		tag = long
	}
	return tag, n, end
}

// nextLong is next for every field. It knows numbers and lengths of more bytes, and
// leaves the rest to nextOdd.
func nextLong(b []byte, at int) (tag, n uint64, end int) {
	tag = uint64(b[at])
	if at >= len(b)-2 || tag < 1<<3 || tag&other != 0 || b[at+1] < 0x80 {
		return nextOdd(b, at)
	}
	n, end = uint64(b[at+1]&0x7f)|uint64(b[at+2])<<7, at+3
	if b[at+2] >= 0x80 {
		if n, end = uvarint(b, at+1); end < 0 {
			return malformed, 0, 0
		}
	}
	switch {
	case tag&sized == 0:
		return tag, n, end
	case n <= uint64(len(b)-end):
		return tag, uint64(end), end + int(n)
	}
	return malformed, 0, 0
}

// nextOdd is next for every field.
func nextOdd(b []byte, at int) (tag, n uint64, end int) {
	tag, at = uvarint(b, at)
	number := tag >> 3
	if at < 0 || number < uint64(protowire.MinValidNumber) || number > uint64(protowire.MaxValidNumber) {
		return malformed, 0, 0
	}
	var value []byte
	var size int
	switch rest := b[at:]; tag & 7 {
	case varint:
		n, size = protowire.ConsumeVarint(rest)
	case sized:
		value, size = protowire.ConsumeBytes(rest)
		n = uint64(at + size - len(value))
	default: // no message here has such a field, so it is unknown
		size = protowire.ConsumeFieldValue(protowire.Number(number), protowire.Type(tag&7), rest)
	}
	if size < 0 {
		return malformed, 0, 0
	}
	return tag, n, at + size
}

// uvarint is the varint that begins at at and ends before end, which is negative if
// there is none.
func uvarint(b []byte, at int) (v uint64, end int) {
	v, size := protowire.ConsumeVarint(b[at:])
	if size < 0 {
		return 0, -1
	}
	return v, at + size
}

// text is b as a string that aliases it, and whether it is one: of UTF-8.
func text(b []byte) (string, bool) {
	const high = 0x8080808080808080 // the bit that no byte of ASCII has, eight times
	var all uint64
	if len(b) >= 8 {
		for rest := b; len(rest) > 8; rest = rest[8:] {
			all |= binary.LittleEndian.Uint64(rest)
		}
		all |= binary.LittleEndian.Uint64(b[len(b)-8:])
	} else {
		for _, c := range b {
			all |= uint64(c)
		}
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), all&high == 0 || utf8.Valid(b)
}

// merged is an encoded message and a further piece of it: a second occurrence is
// merged into the first, which for encoded messages is appending.
func merged(message, piece []byte) []byte {
	if message == nil {
		return piece
	}
	return append(message, piece...)
}

// numbers appends a packed repeated uint64.
func numbers(list []uint64, b []byte) ([]uint64, bool) {
	for at := 0; at < len(b); {
		var v uint64
		if v, at = uvarint(b, at); at < 0 {
			return list, false
		}
		list = append(list, v)
	}
	return list, true
}
