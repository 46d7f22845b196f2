package frames

import (
	"math"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// variants are messages of the type of m: an empty one, one for each edge value
// of each field alone, and some with all fields set.
func variants(m proto.Message) []proto.Message {
	list := []proto.Message{m.ProtoReflect().New().Interface()}
	fields := m.ProtoReflect().Descriptor().Fields()
	var full [3]protoreflect.Message
	for i := range full {
		full[i] = m.ProtoReflect().New()
		list = append(list, full[i].Interface())
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Name() == "session" {
			continue // empty in a frame
		}
		edges := edges(m.ProtoReflect(), fd)
		for _, v := range edges {
			one := m.ProtoReflect().New()
			one.Set(fd, v)
			list = append(list, one.Interface())
		}
		for n := range full {
			full[n].Set(fd, edges[(n*7+i)%len(edges)])
		}
	}
	return list
}

// edges are values at which an encoding changes its length or its sign.
func edges(m protoreflect.Message, fd protoreflect.FieldDescriptor) (list []protoreflect.Value) {
	switch {
	case fd.IsMap():
		for _, text := range []string{"", "k", strings.Repeat("long", 40), "Größe \x00 🚂"} {
			v := m.NewField(fd)
			v.Map().Set(protoreflect.ValueOf(text).MapKey(), protoreflect.ValueOf(text+text))
			list = append(list, v)
		}
		return list
	case fd.IsList():
		for _, n := range []int{1, 3, 200} {
			v := m.NewField(fd)
			for i := range n {
				v.List().Append(element(v.List(), fd, i))
			}
			list = append(list, v)
		}
		return list
	case fd.Message() != nil:
		for _, v := range variants(m.NewField(fd).Message().Interface()) {
			list = append(list, protoreflect.ValueOf(v.ProtoReflect()))
		}
		return list
	}
	for _, v := range scalars[fd.Kind()] {
		list = append(list, protoreflect.ValueOf(v))
	}
	return list
}

// element is the ith of a list; numbers begin with zero.
func element(l protoreflect.List, fd protoreflect.FieldDescriptor, i int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOf(uint64(i) << (i % 64))
	case protoreflect.StringKind:
		return protoreflect.ValueOf(scalars[protoreflect.StringKind][i%4])
	default:
		return l.NewElement()
	}
}

var scalars = map[protoreflect.Kind][]any{
	protoreflect.BoolKind: {true},
	protoreflect.EnumKind: {
		protoreflect.EnumNumber(1), protoreflect.EnumNumber(2), protoreflect.EnumNumber(300),
		protoreflect.EnumNumber(math.MaxInt32), protoreflect.EnumNumber(math.MinInt32), protoreflect.EnumNumber(-1),
	},
	protoreflect.Int32Kind:  {int32(1), int32(-1), int32(math.MaxInt32), int32(math.MinInt32)},
	protoreflect.Uint32Kind: {uint32(1), uint32(127), uint32(128), uint32(math.MaxUint32)},
	protoreflect.Int64Kind:  {int64(1), int64(-1), int64(math.MaxInt64), int64(math.MinInt64)},
	protoreflect.Uint64Kind: {
		uint64(1), uint64(127), uint64(128), uint64(1<<14 - 1), uint64(1 << 14), uint64(1 << 32),
		uint64(1<<63 - 1), uint64(1 << 63), uint64(math.MaxUint64),
	},
	protoreflect.StringKind: {"q", strings.Repeat("n", 127), strings.Repeat("n", 128), "Größe \x00 🚂"},
	protoreflect.BytesKind: {
		[]byte{0}, []byte("\xff not text"), make([]byte, 127), make([]byte, 128), make([]byte, 1<<14),
	},
}
