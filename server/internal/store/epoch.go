package store

// Formats of the store: which records there are, and their keys. It begins with
// the first, and has another once it holds what that one brought: calls with keys,
// or requests apart from the other messages.
const (
	firstFormat   = 1
	keyedFormat   = 2
	requestFormat = 3
	newestFormat  = requestFormat
)

func appendNumber(b []byte, v uint64) []byte { return appendUint(append(b, valueFormat), v) }

func decodeNumber(key, value []byte) (uint64, error) {
	d := decode(value)
	v := d.uint64()
	return v, d.end(key)
}

// decodeEpoch reads an epoch; its value is the first sequence.
func decodeEpoch(key, value []byte) (e Epoch, err error) {
	if e.Epoch, err = splitID(key); err != nil {
		return e, err
	}
	e.First, err = decodeNumber(key, value)
	return e, err
}

func appendKey(b []byte, k [32]byte) []byte { return append(append(b, valueFormat), k[:]...) }

func decodeKey(key, value []byte) (k [32]byte, err error) {
	d := decode(value)
	if d.err == nil && len(d.rest) != len(k) {
		d.fail("its value has %d bytes instead of %d", len(d.rest), len(k))
	}
	copy(k[:], d.rest)
	d.rest = nil
	return k, d.end(key)
}
