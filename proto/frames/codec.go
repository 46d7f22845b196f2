package frames

import (
	"bytes"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is gRPC's own protobuf codec, which besides takes *Outgoing and
// *Incoming, and as *[]byte the bytes of messages of any other type.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// An Outgoing is one encoded stream message: Data, and what follows it. Pool.Put is
// called with Data once the transport has written it, or dropped it with its
// stream, and Rest is freed. Data must have a capacity above 1 KiB: gRPC leaves a
// smaller one to the garbage collector, and Put is never called.
type Outgoing struct {
	Data *[]byte
	Rest mem.Buffer // nil: there is none
	Pool mem.BufferPool
}

// An Incoming is one stream message as it came. Free it after use.
type Incoming struct {
	// Lasting is from how many bytes on a message is in memory that is not used
	// again, so that parts of it may be kept. Zero: none is.
	Lasting int

	buf   mem.Buffer
	lasts bool
}

// Bytes is the message; valid until Free.
func (in *Incoming) Bytes() []byte { return in.buf.ReadOnlyData() }

// Lasts reports whether part, which lies in the message, may be kept: its memory is
// not used again, and most of it is part.
func (in *Incoming) Lasts(part []byte) bool {
	return in.lasts && len(part) >= in.buf.Len()/4*3
}

// Share is the memory of part, which lies in the message, for whoever wants to keep
// it: Free gives it back. It is nil if much of the message's memory is not part.
func (in *Incoming) Share(part []byte) mem.Buffer {
	whole := in.buf.ReadOnlyData()
	if len(part) < cap(whole)/4*3 {
		return nil
	}
	in.buf.Ref()
	return in.buf
}

// Free gives the memory back.
func (in *Incoming) Free() {
	if in.buf != nil {
		in.buf.Free()
		in.buf = nil
	}
}

// Name is "proto": on the wire there is no difference.
func (Codec) Name() string { return proto.Name }

// Marshal encodes v.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	if o, ok := v.(*Outgoing); ok {
		data := mem.NewBuffer(o.Data, o.Pool)
		if o.Rest != nil {
			return mem.BufferSlice{data, o.Rest}, nil
		}
		return mem.BufferSlice{data}, nil
	}
	if b, ok := v.(*[]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
	}
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

// inOnePiece is data in one piece of memory, which is not cleared first.
func inOnePiece(data mem.BufferSlice) []byte {
	pieces := make([][]byte, len(data))
	for i, b := range data {
		pieces[i] = b.ReadOnlyData()
	}
	return bytes.Join(pieces, nil)
}

// Unmarshal decodes data into v.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if in, ok := v.(*Incoming); ok {
		in.lasts = in.Lasting > 0 && data.Len() >= in.Lasting
		if in.lasts {
			in.buf = mem.SliceBuffer(inOnePiece(data))
		} else {
			in.buf = data.MaterializeToBuffer(&Pool)
		}
		return nil
	}
	if b, ok := v.(*[]byte); ok {
		*b = data.Materialize()
		return nil
	}
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}
