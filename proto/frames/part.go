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
	c := cursor{rest: b}
	for c.next() {
		switch c.number {
		case 1:
			c.text(new(string)) // the session
		case 2:
			number(&c, &m.Lease)
		case 3:
			c.raw(&m.Body)
		case 4:
			c.header(&m.Headers)
		case 5:
			c.text(&m.ReplyTo)
		case 6:
			c.text(&m.CorrelationID)
		case 7:
			number(&c, &m.Part)
		case 8:
			c.flag(&m.End)
		case 9:
			c.flag(&m.Ask)
		}
	}
	m.Headers = unique(m.Headers)
	return c.err
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
