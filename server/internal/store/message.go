package store

import "slices"

// Flags of a message.
const (
	flagRequest = 1 << iota
	flagRequireConsumer
	flagStream
	flagParent
	flagStartBy

	flagsKnown = 1<<iota - 1
)

// family is where a message is: requests are apart, so that Start finds them.
func (m *Message) family() byte {
	if m.Request {
		return familyRequest
	}
	return familyMessage
}

// appendHead appends the value of a message but for its body, which is the rest
// of the value, so that it is copied once. The queue, the sequence and the
// attempts are not in it.
func appendHead(b []byte, m *Message) []byte {
	flags := byte(0)
	if m.Request {
		flags |= flagRequest
	}
	if m.RequireConsumer {
		flags |= flagRequireConsumer
	}
	if m.Stream {
		flags |= flagStream
	}
	if m.Parent != (ID{}) {
		flags |= flagParent
	}
	if m.StartBy != 0 {
		flags |= flagStartBy
	}
	b = append(b, valueFormat, flags)
	b = appendInt(b, m.Sent)
	b = appendInt(b, m.Expires)
	b = appendInt(b, int64(m.MaxAttempts))
	b = appendBytes(b, m.CorrelationID)
	b = appendBytes(b, m.ReplyTo)
	b = appendBytes(b, m.Sender)
	b = appendBytes(b, m.Failure)
	if flags&flagParent != 0 {
		b = appendUint(appendUint(b, m.Parent.Epoch), m.Parent.Sequence)
	}
	if flags&flagStartBy != 0 {
		b = appendInt(b, m.StartBy)
	}
	return appendHeaders(b, m.Headers)
}

func appendHeaders(b []byte, hs []Header) []byte {
	b = appendUint(b, uint64(len(hs)))
	for i := range hs {
		b = appendBytes(b, hs[i].Key)
		b = appendBytes(b, hs[i].Value)
	}
	return b
}

func (d *decoder) headers() []Header {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	hs := make([]Header, n)
	for i := range hs {
		hs[i] = Header{Key: d.string(), Value: d.string()}
	}
	return hs
}

// decodeMessage reads a message from its record. Nothing of it points into key
// or value.
func decodeMessage(key, value []byte) (*Message, error) {
	m := new(Message)
	var err error
	if m.Queue, m.Sequence, err = splitPlace(key); err != nil {
		return nil, err
	}
	d := decode(value)
	flags := d.byte()
	if flags > flagsKnown {
		d.fail("it has unknown flags %#x", flags)
	}
	m.Request = flags&flagRequest != 0
	m.RequireConsumer = flags&flagRequireConsumer != 0
	m.Stream = flags&flagStream != 0
	m.Sent = d.int64()
	m.Expires = d.int64()
	m.MaxAttempts = d.int()
	m.CorrelationID = d.string()
	m.ReplyTo = d.string()
	m.Sender = d.string()
	m.Failure = slices.Clone(d.optional())
	if flags&flagParent != 0 {
		m.Parent = ID{d.uint64(), d.uint64()}
	}
	if flags&flagStartBy != 0 {
		m.StartBy = d.int64()
	}
	m.Headers = d.headers()
	if len(d.rest) > 0 {
		m.Body = slices.Clone(d.rest)
		d.rest = nil
	}
	return m, d.end(key)
}

// decodeAttempts reads the number of attempts.
func decodeAttempts(key, value []byte) (int, error) {
	d := decode(value)
	n := d.int()
	return n, d.end(key)
}

// optional is a view of bytes that are nil when there are none.
func (d *decoder) optional() []byte {
	if b := d.bytes(); len(b) > 0 {
		return b
	}
	return nil
}
