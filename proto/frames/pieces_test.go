package frames

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A body that follows its frame's head is the same message to the generated code.
func TestAppendHead(t *testing.T) {
	for _, m := range variants(&pb.Delivery{}) {
		want := m.(*pb.Delivery)
		if len(want.GetBody()) == 0 {
			want = proto.CloneOf(want)
			want.Body = []byte("body")
		}
		d := deliveryOf(want)
		b := append(d.AppendHead(AppendProgress(nil, Progress{Applied: 7, AnswersSent: 300})), d.Body...)
		var got pb.AttachResponse
		if err := proto.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		all := &pb.AttachResponse{Applied: 7, AnswersSent: 300,
			Frames: []*pb.ServerFrame{{Event: &pb.ServerFrame_Delivery{Delivery: want}}}}
		if !proto.Equal(&got, all) {
			t.Errorf("%v\nwas read as %v", all, &got)
		}
	}
}

// pieces is a message as gRPC reads it.
func pieces(b []byte, size int) (slice mem.BufferSlice) {
	for len(b) > 0 {
		n := min(size, len(b))
		piece := Pool.Get(n)
		copy(*piece, b[:n])
		slice = append(slice, mem.NewBuffer(piece, &Pool))
		b = b[n:]
	}
	return slice
}

func TestIncoming(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	for _, test := range []struct {
		name    string
		piece   int
		lasting int
		part    int  // of the message
		shares  bool // the part's memory can be kept until it is freed
		lasts   bool // it can be kept
	}{
		{"pieces", 16 << 10, 0, len(whole), true, false},
		{"a large part", 16 << 10, 0, len(whole) * 4 / 5, true, false},
		{"a small part", 16 << 10, 0, len(whole) / 3, false, false},
		{"lasting", 16 << 10, len(whole), len(whole), true, true},
		{"a small part that lasts", 16 << 10, len(whole), len(whole) / 3, false, false},
		{"too small to last", 16 << 10, len(whole) + 1, len(whole), true, false},
		{"one piece", len(whole), 0, len(whole), true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := Incoming{Lasting: test.lasting}
			data := pieces(whole, test.piece)
			if err := (Codec{}).Unmarshal(data, &in); err != nil {
				t.Fatal(err)
			}
			data.Free()
			if !bytes.Equal(in.Bytes(), whole) {
				t.Fatal("it is another message")
			}
			part := in.Bytes()[:test.part]
			if got := in.Lasts(part); got != test.lasts {
				t.Errorf("lasts: %v", got)
			}
			shared := in.Share(part)
			if (shared != nil) != test.shares {
				t.Fatalf("shared: %v", shared)
			}
			in.Free()
			for range 20 { // who takes memory now does not get that one
				if b := Pool.Get(len(whole)); test.shares {
					clear(*b)
				}
			}
			if test.shares {
				if !bytes.Equal(part, whole[:test.part]) {
					t.Error("the part has changed")
				}
				shared.Free()
			}
		})
	}
}

func TestOutgoingInTwoParts(t *testing.T) {
	head := append(make([]byte, 0, 4<<10), "head"...)
	rest := mem.SliceBuffer("rest")
	data, err := Codec{}.Marshal(&Outgoing{Data: &head, Rest: rest, Pool: &Pool})
	if err != nil {
		t.Fatal(err)
	}
	if got := data.Materialize(); string(got) != "headrest" {
		t.Errorf("%q", got)
	}
	data.Free()
}
