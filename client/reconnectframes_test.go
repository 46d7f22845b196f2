package client_test

import (
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// preface is how an HTTP/2 client begins (RFC 9113, section 3.4).
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// frameHeader is the length of an HTTP/2 frame's header (section 4.1), and
	// dataFrame the type of those that carry messages (section 6.1).
	frameHeader = 9
	dataFrame   = 0
	// messagePrefix is what gRPC puts before each message: a flag and the length.
	messagePrefix = 5
	// maxHeld is how much a reader holds back until a message ends. It is less
	// than the smaller of the flow-control windows (1 MiB): otherwise the sender
	// would wait for a receiver that gets nothing.
	maxHeld = 512 << 10
)

// A message is the bytes that travel together: those of whole HTTP/2 frames, up
// to the end of a gRPC message if they carry one.
type message struct {
	raw    []byte
	ends   bool     // a gRPC message ends here
	frames []string // of Attach, as the protocol names them: "send", "delivery" and so on
	token  string   // of the session, if this answers a Login on Attach
}

// A reader splits one direction of a connection into messages.
type reader struct {
	from    io.Reader
	dir     direction
	begun   bool
	partial map[uint32][]byte // by HTTP/2 stream: a gRPC message that has not ended
}

// next reads a message.
func (r *reader) next() (*message, error) {
	m := &message{}
	if r.dir == upward && !r.begun {
		r.begun = true
		return m, r.read(m, len(preface))
	}
	for {
		start := len(m.raw)
		if err := r.read(m, frameHeader); err != nil {
			return nil, err
		}
		h := m.raw[start:]
		length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		kind, stream := h[3], binary.BigEndian.Uint32(h[5:])
		if err := r.read(m, length); err != nil {
			return nil, err
		}
		if kind == dataFrame {
			r.data(m, stream, m.raw[start+frameHeader:])
		}
		if len(r.partial) == 0 || len(m.raw) > maxHeld {
			return m, nil
		}
	}
}

// read appends n bytes.
func (r *reader) read(m *message, n int) error {
	start := len(m.raw)
	m.raw = append(m.raw, make([]byte, n)...)
	_, err := io.ReadFull(r.from, m.raw[start:])
	return err
}

// data takes the payload of a data frame. gRPC does not pad it.
func (r *reader) data(m *message, stream uint32, payload []byte) {
	b := append(r.partial[stream], payload...)
	delete(r.partial, stream)
	for len(b) >= messagePrefix {
		end := messagePrefix + int(binary.BigEndian.Uint32(b[1:]))
		if len(b) < end {
			break
		}
		m.ends = true
		r.name(m, b[messagePrefix:end])
		b = b[end:]
	}
	if len(b) > 0 {
		r.partial[stream] = b
	}
}

// name notes the frames in a message of Attach. Of another method's, what comes
// out is nothing or has no meaning.
func (r *reader) name(m *message, b []byte) {
	if r.dir == upward {
		var req pb.AttachRequest
		if proto.Unmarshal(b, &req) != nil {
			return
		}
		for _, f := range req.GetFrames() {
			m.add(f, "verb")
		}
		return
	}
	var res pb.AttachResponse
	if proto.Unmarshal(b, &res) != nil {
		return
	}
	for _, f := range res.GetFrames() {
		m.add(f, "event")
		if f.GetLogin() != nil {
			m.token = f.GetLogin().GetSession()
		}
	}
}

func (m *message) add(frame proto.Message, oneof protoreflect.Name) {
	f := frame.ProtoReflect()
	if which := f.WhichOneof(f.Descriptor().Oneofs().ByName(oneof)); which != nil {
		m.frames = append(m.frames, string(which.Name()))
	}
}
