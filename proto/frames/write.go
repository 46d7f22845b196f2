package frames

import "google.golang.org/protobuf/encoding/protowire"

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
