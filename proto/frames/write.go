package frames

import "google.golang.org/protobuf/encoding/protowire"

// Sizes and appends of one field; all field numbers here are below 2,048.

func sizeTag(n protowire.Number) int {
	if n < 16 {
		return 1
	}
	return 2
}

func appendTag(b []byte, n protowire.Number, kind protowire.Type) []byte {
	if n < 16 {
		return append(b, byte(n)<<3|byte(kind))
	}
	return append(b, byte(n)<<3|byte(kind)|0x80, byte(n>>4))
}

// sizeUvarint is protowire.SizeVarint, quicker for short ones.
func sizeUvarint(v uint64) int {
	if v < 0x80 {
		return 1
	}
	return protowire.SizeVarint(v)
}

// sizeLength is the size of so many bytes and their length.
func sizeLength(length int) int { return sizeUvarint(uint64(length)) + length }

func sizeBytes(n protowire.Number, length int) int {
	if length == 0 {
		return 0
	}
	return sizeTag(n) + sizeLength(length)
}

func sizeVarint(n protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return sizeTag(n) + sizeUvarint(v)
}

// The compiler inlines the appends of texts, bytes and numbers up to where there is
// something to append.

func appendText(b []byte, n protowire.Number, v string) []byte {
	if len(v) == 0 {
		return b
	}
	return appendSized(b, n, v)
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendSized(b, n, v)
}

func appendSized[T string | []byte](b []byte, n protowire.Number, v T) []byte {
	return append(appendLength(b, n, len(v)), v...)
}

// appendMessage appends an encoded message, also an empty one; nil is absent.
func appendMessage(b []byte, n protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	return appendSized(b, n, v)
}

// appendLength begins a sized field.
func appendLength(b []byte, n protowire.Number, length int) []byte {
	return appendUvarint(appendTag(b, n, protowire.BytesType), uint64(length))
}

func appendVarint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendNumber(b, n, v)
}

func appendNumber(b []byte, n protowire.Number, v uint64) []byte {
	return appendUvarint(appendTag(b, n, protowire.VarintType), v)
}

// appendUvarint is protowire.AppendVarint, which is made for long ones.
func appendUvarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendFlag(b []byte, n protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return append(appendTag(b, n, protowire.VarintType), 1)
}

func sizeMessage(n protowire.Number, v []byte) int {
	if v == nil {
		return 0
	}
	return sizeTag(n) + sizeLength(len(v))
}

func sizeFlag(n protowire.Number, v bool) int {
	if !v {
		return 0
	}
	return sizeTag(n) + 1
}
