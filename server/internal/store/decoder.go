package store

import (
	"encoding/binary"
	"fmt"
	"math"
)

// valueFormat is the first byte of every value that is written. Each family
// counts on its own when its form changes; so far none did.
const valueFormat = 1

// A decoder reads the fields of a value. After the first one that isn't there
// it answers zeroes, and err says what was wrong.
type decoder struct {
	rest []byte
	err  error
}

// decode starts a value.
func decode(value []byte) *decoder {
	d := &decoder{rest: value}
	if f := d.byte(); d.err == nil && f != valueFormat {
		d.fail("its value has format %d; this version knows %d", f, valueFormat)
	}
	return d
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.rest = nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("its value ends early")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint64() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("a number in its value ends early or is too large")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int64() int64 {
	v := d.uint64()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) int() int {
	v := d.int64()
	if v > math.MaxInt || v < math.MinInt {
		d.fail("a number in its value is too large for this machine")
		return 0
	}
	return int(v)
}

// bytes is a view into the value.
func (d *decoder) bytes() []byte {
	n := d.uint64()
	if n > uint64(len(d.rest)) {
		d.fail("a field of its value has %d bytes, of which %d are there", n, len(d.rest))
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// count is a number of things that take at least size bytes each, and so can't
// be more than the rest of the value has room for.
func (d *decoder) count(size int) int {
	n := d.uint64()
	if n > uint64(len(d.rest)/size) {
		d.fail("its value counts %d things and has %d bytes for them", n, len(d.rest))
		return 0
	}
	return int(n)
}

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail("a yes or no in its value is %d", b)
	}
	return b == 1
}

// end says whether the value was well-formed and nothing is left of it.
func (d *decoder) end(key []byte) error {
	if d.err == nil && len(d.rest) > 0 {
		d.fail("its value has %d bytes too many", len(d.rest))
	}
	if d.err != nil {
		return corrupt(key, "%w", d.err)
	}
	return nil
}

func appendInt(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v)<<1^uint64(v>>63))
}

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
