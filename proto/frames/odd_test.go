package frames

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A wire format by hand: a varint, a length-delimited field, the fixed ones, a
// group.

func vi(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

func ld(n protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), slices.Concat(parts...))
}

func tx(n protowire.Number, text string) []byte { return ld(n, []byte(text)) }

func f32(n protowire.Number) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, n, protowire.Fixed32Type), 7)
}

func f64(n protowire.Number) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, n, protowire.Fixed64Type), 7)
}

func group(n protowire.Number, parts ...[]byte) []byte {
	b := append(protowire.AppendTag(nil, n, protowire.StartGroupType), slices.Concat(parts...)...)
	return protowire.AppendTag(b, n, protowire.EndGroupType)
}

// odd is what a writer may write and never does, and what it must not write.
type odd struct {
	name string
	bad  bool // not a message
	b    []byte
}

// everyKind is field n in each wire type.
func everyKind(n protowire.Number) []byte {
	return slices.Concat(vi(n, 5), f32(n), f64(n), ld(n), group(n, vi(n, 1), group(3), ld(9, nil)))
}

// oddMessages are of any type: fields that nobody knows, and what is no field.
func oddMessages() []odd {
	overlong := []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}
	tooLong := append(slices.Clone(overlong[:9]), 0x02)
	deep := func(n int) []byte {
		return append(bytes.Repeat([]byte{50<<3&0x7f | 3 | 0x80, 3}, n), bytes.Repeat([]byte{50<<3&0x7f | 4 | 0x80, 3}, n)...)
	}
	return []odd{
		{"nothing", false, nil},
		{"unknown fields of every wire type", false, everyKind(100)},
		{"fixed fields that are no varint", false, slices.Concat([]byte{13<<3 | 5}, bytes.Repeat([]byte{0xff}, 4), []byte{13<<3 | 1}, bytes.Repeat([]byte{0xff}, 8))},
		{"the highest field number", false, everyKind(protowire.MaxValidNumber)},
		{"a field number that is too high", true, protowire.AppendVarint(nil, uint64(protowire.MaxValidNumber+1)<<3)},
		{"a field number beyond 32 bits", true, append(protowire.AppendVarint(nil, 1<<35|1<<3), 0)},
		{"field number zero", true, []byte{0, 0}},
		{"field number zero, long", true, []byte{0x80, 0, 0}},
		{"a tag in more bytes than it needs", false, []byte{0xa0, 0x86, 0x80, 0x00, 5}},
		{"an endless tag", true, tooLong},
		{"a varint of ten bytes", false, append([]byte{0x78}, overlong...)},
		{"a varint of more than 64 bits", true, append([]byte{0x78}, tooLong...)},
		{"a length beyond the end", true, []byte{0x7a, 2, 0}},
		{"a length beyond int64", true, append(append([]byte{0x7a}, overlong...), 0)},
		{"a length in more bytes than it needs", false, []byte{0x7a, 0x80, 0x00}},
		{"wire type 6", true, []byte{0x7e, 0}},
		{"wire type 7", true, []byte{0x7f, 0}},
		{"a group without its end", true, []byte{0x7b}},
		{"an end without its group", true, []byte{0x7c}},
		{"a group with another's end", true, []byte{0x7b, 0x74}},
		{"a group as deep as it may be", false, deep(10_000)},
		{"a group that is too deep", true, deep(10_002)},
	}
}

// oddFields are of one hot message: number and text are fields of it; headers
// and message are zero if it has none.
func oddFields(number, text, headers, message protowire.Number) []odd {
	list := []odd{
		{"every wire type for a number", false, everyKind(number)},
		{"every wire type for a text", false, everyKind(text)},
		{"a number twice", false, append(vi(number, 8), vi(number, 0)...)},
		{"a number of 64 bits", false, vi(number, math.MaxUint64)},
		{"a number in more bytes than it needs", false, slices.Concat(vi(number, 1)[:len(vi(number, 1))-1], []byte{0x81, 0x80, 0x00})},
		{"a text twice", false, append(tx(text, "early"), tx(text, "")...)},
		{"a text that is not UTF-8", true, tx(text, "a\xc3\x28")},
		{"a surrogate", true, tx(text, "\xed\xa0\x80")},
		{"fields backwards", false, slices.Concat(f32(99), tx(text, "q"), vi(number, 3), everyKind(77))},
	}
	if headers > 0 {
		k, v := tx(1, "key"), tx(2, "value")
		list = append(list,
			odd{"every wire type for headers", false, everyKind(headers)},
			odd{"a header backwards", false, ld(headers, v, k)},
			odd{"a header without key", false, ld(headers, v)},
			odd{"a header without value", false, append(ld(headers, k, v), ld(headers, k)...)},
			odd{"a header with two keys", false, ld(headers, tx(1, "other"), v, k, tx(2, "late"))},
			odd{"a header twice", false, slices.Concat(ld(headers, k, v), ld(headers, tx(1, "b")), ld(headers, k, tx(2, "late")))},
			odd{"a header with more in it", false, ld(headers, everyKind(1), k, everyKind(3), v, f32(2))},
			odd{"a header's key that is not UTF-8", true, ld(headers, tx(1, "\xff"), v)},
			odd{"a header's value that is not UTF-8", true, ld(headers, k, tx(2, "\xff"))},
			odd{"a header's bad value that a good one replaces", true, ld(headers, k, tx(2, "\xff"), v)},
			odd{"a header that is cut", true, ld(headers, k, v[:len(v)-1])},
			odd{"a bad header between good ones", true, slices.Concat(ld(headers, k, v), ld(headers, tx(1, "\xff")), ld(headers, v))},
		)
		for _, o := range oddMessages() {
			list = append(list, odd{"in a header: " + o.name, o.bad, ld(headers, k, o.b, v)})
		}
	}
	if message > 0 {
		list = append(list,
			odd{"an empty message", false, ld(message)},
			odd{"an empty message, then a number", false, append(ld(message), ld(message, vi(1, 2))...)},
			odd{"a message in pieces", false, slices.Concat(ld(message, vi(1, 2), vi(2, 3)), vi(number, 1), ld(message, vi(1, 9)), ld(message))},
			odd{"every wire type for a message", false, slices.Concat(vi(message, 5), f32(message), f64(message), group(message))},
			odd{"a message that is cut", true, ld(message, []byte{8})},
		)
	}
	return list
}

// inFrame puts what is odd into a frame's verb or event, between other frames.
func inFrame(list []odd, n protowire.Number, what string) (out []odd) {
	for _, o := range list {
		frame := ld(1, vi(1, 7), ld(n, o.b))
		out = append(out, odd{what + ": " + o.name, o.bad, slices.Concat(ld(1, vi(1, 6), ld(n)), frame, vi(2, 4))})
	}
	return out
}

// oddBoth are of either direction; a and b are two verbs or events.
func oddBoth(a, b protowire.Number) []odd {
	list := oddMessages()
	for _, o := range oddMessages() {
		list = append(list, odd{"in a frame: " + o.name, o.bad, ld(1, vi(1, 6), o.b, ld(a))})
	}
	return append(list,
		odd{"every wire type for the rest", false, slices.Concat(everyKind(2), everyKind(3))},
		odd{"a frame of every other wire type", false, slices.Concat(vi(1, 5), f32(1), f64(1), group(1, vi(1, 1)))},
		odd{"an empty frame", false, ld(1)},
		odd{"a frame after the rest", false, slices.Concat(vi(2, 1), ld(1, ld(a)), vi(2, 2))},
		odd{"a frame that is cut", true, ld(1, []byte{8})},
		odd{"a tag twice", false, ld(1, vi(1, 5), ld(a), vi(1, 6))},
		odd{"a verb before its tag", false, ld(1, ld(a, vi(2, 9)), vi(1, 6))},
		odd{"a verb of every other wire type", false, ld(1, vi(a, 5), f32(a), f64(a), group(a, vi(1, 1)))},
		odd{"a verb that nobody knows", false, ld(1, vi(1, 5), ld(40, vi(1, 1)))},
		odd{"one verb after the other", false, ld(1, ld(a, vi(2, 9)), ld(b, vi(2, 8)))},
		odd{"a verb in pieces", false, ld(1, ld(a, vi(2, 9)), vi(1, 3), ld(a), ld(a, vi(2, 7), vi(3, 1)), ld(a, vi(3, 2)))},
		odd{"a verb, another, and again", false, ld(1, ld(a, vi(2, 9)), ld(b, vi(2, 8)), ld(a, vi(3, 7)))},
		odd{"a verb, then its number in another wire type", false, ld(1, ld(a, vi(2, 9)), vi(a, 1), vi(b, 1))},
	)
}

func oddRequests() []odd {
	list := slices.Concat(oddBoth(VerbAck, VerbReply), oddBoth(VerbNack, VerbSend))
	for n, fields := range map[protowire.Number][]odd{
		VerbSend:  append(oddFields(7, 2, 4, 10), oddFields(12, 6, 0, 0)...),
		VerbReply: append(oddFields(2, 1, 4, 5), oddFields(16, 1, 0, 0)...),
		VerbPart:  append(oddFields(7, 5, 4, 0), oddFields(9, 6, 0, 0)...),
		VerbAck: append(oddFields(3, 1, 0, 0),
			odd{"leases one by one", false, slices.Concat(vi(2, 1), vi(2, 0), vi(2, math.MaxUint64))},
			odd{"leases both ways", false, slices.Concat(vi(2, 1), ld(2, []byte{2, 0xff, 1, 0}), ld(2), vi(2, 3), f32(2), f64(2))},
			odd{"leases that are cut", true, ld(2, []byte{1, 0x80})},
			odd{"a lease of more than 64 bits", true, ld(2, bytes.Repeat([]byte{0xff}, 10), []byte{1})}),
	} {
		list = append(list, inFrame(append(fields, oddMessages()...), n, string(pb.File_messageswitch_v1_data_proto.
			Messages().ByName("ClientFrame").Fields().ByNumber(n).Name()))...)
	}
	return append(list, inFrame([]odd{{"a session", false, tx(1, "token")}, {"a bad session", true, tx(1, "\xff")}}, VerbSend, "send")...)
}

func oddResponses() []odd {
	list := slices.Concat(oddBoth(EventDelivery, EventDrain), oddBoth(EventFailure, EventSend))
	list = append(list, inFrame(slices.Concat(oddMessages(), oddFields(10, 3, 6, 13), oddFields(9, 8, 0, 0), oddFields(16, 7, 0, 0)), EventDelivery, "delivery")...)
	return append(list, inFrame(append(oddMessages(), oddFields(3, 1, 0, 0)...), EventSend, "send")...)
}

func TestOddInput(t *testing.T) {
	check := func(o odd, same func(*testing.T, []byte), m proto.Message) {
		t.Run(o.name, func(t *testing.T) {
			same(t, o.b)
			if err := proto.Unmarshal(o.b, m); (err != nil) != o.bad {
				t.Errorf("it is not what it says: %v", err)
			}
		})
	}
	for _, o := range oddRequests() {
		check(o, sameRequest, new(pb.AttachRequest))
	}
	for _, o := range oddResponses() {
		check(o, sameResponse, new(pb.AttachResponse))
	}
}

// TestTruncated cuts messages with everything in them at every byte.
func TestTruncated(t *testing.T) {
	request := encoded(&pb.AttachRequest{AnswersReceived: 300, Frames: []*pb.ClientFrame{
		{Tag: 128, Verb: &pb.ClientFrame_Send{Send: &pb.SendRequest{
			Queue: "größe", Body: []byte("body"), Headers: map[string]string{"k": "v"}, TimeoutMs: -1, Create: &pb.QueueOptions{MaxBytes: 1},
		}}},
		{Tag: 129, Quiet: true, Verb: &pb.ClientFrame_Ack{Ack: &pb.AckRequest{Leases: []uint64{1, 300}, Through: 7}}},
		{Tag: 130, Verb: &pb.ClientFrame_Reply{Reply: &pb.ReplyRequest{Lease: 1, Failure: &pb.Failure{Message: "no"}}}},
	}})
	request = append(request, group(100, vi(1, 2))...)
	response := encoded(&pb.AttachResponse{Applied: 300, AnswersSent: 1, Frames: []*pb.ServerFrame{
		{Event: &pb.ServerFrame_Delivery{Delivery: typicalDelivery}},
		{Tag: 128, Event: &pb.ServerFrame_Send{Send: typicalSent}},
		{Event: &pb.ServerFrame_Drain{Drain: &pb.Drain{BoundMs: 7}}},
	}})
	for _, b := range [][]byte{request, response} {
		for end := range len(b) + 1 {
			cut := slices.Clip(b[:end])
			sameRequest(t, cut)
			sameResponse(t, cut)
		}
	}
}

// TestDifferences has what doc.go says about pieces: ours takes it, the
// generated code does not.
func TestDifferences(t *testing.T) {
	for _, o := range []odd{
		{"a replaced verb is not looked at", true, ld(1, ld(VerbSend, []byte{8}), ld(VerbAck, vi(3, 7)))},
		{"a verb in malformed pieces", true, ld(1, ld(VerbAck, []byte{3 << 3}), ld(VerbAck, []byte{7}))},
		{"a Create in malformed pieces", true, ld(1, ld(VerbSend, ld(10, []byte{2 << 3}), ld(10, []byte{7})))},
	} {
		if _, err := readRequest(o.b); err != nil {
			t.Errorf("%s: ours says %v", o.name, err)
		}
		if err := proto.Unmarshal(o.b, new(pb.AttachRequest)); err == nil {
			t.Errorf("%s: the generated code takes it as well", o.name)
		}
		sameRequest(t, o.b)
	}
}
