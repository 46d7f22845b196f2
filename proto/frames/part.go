package frames

// Part is PartRequest without its session.
type Part struct {
	Lease         uint64
	Body          []byte
	Headers       []Header
	ReplyTo       string
	CorrelationID string
	Part          uint64
	End           bool
	Ask           bool
}

// Unmarshal reads an encoded PartRequest into m. Headers keeps its memory.
func (m *Part) Unmarshal(b []byte) error {
	*m = Part{Headers: m.Headers[:0]}
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
			_, ok = text(b[n:end]) // the session
		case 2<<3 | varint:
			m.Lease = n
		case 3<<3 | sized:
			m.Body = b[n:end:end]
		case 4<<3 | sized:
			m.Headers, ok = header(m.Headers, b[n:end:end])
		case 5<<3 | sized:
			m.ReplyTo, ok = text(b[n:end])
		case 6<<3 | sized:
			m.CorrelationID, ok = text(b[n:end])
		case 7<<3 | varint:
			m.Part = n
		case 8<<3 | varint:
			m.End = n != 0
		case 9<<3 | varint:
			m.Ask = n != 0
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	m.Headers = unique(m.Headers)
	return nil
}

func (m *Part) size() int {
	return sizeVarint(2, m.Lease) + sizeBytes(3, len(m.Body)) + sizeHeaders(4, m.Headers) + sizeBytes(5, len(m.ReplyTo)) +
		sizeBytes(6, len(m.CorrelationID)) + sizeVarint(7, m.Part) + sizeFlag(8, m.End) + sizeFlag(9, m.Ask)
}

// Append appends a frame with m.
func (m *Part) Append(b []byte, tag uint64, quiet bool) []byte {
	b = appendClientFrame(b, tag, quiet, VerbPart, m.size())
	b = appendVarint(b, 2, m.Lease)
	b = appendBytes(b, 3, m.Body)
	b = appendHeaders(b, 4, m.Headers)
	b = appendText(b, 5, m.ReplyTo)
	b = appendText(b, 6, m.CorrelationID)
	b = appendVarint(b, 7, m.Part)
	b = appendFlag(b, 8, m.End)
	return appendFlag(b, 9, m.Ask)
}
