package frames

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// sameRequest compares our reading of an AttachRequest with that of the generated
// code.
func sameRequest(t *testing.T, b []byte) {
	t.Helper()
	ours, err := readRequest(b)
	same(t, b, ours, err, new(pb.AttachRequest))
}

// sameResponse is sameRequest for an AttachResponse.
func sameResponse(t *testing.T, b []byte) {
	t.Helper()
	ours, err := readResponse(b)
	same(t, b, ours, err, new(pb.AttachResponse))
}

// same compares with the generated code on the joined bytes. If it takes b as it
// is, it must say the same of that.
func same(t *testing.T, b []byte, ours proto.Message, err error, want proto.Message) {
	t.Helper()
	wantErr := known.Unmarshal(joined(b, want.ProtoReflect().Descriptor()), want)
	dropSessions(want)
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%x: ours says %v, the generated code %v", b, err, wantErr)
	}
	if err == nil && !proto.Equal(ours, want) {
		t.Errorf("%x: ours reads\n%v\nthe generated code\n%v", b, ours, want)
	}
	plain := want.ProtoReflect().New().Interface()
	if known.Unmarshal(b, plain) != nil {
		return
	}
	dropSessions(plain)
	if err != nil || !proto.Equal(ours, plain) {
		t.Errorf("%x: ours reads\n%v (%v)\nthe generated code, of pieces,\n%v", b, ours, err, plain)
	}
}

// readRequest reads it all: ours where there is ours, the generated code for the
// other verbs.
func readRequest(b []byte) (*pb.AttachRequest, error) {
	out := &pb.AttachRequest{}
	seen, err := ReadRequest(b, func(f *ClientFrame) (err error) {
		frame := &pb.ClientFrame{Tag: f.Tag, Quiet: f.Quiet}
		out.Frames = append(out.Frames, frame)
		switch f.Verb {
		case 0:
		case VerbSend:
			var m Send
			verb := &pb.ClientFrame_Send{}
			err = m.Unmarshal(f.Raw)
			frame.Verb = verb
			if err == nil {
				verb.Send, err = m.generated()
			}
		case VerbReply:
			var m Reply
			verb := &pb.ClientFrame_Reply{}
			err = m.Unmarshal(f.Raw)
			frame.Verb = verb
			if err == nil {
				verb.Reply, err = m.generated()
			}
		case VerbAck:
			var m Ack
			err = m.Unmarshal(f.Raw)
			frame.Verb = &pb.ClientFrame_Ack{Ack: m.generated()}
		case VerbPart:
			var m Part
			err = m.Unmarshal(f.Raw)
			frame.Verb = &pb.ClientFrame_Part{Part: m.generated()}
		default:
			err = readCold(frame, f.Verb, f.Raw)
		}
		return err
	})
	out.AnswersReceived = seen
	return out, err
}

// readResponse is readRequest for the other direction.
func readResponse(b []byte) (*pb.AttachResponse, error) {
	out := &pb.AttachResponse{}
	p, err := ReadResponse(b, func(f *ServerFrame) (err error) {
		frame := &pb.ServerFrame{Tag: f.Tag}
		out.Frames = append(out.Frames, frame)
		switch f.Event {
		case 0:
		case EventDelivery:
			var m Delivery
			event := &pb.ServerFrame_Delivery{}
			err = m.Unmarshal(f.Raw)
			frame.Event = event
			if err == nil {
				event.Delivery, err = m.generated()
			}
		case EventSend:
			var m Sent
			err = m.Unmarshal(f.Raw)
			frame.Event = &pb.ServerFrame_Send{Send: m.generated()}
		default:
			err = readCold(frame, f.Event, f.Raw)
		}
		return err
	})
	out.Applied, out.AnswersSent = p.Applied, p.AnswersSent
	return out, err
}

// readCold reads a verb or event that has no struct of ours.
func readCold(frame proto.Message, n protowire.Number, raw []byte) error {
	f := frame.ProtoReflect()
	fd := f.Descriptor().Fields().ByNumber(n)
	if fd == nil || fd.ContainingOneof() == nil {
		return errors.New("there is no such verb or event")
	}
	v := f.NewField(fd)
	f.Set(fd, v)
	return known.Unmarshal(raw, v.Message().Interface())
}

func dropSessions(m proto.Message) {
	r, ok := m.(*pb.AttachRequest)
	if !ok {
		return
	}
	for _, f := range r.Frames {
		switch v := f.Verb.(type) {
		case *pb.ClientFrame_Send:
			v.Send.Session = ""
		case *pb.ClientFrame_Reply:
			v.Reply.Session = ""
		case *pb.ClientFrame_Ack:
			v.Ack.Session = ""
		case *pb.ClientFrame_Part:
			v.Part.Session = ""
		}
	}
}

// handRead are the messages that our code walks.
var handRead = []protoreflect.Name{
	"AttachRequest", "ClientFrame", "SendRequest", "ReplyRequest", "AckRequest", "PartRequest",
	"AttachResponse", "ServerFrame", "Delivery", "SendResponse",
}

// piece is a field as it stands on the wire, or a singular message field with
// all its bytes.
type piece struct {
	field protoreflect.FieldDescriptor // nil: whole is what counts
	whole []byte
	body  []byte
}

// joined rewrites an encoded message as doc.go says that ours reads it: without
// the messages that another one of their oneof replaces, and with the pieces of
// the others joined. What is malformed stays malformed.
func joined(b []byte, d protoreflect.MessageDescriptor) []byte {
	if !slices.Contains(handRead, d.Name()) {
		return b
	}
	var pieces []piece
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeField(b)
		if size < 0 {
			size = len(b)
		}
		p := piece{whole: b[:size]}
		b = b[size:]
		if fd := d.Fields().ByNumber(n); fd != nil && fd.Message() != nil && !fd.IsMap() && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(p.whole)
			p.field = fd
			p.body, _ = protowire.ConsumeBytes(p.whole[tag:])
		}
		pieces = join(pieces, p)
	}
	var out []byte
	for _, p := range pieces {
		if p.field == nil {
			out = append(out, p.whole...)
			continue
		}
		out = protowire.AppendTag(out, p.field.Number(), protowire.BytesType)
		out = protowire.AppendBytes(out, joined(p.body, p.field.Message()))
	}
	return out
}

func join(pieces []piece, p piece) []piece {
	if p.field == nil || p.field.IsList() {
		return append(pieces, p)
	}
	for i := range pieces {
		q := &pieces[i]
		switch oneof := p.field.ContainingOneof(); {
		case q.field == nil:
		case q.field == p.field:
			q.body = slices.Concat(q.body, p.body)
			return pieces
		case oneof != nil && q.field.ContainingOneof() == oneof:
			*q = p
			return pieces
		}
	}
	return append(pieces, p)
}
