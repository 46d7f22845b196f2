package frames

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Verb is the field number of a client frame's verb.
type Verb = protowire.Number

// The verbs of a ClientFrame.
const (
	VerbLogin       Verb = 3
	VerbLogout      Verb = 4
	VerbCreate      Verb = 5
	VerbDestroy     Verb = 6
	VerbSend        Verb = 7
	VerbSubscribe   Verb = 8
	VerbUnsubscribe Verb = 9
	VerbAck         Verb = 10
	VerbNack        Verb = 11
	VerbExtend      Verb = 12
	VerbReply       Verb = 13
	VerbCancel      Verb = 14
	VerbPart        Verb = 15
	VerbJoin        Verb = 16
)

// ClientFrame is one frame of a client, its verb still encoded.
type ClientFrame struct {
	Tag   uint64
	Quiet bool
	Verb  Verb // zero: none that is known
	Raw   []byte
}

func (f *ClientFrame) unmarshal(b []byte) error {
	*f = ClientFrame{}
	for at := 0; at < len(b); {
		tag, n, end := next(b, at)
		if tag == long {
			tag, n, end = nextLong(b, at)
		}
		switch verb := Verb(tag >> 3); {
		case tag == malformed:
			return ErrMalformed
		case tag == 1<<3|varint:
			f.Tag = n
		case tag == 2<<3|varint:
			f.Quiet = n != 0
		case tag&7 == sized && verb >= VerbLogin && verb <= VerbJoin:
			if f.Verb != verb {
				f.Verb, f.Raw = verb, nil
			}
			f.Raw = merged(f.Raw, b[n:end:end])
		}
		at = end
	}
	return nil
}

// clientFrames are used again: a frame escapes into ReadRequest's function.
var clientFrames = sync.Pool{New: func() any { return new(ClientFrame) }}

// ReadRequest walks an encoded AttachRequest: on is called for each frame, in
// order, until it fails. The frame is on's until it returns. ReadRequest returns
// answers_received, zero if there is none.
func ReadRequest(b []byte, on func(*ClientFrame) error) (answersReceived uint64, err error) {
	frame := clientFrames.Get().(*ClientFrame)
	defer clientFrames.Put(frame)
	for at := 0; at < len(b) && err == nil; {
		tag, n, end := next(b, at)
		if tag == long {
			tag, n, end = nextLong(b, at)
		}
		switch tag {
		case malformed:
			err = ErrMalformed
		case 1<<3 | sized:
			if err = frame.unmarshal(b[n:end:end]); err == nil {
				err = on(frame)
			}
		case 2<<3 | varint:
			answersReceived = n
		}
		at = end
	}
	*frame = ClientFrame{} // it lets go of b
	return answersReceived, err
}

// AppendAnswersReceived ends an encoded AttachRequest.
func AppendAnswersReceived(b []byte, n uint64) []byte { return appendVarint(b, 2, n) }

// appendClientFrame begins a frame whose verb's message has the given size; the
// caller appends that message.
func appendClientFrame(b []byte, tag uint64, quiet bool, verb Verb, size int) []byte {
	b = appendLength(b, 1, sizeVarint(1, tag)+sizeFlag(2, quiet)+sizeTag(verb)+sizeLength(size))
	b = appendVarint(b, 1, tag)
	b = appendFlag(b, 2, quiet)
	return appendLength(b, verb, size)
}

// Speak makes a quiet frame, which is what b begins with, one that is answered.
// The field stays, as false.
func Speak(b []byte) {
	_, n := protowire.ConsumeVarint(b[1:])
	at := 1 + n // of the tag
	_, n = protowire.ConsumeVarint(b[at+1:])
	at += 1 + n // of the flag
	b[at+1] = 0
}

// AppendVerb appends a frame with a verb of the generated code.
func AppendVerb(b []byte, tag uint64, quiet bool, verb Verb, m proto.Message) ([]byte, error) {
	o := proto.MarshalOptions{}
	b = appendClientFrame(b, tag, quiet, verb, o.Size(m))
	return o.MarshalAppend(b, m)
}

// Send is SendRequest without its session.
type Send struct {
	Queue           string
	Body            []byte
	Headers         []Header
	CorrelationID   string
	ReplyTo         string
	TimeoutMS       int64
	Producer        []byte
	Sequence        uint64
	Create          []byte // an encoded QueueOptions; nil: absent
	RequireConsumer bool
	MaxAttempts     uint32
	Parent          string
	StartMS         int64
	Stream          bool
	Key             string
	KeyTTLMS        int64
}

// Unmarshal reads an encoded SendRequest into m. Headers keeps its memory.
func (m *Send) Unmarshal(b []byte) error {
	*m = Send{Headers: m.Headers[:0]}
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
		case 2<<3 | sized:
			m.Queue, ok = text(b[n:end])
		case 3<<3 | sized:
			m.Body = b[n:end:end]
		case 4<<3 | sized:
			m.Headers, ok = header(m.Headers, b[n:end:end])
		case 5<<3 | sized:
			m.CorrelationID, ok = text(b[n:end])
		case 6<<3 | sized:
			m.ReplyTo, ok = text(b[n:end])
		case 7<<3 | varint:
			m.TimeoutMS = int64(n)
		case 8<<3 | sized:
			m.Producer = b[n:end:end]
		case 9<<3 | varint:
			m.Sequence = n
		case 10<<3 | sized:
			m.Create = merged(m.Create, b[n:end:end])
		case 11<<3 | varint:
			m.RequireConsumer = n != 0
		case 12<<3 | varint:
			m.MaxAttempts = uint32(n)
		case 13<<3 | sized:
			m.Parent, ok = text(b[n:end])
		case 15<<3 | varint:
			m.StartMS = int64(n)
		case 16<<3 | varint:
			m.Stream = n != 0
		case 14<<3 | sized:
			m.Key, ok = text(b[n:end])
		case 17<<3 | varint:
			m.KeyTTLMS = int64(n)
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	m.Headers = unique(m.Headers)
	return nil
}

func (m *Send) size() int {
	return sizeBytes(2, len(m.Queue)) + sizeBytes(3, len(m.Body)) + sizeHeaders(4, m.Headers) +
		sizeBytes(5, len(m.CorrelationID)) + sizeBytes(6, len(m.ReplyTo)) + sizeVarint(7, uint64(m.TimeoutMS)) +
		sizeBytes(8, len(m.Producer)) + sizeVarint(9, m.Sequence) + sizeMessage(10, m.Create) +
		sizeFlag(11, m.RequireConsumer) + sizeVarint(12, uint64(m.MaxAttempts)) +
		sizeBytes(13, len(m.Parent)) + sizeBytes(14, len(m.Key)) + sizeVarint(15, uint64(m.StartMS)) +
		sizeFlag(16, m.Stream) + sizeVarint(17, uint64(m.KeyTTLMS))
}

// Append appends a frame with m.
func (m *Send) Append(b []byte, tag uint64, quiet bool) []byte {
	b = appendClientFrame(b, tag, quiet, VerbSend, m.size())
	b = appendText(b, 2, m.Queue)
	b = appendBytes(b, 3, m.Body)
	b = appendHeaders(b, 4, m.Headers)
	b = appendText(b, 5, m.CorrelationID)
	b = appendText(b, 6, m.ReplyTo)
	b = appendVarint(b, 7, uint64(m.TimeoutMS))
	b = appendBytes(b, 8, m.Producer)
	b = appendVarint(b, 9, m.Sequence)
	b = appendMessage(b, 10, m.Create)
	b = appendFlag(b, 11, m.RequireConsumer)
	b = appendVarint(b, 12, uint64(m.MaxAttempts))
	b = appendText(b, 13, m.Parent)
	b = appendText(b, 14, m.Key)
	b = appendVarint(b, 15, uint64(m.StartMS))
	b = appendFlag(b, 16, m.Stream)
	return appendVarint(b, 17, uint64(m.KeyTTLMS))
}

// Reply is ReplyRequest without its session.
type Reply struct {
	Lease   uint64
	Body    []byte
	Headers []Header
	Failure []byte // an encoded Failure; nil: absent
	Parts   uint64
}

// Unmarshal reads an encoded ReplyRequest into m. Headers keeps its memory.
func (m *Reply) Unmarshal(b []byte) error {
	*m = Reply{Headers: m.Headers[:0]}
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
			m.Failure = merged(m.Failure, b[n:end:end])
		case 16<<3 | varint:
			m.Parts = n
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	m.Headers = unique(m.Headers)
	return nil
}

func (m *Reply) size() int {
	return sizeVarint(2, m.Lease) + sizeBytes(3, len(m.Body)) + sizeHeaders(4, m.Headers) + sizeMessage(5, m.Failure) +
		sizeVarint(16, m.Parts)
}

// Append appends a frame with m.
func (m *Reply) Append(b []byte, tag uint64, quiet bool) []byte {
	b = appendClientFrame(b, tag, quiet, VerbReply, m.size())
	b = appendVarint(b, 2, m.Lease)
	b = appendBytes(b, 3, m.Body)
	b = appendHeaders(b, 4, m.Headers)
	b = appendMessage(b, 5, m.Failure)
	return appendVarint(b, 16, m.Parts)
}

// Ack is AckRequest without its session.
type Ack struct {
	Leases   []uint64
	Through  uint64
	Consumer uint64
	Sync     bool
}

// Unmarshal reads an encoded AckRequest into m. Leases keeps its memory.
func (m *Ack) Unmarshal(b []byte) error {
	*m = Ack{Leases: m.Leases[:0]}
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
			m.Leases = append(m.Leases, n)
		case 2<<3 | sized:
			m.Leases, ok = numbers(m.Leases, b[n:end:end])
		case 3<<3 | varint:
			m.Through = n
		case 4<<3 | varint:
			m.Consumer = n
		case 5<<3 | varint:
			m.Sync = n != 0
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

func (m *Ack) packed() (n int) {
	for _, l := range m.Leases {
		n += sizeUvarint(l)
	}
	return n
}

// Append appends a frame with m.
func (m *Ack) Append(b []byte, tag uint64, quiet bool) []byte {
	packed := m.packed()
	b = appendClientFrame(b, tag, quiet, VerbAck, sizeBytes(2, packed)+sizeVarint(3, m.Through)+sizeVarint(4, m.Consumer)+sizeFlag(5, m.Sync))
	if packed > 0 {
		b = appendLength(b, 2, packed)
		for _, l := range m.Leases {
			b = appendUvarint(b, l)
		}
	}
	b = appendVarint(b, 3, m.Through)
	b = appendVarint(b, 4, m.Consumer)
	return appendFlag(b, 5, m.Sync)
}
