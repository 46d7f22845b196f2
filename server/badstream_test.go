package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// asBytes is a codec for requests that no generated client can make. Answers
// are decoded as ever.
type asBytes struct{}

func (asBytes) Name() string { return "proto" }

func (asBytes) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (asBytes) Unmarshal(data mem.BufferSlice, v any) error {
	return proto.Unmarshal(data.Materialize(), v.(proto.Message))
}

// encoded is a message as it stands on the wire.
func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// field is one length-delimited field.
func field(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

// frameBytes is a stream message with one frame, whose verb is made of bytes.
func frameBytes(tag uint64, verb protowire.Number, b []byte) []byte {
	f := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), tag)
	return field(1, append(f, field(verb, b)...))
}

func framesOf(fs ...*pb.ClientFrame) []byte { return encoded(&pb.AttachRequest{Frames: fs}) }

var (
	hello  = framesOf(frameOf(0, &pb.LoginRequest{Name: "rude"}))
	broken = []byte{0x0a, 0xff} // a field that is longer than what follows
)

// badStreams are said on a stream of their own each.
var badStreams = []struct {
	name string
	says [][]byte
}{
	{"Stream: a frame before the Login", [][]byte{framesOf(frameOf(1, &pb.SendRequest{Queue: "q"}))}},
	{"Stream: no frame before the Login", [][]byte{{}}},
	{"Stream: garbage before the Login", [][]byte{broken}},
	{"Stream: garbage for a Login", [][]byte{frameBytes(0, 3, broken)}},
	{"Stream: a Login with garbage for a token", [][]byte{framesOf(frameOf(0, &pb.LoginRequest{Session: "garbage"}))}},
	{"Stream: a second Login", [][]byte{hello, framesOf(frameOf(1, &pb.LoginRequest{}))}},
	{"Stream: a second Login with tag 0", [][]byte{hello, hello}},
	{"Stream: a frame with tag 0", [][]byte{hello, framesOf(frameOf(0, &pb.SendRequest{Queue: "q"}))}},
	{"Stream: a frame without a verb", [][]byte{hello, framesOf(&pb.ClientFrame{Tag: 1})}},
	{"Stream: a verb of the future", [][]byte{hello, frameBytes(1, 99, nil)}},
	{"Stream: a verb of another kind", [][]byte{hello, field(1, []byte{0x08, 1, 0x38, 7})}}, // a Send as a number
	{"Stream: garbage for a message", [][]byte{hello, broken}},
	{"Stream: garbage for a frame", [][]byte{hello, field(1, broken)}},
	{"Stream: garbage for a Create", [][]byte{hello, frameBytes(1, 5, broken)}},
	{"Stream: garbage for a Logout", [][]byte{hello, frameBytes(1, 4, broken)}},
	{"Stream: garbage for a Send", [][]byte{hello, frameBytes(1, 7, broken)}},
	{"Stream: garbage for a Send's create", [][]byte{hello, frameBytes(1, 7, field(10, broken))}},
	{"Stream: garbage for an Ack", [][]byte{hello, frameBytes(1, 10, broken)}},
	{"Stream: garbage for a Reply", [][]byte{hello, frameBytes(1, 13, broken)}},
	{"Stream: garbage for a Reply's failure", [][]byte{hello, frameBytes(1, 13, field(5, broken))}},
	{"Stream: a Send to a name that is not UTF-8", [][]byte{hello, frameBytes(1, 7, field(2, []byte("\xff")))}},
	{"Stream: a Create of a name that is not UTF-8", [][]byte{hello, frameBytes(1, 5, field(2, []byte("\xff")))}},
	{"Stream: a Send with a create of an unknown enum", [][]byte{hello,
		framesOf(frameOf(1, &pb.SendRequest{Queue: "new", Create: &pb.QueueOptions{Durability: 9}}))}},
}

// badStreams notes what a stream is told that says what is wrong.
func (s *scene) badStreams(note func(string, error)) {
	for _, bad := range badStreams {
		note(bad.name, s.streamSays(bad.says...))
	}
}

// streamSays opens a stream, says what it is to say, and answers what the
// switch objects to: a frame, or the whole stream.
func (s *scene) streamSays(says ...[]byte) error {
	s.Helper()
	st, err := s.dial().NewStream(s.life(), &pb.DataService_ServiceDesc.Streams[0], pb.DataService_Attach_FullMethodName, grpc.ForceCodecV2(asBytes{}))
	if err != nil {
		s.Fatal(err)
	}
	for _, b := range says {
		if err := st.SendMsg(b); err != nil {
			break // RecvMsg knows why
		}
	}
	for {
		var res pb.AttachResponse
		if err := st.RecvMsg(&res); err != nil {
			return refusalOf(err)
		}
		for _, f := range res.GetFrames() {
			if f.GetFailure() != nil {
				return refusal{f.GetFailure()}
			}
		}
	}
}

// What is not protobuf is refused by gRPC itself, at every method.
func TestMalformedUnary(t *testing.T) {
	s := newScene(t, forms[0], transports[1], server.Config{})
	defer s.goOn()()
	conn := s.dial()
	refused := func(method string, request []byte) {
		t.Helper()
		err := conn.Invoke(s.Context(), method, request, &pb.LogoutResponse{}, grpc.ForceCodecV2(asBytes{}))
		if status.Code(err) != codes.Internal || !strings.Contains(status.Convert(err).Message(), "unmarshal") {
			t.Errorf("%s says %v", method, err)
		}
	}
	for _, service := range []grpc.ServiceDesc{pb.DataService_ServiceDesc, pb.AdminService_ServiceDesc} {
		for _, m := range service.Methods {
			refused("/"+service.ServiceName+"/"+m.MethodName, broken)
		}
	}
	notUTF8 := field(2, []byte("\xff"))
	refused(pb.DataService_Create_FullMethodName, notUTF8)
	refused(pb.DataService_Send_FullMethodName, notUTF8)
	refused(pb.DataService_Login_FullMethodName, notUTF8)
}

// A message far beyond the largest payload is refused by gRPC before it is
// read, in both forms; its sender goes on.
func TestFarTooLarge(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t, f, transports[1], server.Config{MaxPayload: maxBody})
			defer s.goOn()()
			p := s.client("p")
			p.create("q", nil)
			_, err := ask[proto.Message](p, &pb.SendRequest{Queue: "q", Body: make([]byte, 8<<20)})
			f := s.isRefusal(err, codes.ResourceExhausted, pb.Reason_REASON_UNSPECIFIED)
			s.has(f.GetMessage(), "larger than max", fmt.Sprint(maxBody+server.FrameOverhead))
			p = s.resume(p)
			p.send("q", "small")
			if n := s.waiting("q"); n != 1 {
				s.Errorf("%d messages, want the small one", n)
			}
		})
	}
}

// A stream message that can't be read to its end does nothing, or all that
// stands before: the frames of one batch are applied together.
func TestHalfAMessage(t *testing.T) {
	inFakeTime(t, forms[1], server.Config{}, func(s *scene) {
		first := framesOf(frameOf(1, sendTo("q", "1")), frameOf(2, sendTo("q", "2")))
		err := s.streamSays(hello, bytes.Join([][]byte{first, broken}, nil))
		if !isReason(err, pb.Reason_REASON_INVALID) {
			s.Errorf("the stream ended with %v", err)
		}
		if s.isThere("q") {
			s.Error("half of the message was applied")
		}
		var r refusal
		if !errors.As(err, &r) || codes.Code(r.GetCode()) != codes.InvalidArgument {
			s.Errorf("the stream ended with %v", err)
		}
	})
}
