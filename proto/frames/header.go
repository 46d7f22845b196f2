package frames

import "google.golang.org/protobuf/encoding/protowire"

// Header is one header of a message.
type Header struct{ Key, Value string }

// header appends one entry of a map<string, string>. When all are there, unique
// does away with repeated keys.
func header(hs []Header, b []byte) ([]Header, bool) {
	var h Header
	ok := true
	for at := 0; ok && at < len(b); {
		tag, n, end := next(b, at)
		if tag == long {
			tag, n, end = nextLong(b, at)
		}
		switch tag {
		case malformed:
			ok = false
		case 1<<3 | sized:
			h.Key, ok = text(b[n:end])
		case 2<<3 | sized:
			h.Value, ok = text(b[n:end])
		}
		at = end
	}
	if !ok {
		return hs, false
	}
	return append(hs, h), true
}

// fewHeaders is up to where comparing each key with each is quickest. It is the
// limit of one message; what a hostile peer sends beyond must not cost n².
const fewHeaders = 64

// unique keeps, for each key, its first place and its last value. It works in
// place.
func unique(hs []Header) []Header {
	switch {
	case len(hs) < 2:
		return hs
	case len(hs) > fewHeaders:
		return uniqueOfMany(hs)
	}
	return uniqueOfFew(hs)
}

func uniqueOfFew(hs []Header) []Header {
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

func sizeHeaders(n protowire.Number, hs []Header) (size int) {
	for i := range hs {
		size += sizeTag(n) + sizeLength(hs[i].size())
	}
	return size
}

func (h *Header) size() int {
	return 2 + sizeLength(len(h.Key)) + sizeLength(len(h.Value))
}

func appendHeaders(b []byte, n protowire.Number, hs []Header) []byte {
	for i := range hs {
		b = appendLength(b, n, hs[i].size())
		b = appendSized(b, 1, hs[i].Key)
		b = appendSized(b, 2, hs[i].Value)
	}
	return b
}
