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

// field is one field as it stands on the wire.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64 // of a varint
	bytes  []byte // of a length-delimited field
}

// next reads the first field of b. Fields of other kinds than varint and bytes
// come back empty: no message here has one, so they are unknown.
func next(b []byte) (f field, rest []byte, err error) {
	var n int
	if len(b) > 0 && b[0] < 0x80 { // one-byte tag, the common case
		f.number, f.kind, n = protowire.Number(b[0]>>3), protowire.Type(b[0]&7), 1
		if f.number == 0 {
			return f, nil, ErrMalformed
		}
	} else if f.number, f.kind, n = protowire.ConsumeTag(b); n < 0 {
		return f, nil, ErrMalformed
	}
	b = b[n:]
	switch f.kind {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(f.number, f.kind, b)
	}
	if n < 0 {
		return f, nil, ErrMalformed
	}
	return f, b[n:], nil
}

// text is the field's bytes as a string that aliases them.
func (f *field) text(into *string, err *error) {
	if f.kind != protowire.BytesType {
		return
	}
	if !utf8.Valid(f.bytes) {
		*err = ErrMalformed
		return
	}
	*into = unsafe.String(unsafe.SliceData(f.bytes), len(f.bytes))
}

func (f *field) raw(into *[]byte) {
	if f.kind == protowire.BytesType {
		*into = f.bytes
	}
}

// message is the field's bytes as an encoded message. A second occurrence is
// merged into the first, which for encoded messages is appending.
func (f *field) message(into *[]byte) {
	if f.kind != protowire.BytesType {
		return
	}
	if *into == nil {
		*into = f.bytes[:len(f.bytes):len(f.bytes)]
		return
	}
	*into = append(*into, f.bytes...)
}

// number stores a varint of any integer type or bool.
func number[T ~uint64 | ~int64 | ~uint32 | ~int32](f *field, into *T) {
	if f.kind == protowire.VarintType {
		*into = T(f.varint)
	}
}

func (f *field) flag(into *bool) {
	if f.kind == protowire.VarintType {
		*into = f.varint != 0
	}
}

// numbers appends a repeated uint64, packed or not.
func (f *field) numbers(into *[]uint64, err *error) {
	switch f.kind {
	case protowire.VarintType:
		*into = append(*into, f.varint)
	case protowire.BytesType:
		for b := f.bytes; len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				*err = ErrMalformed
				return
			}
			*into = append(*into, v)
			b = b[n:]
		}
	}
}

// header appends one entry of a map<string, string>; a repeated key replaces
// the earlier value.
func (f *field) header(into *[]Header, err *error) {
	if f.kind != protowire.BytesType {
		return
	}
	var h Header
	for b := f.bytes; len(b) > 0; {
		var e field
		var bad error
		if e, b, bad = next(b); bad != nil {
			*err = bad
			return
		}
		switch e.number {
		case 1:
			e.text(&h.Key, err)
		case 2:
			e.text(&h.Value, err)
		}
	}
	for i := range *into {
		if (*into)[i].Key == h.Key {
			(*into)[i] = h
			return
		}
	}
	*into = append(*into, h)
}

// fields calls on for each field of b until one is malformed or on sets *err.
func fields(b []byte, err *error, on func(field)) {
	for len(b) > 0 && *err == nil {
		var f field
		if f, b, *err = next(b); *err == nil {
			on(f)
		}
	}
}

// Sizes and appends of one field; all field numbers here are below 2,048.

func sizeTag(n protowire.Number) int {
	if n < 16 {
		return 1
	}
	return 2
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

func appendBytes[T string | []byte](b []byte, n protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return append(protowire.AppendVarint(b, uint64(len(v))), v...)
}

// appendMessage appends an encoded message, also an empty one; nil is absent.
func appendMessage(b []byte, n protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.BytesType)
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
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendFlag(b []byte, n protowire.Number, v bool) []byte {
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
		b = protowire.AppendTag(b, n, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(hs[i].size()))
		b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), hs[i].Key)
		b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), hs[i].Value)
	}
	return b
}
