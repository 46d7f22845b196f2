package main

import (
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// A frame is one message on its way. On the wire a batch is
//
//	message Batch { repeated Frame frames = 1; }
//	message Frame { bytes queue = 1; bytes reply_to = 2; uint64 number = 3; bytes body = 4; }
//
// encoded and decoded by hand, in place.
type frame struct {
	queue, replyTo []byte
	number         uint64
	body           []byte
}

const (
	fieldFrames = 1

	fieldQueue   = 1
	fieldReplyTo = 2
	fieldNumber  = 3
	fieldBody    = 4
)

func sizeField(v []byte) int { return 1 + protowire.SizeBytes(len(v)) }

// appendFrame appends a frame to a batch.
func appendFrame(b []byte, f frame) []byte {
	size := sizeField(f.queue) + 1 + protowire.SizeVarint(f.number) + sizeField(f.body)
	if len(f.replyTo) > 0 {
		size += sizeField(f.replyTo)
	}
	b = protowire.AppendTag(b, fieldFrames, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendField(b, fieldQueue, f.queue)
	if len(f.replyTo) > 0 {
		b = appendField(b, fieldReplyTo, f.replyTo)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldNumber, protowire.VarintType), f.number)
	return appendField(b, fieldBody, f.body)
}

func appendField(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

var errBadBatch = errors.New("bad batch")

// parseFrame reads the first frame of a batch, and answers how long it was. What
// it answers lies in b.
func parseFrame(b []byte) (f frame, length int, err error) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 || number != fieldFrames || kind != protowire.BytesType {
		return f, 0, errBadBatch
	}
	fields, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return f, 0, errBadBatch
	}
	for len(fields) > 0 {
		used, err := f.parseField(fields)
		if err != nil {
			return f, 0, err
		}
		fields = fields[used:]
	}
	return f, n + m, nil
}

func (f *frame) parseField(b []byte) (used int, err error) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, errBadBatch
	}
	var m int
	switch {
	case number == fieldNumber && kind == protowire.VarintType:
		f.number, m = protowire.ConsumeVarint(b[n:])
	case number == fieldQueue:
		f.queue, m = protowire.ConsumeBytes(b[n:])
	case number == fieldReplyTo:
		f.replyTo, m = protowire.ConsumeBytes(b[n:])
	case number == fieldBody:
		f.body, m = protowire.ConsumeBytes(b[n:])
	default:
		m = -1
	}
	if m < 0 {
		return 0, errBadBatch
	}
	return n + m, nil
}

// A bufferPool gives gRPC back the buffers that batches are encoded into.
type bufferPool struct{ pool sync.Pool }

var relayBuffers bufferPool

func (p *bufferPool) take() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, 16<<10)
	return &b
}

// Get is for gRPC, which has no use for it here.
func (p *bufferPool) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put takes a buffer back when gRPC has written it.
func (p *bufferPool) Put(b *[]byte) { p.pool.Put(b) }

// relayCodec passes batches through as they are.
type relayCodec struct{}

// Name is the codec's, in the content type.
func (relayCodec) Name() string { return "relay" }

// Marshal gives gRPC a batch, and with it the buffer.
func (relayCodec) Marshal(v any) (mem.BufferSlice, error) {
	batch, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("the relay can't send a %T", v)
	}
	return mem.BufferSlice{mem.NewBuffer(batch, &relayBuffers)}, nil
}

// Unmarshal takes a batch, which the receiver frees.
func (relayCodec) Unmarshal(data mem.BufferSlice, v any) error {
	batch, ok := v.(*mem.Buffer)
	if !ok {
		return fmt.Errorf("the relay can't receive a %T", v)
	}
	*batch = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
