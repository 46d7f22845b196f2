package grpcqueue

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// protoCodec is what calls use unless they say otherwise.
func protoCodec() encoding.CodecV2 { return encoding.GetCodecV2(proto.Name) }

// RawCodec takes messages as bytes, of which it knows no more: *[]byte.
type RawCodec struct{}

// Name is "proto": what is passed on is as a rule, and on the wire there is no
// difference.
func (RawCodec) Name() string { return proto.Name }

// Marshal implements [encoding.CodecV2].
func (RawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, is := v.(*[]byte)
	if !is {
		return nil, fmt.Errorf("a %T is no raw message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (RawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, is := v.(*[]byte)
	if !is {
		return fmt.Errorf("a %T is no raw message", v)
	}
	*b = data.Materialize()
	return nil
}

// codecV1 is an encoding.Codec, as ForceCodec takes it.
type codecV1 struct{ encoding.Codec }

// Marshal implements [encoding.CodecV2].
func (c codecV1) Marshal(v any) (mem.BufferSlice, error) {
	b, err := c.Codec.Marshal(v)
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// Unmarshal implements [encoding.CodecV2].
func (c codecV1) Unmarshal(data mem.BufferSlice, v any) error {
	return c.Codec.Unmarshal(data.Materialize(), v)
}

// encode gives the bytes of a message. As in gRPC, nil is an empty one.
func encode(c encoding.CodecV2, m any) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	data, err := c.Marshal(m)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: encoding a %T: %v", m, err)
	}
	defer data.Free()
	return data.Materialize(), nil
}

// decode reads a message. Who sent bytes that can't be read is the one to
// blame, so the code is the caller's choice.
func decode(c encoding.CodecV2, body []byte, m any, blame codes.Code, whose string) error {
	if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, m); err != nil {
		return status.Errorf(blame, "the %s of %d bytes is no %T: %v", whose, len(body), m, err)
	}
	return nil
}
