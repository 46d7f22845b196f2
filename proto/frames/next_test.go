package frames

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// What next reads, nextLong reads as well, and both read what protowire reads.
func TestNext(t *testing.T) {
	for first := range 1 << 8 {
		for second := range 1 << 8 {
			for _, rest := range []string{"", "\x01", "\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\x01", strings.Repeat("x", 130)} {
				sameField(t, append([]byte{byte(first), byte(second)}, rest...))
			}
		}
		sameField(t, []byte{byte(first)})
	}
}

func sameField(t *testing.T, b []byte) {
	t.Helper()
	tag, n, end := next(b, 0)
	longTag, longN, longEnd := nextLong(b, 0)
	if tag != long && (tag != longTag || n != longN || end != longEnd) {
		t.Errorf("%x: next says %d, %d, %d, nextLong %d, %d, %d", b, tag, n, end, longTag, longN, longEnd)
	}
	number, kind, size := protowire.ConsumeField(b)
	if size < 0 {
		if longTag != malformed {
			t.Errorf("%x is malformed, and read as %d", b, longTag)
		}
		return
	}
	if longTag != protowire.EncodeTag(number, kind) || longEnd != size {
		t.Errorf("%x: the tag is %d, the size %d; read as %d, %d", b, protowire.EncodeTag(number, kind), size, longTag, longEnd)
	}
	_, _, at := protowire.ConsumeTag(b)
	switch kind {
	case protowire.VarintType:
		if want, _ := protowire.ConsumeVarint(b[at:]); longN != want {
			t.Errorf("%x: %d was read as %d", b, want, longN)
		}
	case protowire.BytesType:
		if want, _ := protowire.ConsumeBytes(b[at:]); string(b[longN:longEnd]) != string(want) {
			t.Errorf("%x: %x was read as %x", b, want, b[longN:longEnd])
		}
	}
}

// A text is checked by words. A byte that is none is found wherever it stands.
func TestText(t *testing.T) {
	for size := range 40 {
		for at := range size {
			for _, with := range []string{"x", "\x7f", "é", "\x80", "\xff", "\xc3"} {
				b := []byte(strings.Repeat("x", at) + with + strings.Repeat("x", size-at-1))
				if s, ok := text(b); s != string(b) || ok != utf8.Valid(b) {
					t.Errorf("%q was read as %q, %v", b, s, ok)
				}
			}
		}
	}
	if s, ok := text(nil); s != "" || !ok {
		t.Errorf("nothing was read as %q, %v", s, ok)
	}
}
