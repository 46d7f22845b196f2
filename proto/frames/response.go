package frames

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Event is the field number of a server frame's event.
type Event = protowire.Number

// The events of a ServerFrame.
const (
	EventDelivery      Event = 2
	EventFailure       Event = 3
	EventLogin         Event = 4
	EventLogout        Event = 5
	EventCreate        Event = 6
	EventDestroy       Event = 7
	EventSend          Event = 8
	EventSubscribe     Event = 9
	EventUnsubscribe   Event = 10
	EventAck           Event = 11
	EventNack          Event = 12
	EventExtend        Event = 13
	EventReply         Event = 14
	EventCancel        Event = 15
	EventConsumerEnded Event = 16
	EventDrain         Event = 17
	EventCancelled     Event = 18
	EventPart          Event = 19
	EventJoin          Event = 20
	EventWindow        Event = 21
)

// ServerFrame is one frame of the switch, its event still encoded.
type ServerFrame struct {
	Tag   uint64
	Event Event // zero: none that is known
	Raw   []byte
}

func (f *ServerFrame) unmarshal(b []byte) error {
	*f = ServerFrame{}
	for at := 0; at < len(b); {
		tag, n, end := next(b, at)
		if tag == long {
			tag, n, end = nextLong(b, at)
		}
		switch event := Event(tag >> 3); {
		case tag == malformed:
			return ErrMalformed
		case tag == 1<<3|varint:
			f.Tag = n
		case tag&7 == sized && event >= EventDelivery && event <= EventWindow:
			if f.Event != event {
				f.Event, f.Raw = event, nil
			}
			f.Raw = merged(f.Raw, b[n:end:end])
		}
		at = end
	}
	return nil
}

// Progress is what an AttachResponse says besides its frames. Zero: nothing new.
type Progress struct {
	Applied     uint64
	AnswersSent uint64
}

// serverFrames are used again: a frame escapes into ReadResponse's function.
var serverFrames = sync.Pool{New: func() any { return new(ServerFrame) }}

// ReadResponse walks an encoded AttachResponse: on is called for each frame, in
// order, until it fails. The frame is on's until it returns.
func ReadResponse(b []byte, on func(*ServerFrame) error) (p Progress, err error) {
	frame := serverFrames.Get().(*ServerFrame)
	defer serverFrames.Put(frame)
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
			p.Applied = n
		case 3<<3 | varint:
			p.AnswersSent = n
		}
		at = end
	}
	*frame = ServerFrame{} // it lets go of b
	return p, err
}

// AppendProgress ends an encoded AttachResponse.
func AppendProgress(b []byte, p Progress) []byte {
	return appendVarint(appendVarint(b, 2, p.Applied), 3, p.AnswersSent)
}

func appendServerFrame(b []byte, tag uint64, event Event, size int) []byte {
	b = appendLength(b, 1, sizeVarint(1, tag)+sizeTag(event)+sizeLength(size))
	b = appendVarint(b, 1, tag)
	return appendLength(b, event, size)
}

// AppendEvent appends a frame with an event of the generated code.
func AppendEvent(b []byte, tag uint64, event Event, m proto.Message) ([]byte, error) {
	o := proto.MarshalOptions{}
	b = appendServerFrame(b, tag, event, o.Size(m))
	return o.MarshalAppend(b, m)
}

// Delivery is the protocol's Delivery.
type Delivery struct {
	Consumer      uint64
	Lease         uint64
	MessageID     string
	Queue         string
	Body          []byte
	Headers       []Header
	CorrelationID string
	ReplyTo       string
	Attempt       uint32
	TimeoutMS     int64
	LeaseMS       int64
	AgeMS         int64
	Failure       []byte // an encoded Failure; nil: absent
	Part          uint64
	End           bool
	Stream        bool
	Key           string
}

// Unmarshal reads an encoded Delivery into m. Headers keeps its memory.
func (m *Delivery) Unmarshal(b []byte) error {
	*m = Delivery{Headers: m.Headers[:0]}
	ok := true
	for at := 0; ok && at < len(b); {
		tag, n, end := next(b, at)
		if tag == long {
			tag, n, end = nextLong(b, at)
		}
		switch tag {
		case malformed:
			ok = false
		case 1<<3 | varint:
			m.Consumer = n
		case 2<<3 | varint:
			m.Lease = n
		case 3<<3 | sized:
			m.MessageID, ok = text(b[n:end])
		case 4<<3 | sized:
			m.Queue, ok = text(b[n:end])
		case 5<<3 | sized:
			m.Body = b[n:end:end]
		case 6<<3 | sized:
			m.Headers, ok = header(m.Headers, b[n:end:end])
		case 7<<3 | sized:
			m.CorrelationID, ok = text(b[n:end])
		case 8<<3 | sized:
			m.ReplyTo, ok = text(b[n:end])
		case 9<<3 | varint:
			m.Attempt = uint32(n)
		case 10<<3 | varint:
			m.TimeoutMS = int64(n)
		case 11<<3 | varint:
			m.LeaseMS = int64(n)
		case 12<<3 | varint:
			m.AgeMS = int64(n)
		case 13<<3 | sized:
			m.Failure = merged(m.Failure, b[n:end:end])
		case 16<<3 | varint:
			m.Part = n
		case 17<<3 | varint:
			m.End = n != 0
		case 18<<3 | varint:
			m.Stream = n != 0
		case 19<<3 | sized:
			m.Key, ok = text(b[n:end])
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	m.Headers = unique(m.Headers)
	return nil
}

func (m *Delivery) size() int {
	return sizeVarint(1, m.Consumer) + sizeVarint(2, m.Lease) + sizeBytes(3, len(m.MessageID)) + sizeBytes(4, len(m.Queue)) +
		sizeBytes(5, len(m.Body)) + sizeHeaders(6, m.Headers) + sizeBytes(7, len(m.CorrelationID)) + sizeBytes(8, len(m.ReplyTo)) +
		sizeVarint(9, uint64(m.Attempt)) + sizeVarint(10, uint64(m.TimeoutMS)) + sizeVarint(11, uint64(m.LeaseMS)) +
		sizeVarint(12, uint64(m.AgeMS)) + sizeMessage(13, m.Failure) + sizeVarint(16, m.Part) + sizeFlag(17, m.End) + sizeFlag(18, m.Stream) +
		sizeBytes(19, len(m.Key))
}

// AppendHead appends a frame with m up to its body, which has to follow: so it need
// not be copied. It is the last field here, which is protobuf as well.
func (m *Delivery) AppendHead(b []byte) []byte {
	b = appendServerFrame(b, 0, EventDelivery, m.size())
	head := *m
	head.Body = nil
	b = head.appendFields(b)
	return appendLength(b, 5, len(m.Body))
}

// Append appends a frame with m.
func (m *Delivery) Append(b []byte) []byte {
	return m.appendFields(appendServerFrame(b, 0, EventDelivery, m.size()))
}

func (m *Delivery) appendFields(b []byte) []byte {
	b = appendVarint(b, 1, m.Consumer)
	b = appendVarint(b, 2, m.Lease)
	b = appendText(b, 3, m.MessageID)
	b = appendText(b, 4, m.Queue)
	b = appendBytes(b, 5, m.Body)
	b = appendHeaders(b, 6, m.Headers)
	b = appendText(b, 7, m.CorrelationID)
	b = appendText(b, 8, m.ReplyTo)
	b = appendVarint(b, 9, uint64(m.Attempt))
	b = appendVarint(b, 10, uint64(m.TimeoutMS))
	b = appendVarint(b, 11, uint64(m.LeaseMS))
	b = appendVarint(b, 12, uint64(m.AgeMS))
	b = appendMessage(b, 13, m.Failure)
	if m.Part == 0 && !m.End && !m.Stream && m.Key == "" { // as most are
		return b
	}
	b = appendVarint(b, 16, m.Part)
	b = appendFlag(b, 17, m.End)
	b = appendFlag(b, 18, m.Stream)
	return appendText(b, 19, m.Key)
}

// Sent is SendResponse.
type Sent struct {
	MessageID  string
	Duplicate  bool
	Durability uint32
	Joined     bool
}

// Unmarshal reads an encoded SendResponse into m.
func (m *Sent) Unmarshal(b []byte) error {
	*m = Sent{}
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
			m.MessageID, ok = text(b[n:end])
		case 2<<3 | varint:
			m.Duplicate = n != 0
		case 3<<3 | varint:
			m.Durability = uint32(n)
		case 4<<3 | varint:
			m.Joined = n != 0
		}
		at = end
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

// Append appends a frame with m, the answer to the frame of that tag.
func (m *Sent) Append(b []byte, tag uint64) []byte {
	durability := uint64(int32(m.Durability)) // an enum: what is negative takes ten bytes
	b = appendServerFrame(b, tag, EventSend, sizeBytes(1, len(m.MessageID))+sizeFlag(2, m.Duplicate)+sizeVarint(3, durability)+sizeFlag(4, m.Joined))
	b = appendText(b, 1, m.MessageID)
	b = appendFlag(b, 2, m.Duplicate)
	b = appendVarint(b, 3, durability)
	return appendFlag(b, 4, m.Joined)
}
