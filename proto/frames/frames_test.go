package frames

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// requests has each verb at its edges, alone and with others.
func requests() (list []*pb.AttachRequest) {
	all := &pb.AttachRequest{AnswersReceived: math.MaxUint64}
	for i, f := range framesOf(&pb.ClientFrame{}) {
		frame := f.(*pb.ClientFrame)
		frame.Quiet = i%2 == 1
		list = append(list, &pb.AttachRequest{Frames: []*pb.ClientFrame{frame}, AnswersReceived: uint64(i % 3)})
		all.Frames = append(all.Frames, frame)
	}
	return append(list, all, &pb.AttachRequest{}, &pb.AttachRequest{AnswersReceived: 128})
}

// responses has each event at its edges, alone and with others.
func responses() (list []*pb.AttachResponse) {
	all := &pb.AttachResponse{Applied: math.MaxUint64, AnswersSent: 1 << 63}
	for i, f := range framesOf(&pb.ServerFrame{}) {
		frame := f.(*pb.ServerFrame)
		if frame.GetDelivery() != nil {
			frame.Tag = 0 // a delivery answers nothing
		}
		list = append(list, &pb.AttachResponse{
			Frames: []*pb.ServerFrame{frame}, Applied: uint64(i % 3), AnswersSent: uint64(i%2) << 40,
		})
		all.Frames = append(all.Frames, frame)
	}
	return append(list, all, &pb.AttachResponse{}, &pb.AttachResponse{Applied: 1}, &pb.AttachResponse{AnswersSent: 300})
}

// framesOf makes a frame of each variant of each member of the oneof.
func framesOf(frame proto.Message) (list []proto.Message) {
	tags := []uint64{0, 1, 127, 128, math.MaxUint64}
	r := frame.ProtoReflect()
	members := r.Descriptor().Oneofs().Get(0).Fields()
	for i := range members.Len() {
		fd := members.Get(i)
		for _, m := range variants(r.NewField(fd).Message().Interface()) {
			f := r.New()
			if tag := tags[len(list)%len(tags)]; tag > 0 {
				f.Set(r.Descriptor().Fields().ByNumber(1), protoreflect.ValueOf(tag))
			}
			f.Set(fd, protoreflect.ValueOf(m.ProtoReflect()))
			list = append(list, f.Interface())
		}
	}
	return list
}

func appendRequest(t testing.TB, r *pb.AttachRequest) (b []byte) {
	t.Helper()
	for _, f := range r.Frames {
		switch v := f.Verb.(type) {
		case *pb.ClientFrame_Send:
			b = sendOf(v.Send).Append(b, f.Tag, f.Quiet)
		case *pb.ClientFrame_Reply:
			b = replyOf(v.Reply).Append(b, f.Tag, f.Quiet)
		case *pb.ClientFrame_Ack:
			b = ackOf(v.Ack).Append(b, f.Tag, f.Quiet)
		case *pb.ClientFrame_Part:
			b = partOf(v.Part).Append(b, f.Tag, f.Quiet)
		default:
			n, m := member(f)
			var err error
			if b, err = AppendVerb(b, f.Tag, f.Quiet, n, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	return AppendAnswersReceived(b, r.AnswersReceived)
}

func appendResponse(t testing.TB, r *pb.AttachResponse) (b []byte) {
	t.Helper()
	for _, f := range r.Frames {
		switch v := f.Event.(type) {
		case *pb.ServerFrame_Delivery:
			b = deliveryOf(v.Delivery).Append(b)
		case *pb.ServerFrame_Send:
			b = sentOf(v.Send).Append(b, f.Tag)
		default:
			n, m := member(f)
			var err error
			if b, err = AppendEvent(b, f.Tag, n, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	return AppendProgress(b, Progress{Applied: r.Applied, AnswersSent: r.AnswersSent})
}

// member is what the frame's oneof holds.
func member(frame proto.Message) (protowire.Number, proto.Message) {
	r := frame.ProtoReflect()
	fd := r.WhichOneof(r.Descriptor().Oneofs().Get(0))
	return fd.Number(), r.Get(fd).Message().Interface()
}

// No message here has more than one entry in a map, so there is but one way to
// write it.
func TestAppendIsByteForByte(t *testing.T) {
	check := func(got []byte, m proto.Message) {
		if want := encoded(m); !bytes.Equal(got, want) {
			t.Errorf("%v\nours      %x\ngenerated %x", m, got, want)
		}
	}
	for _, r := range requests() {
		check(appendRequest(t, r), r)
	}
	for _, r := range responses() {
		check(appendResponse(t, r), r)
	}
}

func TestReadIsTheSame(t *testing.T) {
	for _, r := range requests() {
		b := encoded(r)
		sameRequest(t, b)
		if ours, err := readRequest(b); err != nil || !proto.Equal(ours, r) {
			t.Errorf("read %v\nas %v (%v)", r, ours, err)
		}
	}
	for _, r := range responses() {
		b := encoded(r)
		sameResponse(t, b)
		if ours, err := readResponse(b); err != nil || !proto.Equal(ours, r) {
			t.Errorf("read %v\nas %v (%v)", r, ours, err)
		}
	}
}

// Maps have no order, so what was written is compared as it is read.
func TestManyHeaders(t *testing.T) {
	for _, n := range []int{2, fewHeaders, fewHeaders + 1, 1000} {
		hs := make(map[string]string)
		for i := range n {
			hs[strconv.Itoa(i)] = strconv.Itoa(i * i)
		}
		in := &pb.AttachRequest{Frames: []*pb.ClientFrame{
			{Tag: 1, Verb: &pb.ClientFrame_Send{Send: &pb.SendRequest{Headers: hs}}},
			{Tag: 2, Verb: &pb.ClientFrame_Reply{Reply: &pb.ReplyRequest{Headers: hs}}},
		}}
		out := &pb.AttachRequest{}
		if err := proto.Unmarshal(appendRequest(t, in), out); err != nil || !proto.Equal(in, out) {
			t.Errorf("%d headers: wrote %v (%v)", n, out, err)
		}
		// Each key comes twice: the later value counts.
		var b []byte
		for _, value := range []string{"early", "late"} {
			for i := range n {
				b = appendHeaders(b, 6, []Header{{strconv.Itoa(i), value}})
			}
		}
		var d Delivery
		if err := d.Unmarshal(b); err != nil || len(d.Headers) != n {
			t.Fatalf("%d headers, twice: read %d (%v)", n, len(d.Headers), err)
		}
		for i, h := range d.Headers {
			if h != (Header{strconv.Itoa(i), "late"}) {
				t.Errorf("header %d is %v", i, h)
			}
		}
	}
}

// A struct that is used again keeps nothing but the memory of its slices.
func TestUnmarshalStartsAnew(t *testing.T) {
	send, reply, ack := sendOf(typicalSend), replyOf(&pb.ReplyRequest{Lease: 1, Failure: &pb.Failure{}}), ackOf(typicalAck)
	delivery, sent := deliveryOf(typicalDelivery), sentOf(typicalSent)
	for _, unmarshal := range []func([]byte) error{send.Unmarshal, reply.Unmarshal, ack.Unmarshal, delivery.Unmarshal, sent.Unmarshal} {
		must(unmarshal(nil))
	}
	for _, size := range []int{send.size(), reply.size(), ack.packed(), delivery.size(), len(sent.Append(nil, 0)) - len(new(Sent).Append(nil, 0))} {
		if size != 0 {
			t.Errorf("%d bytes are left of the message before", size)
		}
	}
	if cap(send.Headers) == 0 || cap(delivery.Headers) == 0 || cap(ack.Leases) == 0 {
		t.Error("the memory of a slice is gone")
	}
}

func TestReadingStopsWhereItFails(t *testing.T) {
	stop := errors.New("stop")
	var b []byte
	for tag := range uint64(3) {
		b = (&Ack{Through: 1}).Append(b, tag, false)
	}
	n := 0
	_, err := ReadRequest(b, func(*ClientFrame) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("%v after %d frames", err, n)
	}
	n = 0
	_, err = ReadResponse((&Sent{}).Append((&Sent{}).Append(nil, 1), 2), func(*ServerFrame) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d frames", err, n)
	}
}

func TestAppendTakesTextAsItIs(t *testing.T) {
	b := (&Send{Queue: "\xff"}).Append(nil, 1, false)
	if err := proto.Unmarshal(b, new(pb.AttachRequest)); err == nil {
		t.Error("the generated code reads what is not UTF-8")
	}
	if _, err := readRequest(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("ours reads what is not UTF-8: %v", err)
	}
	if _, err := AppendVerb(nil, 1, false, VerbDestroy, &pb.DestroyRequest{Queue: "\xff"}); err == nil {
		t.Error("the generated code writes what is not UTF-8")
	}
}
