package frames

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes are not the protobuf message that they should
// be.
var ErrMalformed = errors.New("malformed frame")

// Header is one header of a message.
type Header struct{ Key, Value string }

// cursor walks the fields of an encoded message:
//
//	c := cursor{rest: b}
//	for c.next() {
//		switch c.number { … }
//	}
//	return c.err
//
// A field of the wrong kind is an unknown one: the methods that store a field
// leave it alone.
type cursor struct {
	rest   []byte
	number protowire.Number
	kind   protowire.Type
	varint uint64 // of a varint
	bytes  []byte // of a length-delimited field
	err    error
}

// next goes to the next field, until there is none or one is malformed.
func (c *cursor) next() bool {
	b := c.rest
	if len(b) < 3 || b[0] >= 0x80 || b[0] < 8 || c.err != nil {
		return c.nextLong()
	}
	// Most fields have a tag of one byte, a number of one byte or a length of at
	// most two.
	c.number, c.kind = protowire.Number(b[0]>>3), protowire.Type(b[0]&7)
	at, n := 2, int(b[1])
	if n >= 0x80 {
		if c.kind != protowire.BytesType || b[2] >= 0x80 {
			return c.nextLong()
		}
		at, n = 3, n&0x7f|int(b[2])<<7
	}
	switch end := at + n; {
	case c.kind == protowire.VarintType:
		c.varint, c.rest = uint64(n), b[at:]
		return true
	case c.kind == protowire.BytesType && end <= len(b):
		c.bytes, c.rest = b[at:end:end], b[end:]
		return true
	}
	return c.nextLong()
}

// nextLong is next for every field.
func (c *cursor) nextLong() bool {
	if len(c.rest) == 0 || c.err != nil {
		return false
	}
	tag, n := protowire.ConsumeVarint(c.rest)
	if n < 0 || tag>>3 < uint64(protowire.MinValidNumber) || tag>>3 > uint64(protowire.MaxValidNumber) {
		return c.malformed()
	}
	c.number, c.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	b := c.rest[n:]
	switch c.kind {
	case protowire.VarintType:
		c.varint, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		var size uint64
		if size, n = protowire.ConsumeVarint(b); n < 0 || size > uint64(len(b)-n) {
			return c.malformed()
		}
		end := n + int(size)
		c.bytes, n = b[n:end:end], end
	default: // no message here has such a field, so it is unknown
		n = protowire.ConsumeFieldValue(c.number, c.kind, b)
	}
	if n < 0 {
		return c.malformed()
	}
	c.rest = b[n:]
	return true
}

func (c *cursor) malformed() bool {
	c.err = ErrMalformed
	return false
}

// text stores the field's bytes as a string that aliases them.
func (c *cursor) text(into *string) {
	if c.kind != protowire.BytesType {
		return
	}
	if !utf8.Valid(c.bytes) {
		c.err = ErrMalformed
		return
	}
	*into = unsafe.String(unsafe.SliceData(c.bytes), len(c.bytes))
}

func (c *cursor) raw(into *[]byte) {
	if c.kind == protowire.BytesType {
		*into = c.bytes
	}
}

// message stores the field's bytes as an encoded message. A second occurrence
// is merged into the first, which for encoded messages is appending.
func (c *cursor) message(into *[]byte) {
	if c.kind != protowire.BytesType {
		return
	}
	if *into == nil {
		*into = c.bytes
		return
	}
	*into = append(*into, c.bytes...)
}

// number stores a varint of any integer type.
func number[T ~uint64 | ~int64 | ~uint32 | ~int32](c *cursor, into *T) {
	if c.kind == protowire.VarintType {
		*into = T(c.varint)
	}
}

func (c *cursor) flag(into *bool) {
	if c.kind == protowire.VarintType {
		*into = c.varint != 0
	}
}

// numbers appends a repeated uint64, packed or not.
func (c *cursor) numbers(into *[]uint64) {
	switch c.kind {
	case protowire.VarintType:
		*into = append(*into, c.varint)
	case protowire.BytesType:
		for b := c.bytes; len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				c.err = ErrMalformed
				return
			}
			*into = append(*into, v)
			b = b[n:]
		}
	}
}

// header appends one entry of a map<string, string>. When all are there, unique
// does away with repeated keys.
func (c *cursor) header(into *[]Header) {
	if c.kind != protowire.BytesType {
		return
	}
	var h Header
	e := cursor{rest: c.bytes}
	for e.next() {
		switch e.number {
		case 1:
			e.text(&h.Key)
		case 2:
			e.text(&h.Value)
		}
	}
	*into, c.err = append(*into, h), e.err
}

// fewHeaders is up to where comparing each key with each is quickest. It is the
// limit of one message; what a hostile peer sends beyond must not cost n².
const fewHeaders = 64

// unique keeps, for each key, its first place and its last value. It works in
// place.
func unique(hs []Header) []Header {
	if len(hs) > fewHeaders {
		return uniqueOfMany(hs)
	}
	kept := hs[:0]
next:
	for _, h := range hs {
		for i := range kept {
			if kept[i].Key == h.Key {
				kept[i] = h
				continue next
			}
		}
		kept = append(kept, h)
	}
	return kept
}

func uniqueOfMany(hs []Header) []Header {
	kept, place := hs[:0], make(map[string]int, len(hs))
	for _, h := range hs {
		i, again := place[h.Key]
		if again {
			kept[i] = h
			continue
		}
		place[h.Key] = len(kept)
		kept = append(kept, h)
	}
	return kept
}

// Sizes and appends of one field; all field numbers here are below 2,048.

func sizeTag(n protowire.Number) int {
	if n < 16 {
		return 1
	}
	return 2
}

// appendTag is protowire's for field numbers below 16, which all of the hot path
// have. It gets inlined. What has higher ones is appended by appendField and those
// with Far in their names.
func appendTag(b []byte, n protowire.Number, kind protowire.Type) []byte {
	return append(b, byte(n)<<3|byte(kind))
}

func sizeBytes(n protowire.Number, length int) int {
	if length == 0 {
		return 0
	}
	return sizeTag(n) + protowire.SizeBytes(length)
}

func sizeVarint(n protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return sizeTag(n) + protowire.SizeVarint(v)
}

func sizeHeaders(n protowire.Number, hs []Header) (size int) {
	for i := range hs {
		size += sizeTag(n) + protowire.SizeBytes(hs[i].size())
	}
	return size
}

func (h *Header) size() int {
	return 2 + protowire.SizeBytes(len(h.Key)) + protowire.SizeBytes(len(h.Value))
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return append(appendLength(b, n, len(v)), v...)
}

func appendText(b []byte, n protowire.Number, v string) []byte {
	if len(v) == 0 {
		return b
	}
	return append(appendLength(b, n, len(v)), v...)
}

// appendLength begins a length-delimited field.
func appendLength(b []byte, n protowire.Number, length int) []byte {
	if length < 0x80 {
		return append(b, byte(n)<<3|byte(protowire.BytesType), byte(length))
	}
	return protowire.AppendVarint(appendTag(b, n, protowire.BytesType), uint64(length))
}

// appendField is appendLength for any field number.
func appendField(b []byte, n protowire.Number, length int) []byte {
	if n < 16 {
		return appendLength(b, n, length)
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.BytesType), uint64(length))
}

// appendFarText is appendText for field numbers above 15.
func appendFarText(b []byte, n protowire.Number, v string) []byte {
	if len(v) == 0 {
		return b
	}
	return append(appendField(b, n, len(v)), v...)
}

// appendMessage appends an encoded message, also an empty one; nil is absent.
func appendMessage(b []byte, n protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	b = appendTag(b, n, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func sizeMessage(n protowire.Number, v []byte) int {
	if v == nil {
		return 0
	}
	return sizeTag(n) + protowire.SizeBytes(len(v))
}

func appendVarint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	if v < 0x80 {
		return append(b, byte(n)<<3|byte(protowire.VarintType), byte(v))
	}
	return protowire.AppendVarint(appendTag(b, n, protowire.VarintType), v)
}

func appendFlag(b []byte, n protowire.Number, v bool) []byte {
	if v {
		b = append(appendTag(b, n, protowire.VarintType), 1)
	}
	return b
}

// appendFarVarint is appendVarint for field numbers above 15, whose tags have two
// bytes.
func appendFarVarint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendFarFlag(b []byte, n protowire.Number, v bool) []byte {
	if v {
		b = append(protowire.AppendTag(b, n, protowire.VarintType), 1)
	}
	return b
}

func sizeFlag(n protowire.Number, v bool) int {
	if v {
		return sizeTag(n) + 1
	}
	return 0
}

func appendHeaders(b []byte, n protowire.Number, hs []Header) []byte {
	for i := range hs {
		b = appendTag(b, n, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(hs[i].size()))
		b = protowire.AppendString(appendTag(b, 1, protowire.BytesType), hs[i].Key)
		b = protowire.AppendString(appendTag(b, 2, protowire.BytesType), hs[i].Value)
	}
	return b
}
