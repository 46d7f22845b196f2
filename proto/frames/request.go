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
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.number == 1:
			number(&c, &f.Tag)
		case c.number == 2:
			c.flag(&f.Quiet)
		case c.number >= VerbLogin && c.number <= VerbJoin && c.kind == protowire.BytesType:
			if f.Verb != c.number {
				f.Verb, f.Raw = c.number, nil
			}
			c.message(&f.Raw)
		}
	}
	return c.err
}

// clientFrames are used again: a frame escapes into ReadRequest's function.
var clientFrames = sync.Pool{New: func() any { return new(ClientFrame) }}

// ReadRequest walks an encoded AttachRequest: on is called for each frame, in
// order, until it fails. The frame is on's until it returns. ReadRequest returns
// answers_received, zero if there is none.
func ReadRequest(b []byte, on func(*ClientFrame) error) (answersReceived uint64, err error) {
	frame := clientFrames.Get().(*ClientFrame)
	defer clientFrames.Put(frame)
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.number == 1 && c.kind == protowire.BytesType:
			if c.err = frame.unmarshal(c.bytes); c.err == nil {
				c.err = on(frame)
			}
		case c.number == 2:
			number(&c, &answersReceived)
		}
	}
	*frame = ClientFrame{} // it lets go of b
	return answersReceived, c.err
}

// AppendAnswersReceived ends an encoded AttachRequest.
func AppendAnswersReceived(b []byte, n uint64) []byte { return appendVarint(b, 2, n) }

// appendClientFrame begins a frame whose verb's message has the given size; the
// caller appends that message.
func appendClientFrame(b []byte, tag uint64, quiet bool, verb Verb, size int) []byte {
	b = appendLength(b, 1, sizeVarint(1, tag)+sizeFlag(2, quiet)+sizeTag(verb)+protowire.SizeBytes(size))
	b = appendVarint(b, 1, tag)
	b = appendFlag(b, 2, quiet)
	return appendField(b, verb, size)
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
	c := cursor{rest: b}
	for c.next() {
		switch c.number {
		case 1:
			c.text(new(string)) // the session
		case 2:
			c.text(&m.Queue)
		case 3:
			c.raw(&m.Body)
		case 4:
			c.header(&m.Headers)
		case 5:
			c.text(&m.CorrelationID)
		case 6:
			c.text(&m.ReplyTo)
		case 7:
			number(&c, &m.TimeoutMS)
		case 8:
			c.raw(&m.Producer)
		case 9:
			number(&c, &m.Sequence)
		case 10:
			c.message(&m.Create)
		case 11:
			c.flag(&m.RequireConsumer)
		case 12:
			number(&c, &m.MaxAttempts)
		case 13:
			c.text(&m.Parent)
		case 15:
			number(&c, &m.StartMS)
		case 16:
			c.flag(&m.Stream)
		case 14:
			c.text(&m.Key)
		case 17:
			number(&c, &m.KeyTTLMS)
		}
	}
	m.Headers = unique(m.Headers)
	return c.err
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
	b = appendFarFlag(b, 16, m.Stream)
	return appendFarVarint(b, 17, uint64(m.KeyTTLMS))
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
			c.message(&m.Failure)
		case 16:
			number(&c, &m.Parts)
		}
	}
	m.Headers = unique(m.Headers)
	return c.err
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
	return appendFarVarint(b, 16, m.Parts)
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
	c := cursor{rest: b}
	for c.next() {
		switch c.number {
		case 1:
			c.text(new(string)) // the session
		case 2:
			c.numbers(&m.Leases)
		case 3:
			number(&c, &m.Through)
		case 4:
			number(&c, &m.Consumer)
		case 5:
			c.flag(&m.Sync)
		}
	}
	return c.err
}

func (m *Ack) packed() (n int) {
	for _, l := range m.Leases {
		n += protowire.SizeVarint(l)
	}
	return n
}

// Append appends a frame with m.
func (m *Ack) Append(b []byte, tag uint64, quiet bool) []byte {
	packed := m.packed()
	b = appendClientFrame(b, tag, quiet, VerbAck, sizeBytes(2, packed)+sizeVarint(3, m.Through)+sizeVarint(4, m.Consumer)+sizeFlag(5, m.Sync))
	if packed > 0 {
		b = appendTag(b, 2, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(packed))
		for _, l := range m.Leases {
			b = protowire.AppendVarint(b, l)
		}
	}
	b = appendVarint(b, 3, m.Through)
	b = appendVarint(b, 4, m.Consumer)
	return appendFlag(b, 5, m.Sync)
}
