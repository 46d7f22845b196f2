package store

import "math/bits"

// A window's value is its part, when it was seen, which slots are filled, and
// those; most windows of a young producer are nearly empty.
func appendWindowValue(b []byte, w *Window) []byte {
	b = append(b, valueFormat)
	b = appendUint(b, w.Part)
	b = appendInt(b, w.Seen)
	filled := uint64(0)
	for i, m := range w.Messages {
		if m != 0 {
			filled |= 1 << i
		}
	}
	b = appendUint(b, filled)
	for _, m := range w.Messages {
		if m != 0 {
			b = appendUint(b, m)
		}
	}
	return b
}

func decodeWindow(key, value []byte) (w Window, err error) {
	var slot byte
	var ok bool
	if w.Producer, slot, ok = splitWindow(key); !ok {
		return w, corrupt(key, "its key is not a producer and a slot")
	}
	d := decode(value)
	w.Part = d.uint64()
	if d.err == nil && w.Part%windowParts != uint64(slot) {
		d.fail("it holds part %d, which belongs into slot %d", w.Part, w.Part%windowParts)
	}
	w.Seen = d.int64()
	for filled := d.uint64(); filled != 0; filled &= filled - 1 {
		m := d.uint64()
		if d.err == nil && m == 0 {
			d.fail("a filled slot of its value is empty")
		}
		w.Messages[bits.TrailingZeros64(filled)] = m
	}
	return w, d.end(key)
}

// dropStale drops the parts of each producer that are too far below its newest:
// they are overwritten when their slot's turn comes. Windows of one producer lie
// together.
func dropStale(ws []Window) []Window {
	kept := ws[:0]
	for len(ws) > 0 {
		n, newest := 0, uint64(0)
		for n < len(ws) && ws[n].Producer == ws[0].Producer {
			newest = max(newest, ws[n].Part)
			n++
		}
		for _, w := range ws[:n] {
			if newest-w.Part < windowParts {
				kept = append(kept, w)
			}
		}
		ws = ws[n:]
	}
	return kept
}
