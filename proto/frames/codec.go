package frames

import (
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is gRPC's own protobuf codec, which besides takes *Outgoing and
// *Incoming.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// An Outgoing is one encoded stream message. Pool.Put is called with Data once
// the transport has written it, or dropped it with its stream. Data must have a
// capacity above 1 KiB: gRPC leaves a smaller one to the garbage collector, and
// Put is never called.
type Outgoing struct {
	Data *[]byte
	Pool mem.BufferPool
}

// An Incoming is one stream message as it came. Free it after use.
type Incoming struct{ buf mem.Buffer }

// Bytes is the message; valid until Free.
func (in *Incoming) Bytes() []byte { return in.buf.ReadOnlyData() }

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
		return mem.BufferSlice{mem.NewBuffer(o.Data, o.Pool)}, nil
	}
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

// Unmarshal decodes data into v.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if in, ok := v.(*Incoming); ok {
		in.buf = data.MaterializeToBuffer(&incoming)
		return nil
	}
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}

const (
	// minPooled is more than gRPC's threshold for giving buffers back (1 KiB).
	minPooled = 4 << 10
	// maxPooled is the largest buffer that is kept here; Large has the others.
	maxPooled = LargeMin
)

// incoming keeps the memory of stream messages that came in several pieces.
// gRPC's own pool clears what it hands out, and for 64 KiB that is 1 MiB: a sixth
// of the time when many messages of 1 KiB travel together.
var incoming pool

type pool struct{ buffers sync.Pool }

// Get is part of mem.BufferPool. What it hands out is not clear.
func (p *pool) Get(n int) *[]byte {
	if n > maxPooled {
		b := Large.Get(n)
		*b = (*b)[:n]
		return b
	}
	if b, ok := p.buffers.Get().(*[]byte); ok && cap(*b) >= n {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, max(n, minPooled))
	return &b
}

// Put is part of mem.BufferPool.
func (p *pool) Put(b *[]byte) {
	if cap(*b) <= maxPooled {
		p.buffers.Put(b)
		return
	}
	Large.Put(b)
}
