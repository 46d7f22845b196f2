package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"reflect"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/client"
)

// An Encoding is how values travel as bodies; see [Handle] and [Invoke]. As a
// CallOption it says in a header that the body is of its kind.
type Encoding int

const (
	// JSON is what encoding/json makes of a value, and the protobuf JSON mapping of
	// a message. Fields that the reader does not know are skipped, so that either
	// side may grow first; an empty body is the zero value.
	JSON Encoding = iota + 1
	// Protobuf is the binary form of a protobuf message.
	Protobuf
)

// headerContentType says how a body is encoded.
const headerContentType = "content-type"

// ContentType is the media type, as IANA has it.
func (e Encoding) ContentType() string {
	switch e {
	case JSON:
		return "application/json"
	case Protobuf:
		return "application/protobuf"
	default:
		return "application/octet-stream"
	}
}

// String names the encoding in one word.
func (e Encoding) String() string {
	switch e {
	case JSON:
		return "JSON"
	case Protobuf:
		return "protobuf"
	default:
		return fmt.Sprintf("Encoding(%d)", int(e))
	}
}

// Headers that say no more than that. They are shared, and never changed.
var (
	jsonHeaders     = map[string]string{headerContentType: JSON.ContentType()}
	protobufHeaders = map[string]string{headerContentType: Protobuf.ContentType()}
)

func (e Encoding) headers() map[string]string {
	if e == Protobuf {
		return protobufHeaders
	}
	return jsonHeaders
}

func (e Encoding) applyToCall(m *client.Message) { withHeaders(e.headers()).applyToCall(m) }

// encodingOf is the encoding of a media type, by any of the names that are in
// use; zero if it is another.
func encodingOf(contentType string) Encoding {
	if contentType == JSON.ContentType() {
		return JSON
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0
	}
	switch {
	case media == "application/protobuf", media == "application/x-protobuf", media == "application/proto", media == "application/vnd.google.protobuf":
		return Protobuf
	case media == "application/json", strings.HasSuffix(media, "+json"):
		return JSON
	}
	return 0
}

// A codec puts values of one type into bodies, and takes them out.
type codec[T any] struct {
	message proto.Message // of the type T, to make others like it; nil if T is none
	pointer reflect.Type  // what T points to; nil if it is no pointer
}

func newCodec[T any]() codec[T] {
	var c codec[T]
	var zero T
	if m, is := any(zero).(proto.Message); is {
		c.message = m
	} else if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer {
		c.pointer = t.Elem()
	}
	return c
}

// mustMake panics if no value of T can be made: a *dynamicpb.Message alone does not
// know which message it is.
func (c *codec[T]) mustMake(caller string) {
	if c.message == nil {
		return
	}
	defer func() {
		if recover() != nil {
			panic(fmt.Sprintf("%s: %T does not say which message it is; take a generated type, or read the body of the Request", caller, c.message))
		}
	}()
	c.message.ProtoReflect().Type() // of a generated type this makes nothing
}

// fitting is the encoding for a value of T beside one that is encoded as e.
func (c *codec[T]) fitting(e Encoding) Encoding {
	if c.message == nil {
		return JSON
	}
	return e
}

// natural is the encoding for a value of T that nobody asked otherwise.
func (c *codec[T]) natural() Encoding { return c.fitting(Protobuf) }

// marshal puts v into a body. A message that is nil is an empty one.
func (c *codec[T]) marshal(e Encoding, v T) ([]byte, error) {
	switch m, _ := any(v).(proto.Message); {
	case e == Protobuf && c.message == nil:
		return nil, fmt.Errorf("%T is no protobuf message", v)
	case e == Protobuf:
		return proto.Marshal(m)
	case c.message != nil:
		b, err := protojson.Marshal(m)
		if err != nil {
			return nil, err
		}
		return compact(b), nil
	default:
		return json.Marshal(v)
	}
}

// compact takes out the blanks that protojson puts in here and there, so that
// nobody counts on them.
func compact(b []byte) []byte {
	var to bytes.Buffer
	if json.Compact(&to, b) != nil {
		return b
	}
	return to.Bytes()
}

// unmarshal takes a value out of a body. What is a pointer is never nil.
func (c *codec[T]) unmarshal(e Encoding, body []byte) (v T, err error) {
	switch {
	case c.message != nil:
		m := c.message.ProtoReflect().New().Interface()
		switch {
		case e == Protobuf:
			err = proto.Unmarshal(body, m)
		case len(body) > 0:
			err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, m)
		}
		return m.(T), err
	case e == Protobuf:
		return v, fmt.Errorf("%T is no protobuf message", v)
	case c.pointer != nil:
		p := reflect.New(c.pointer).Interface()
		if len(body) > 0 {
			err = json.Unmarshal(body, p)
		}
		return p.(T), err
	}
	if len(body) > 0 {
		err = json.Unmarshal(body, &v)
	}
	return v, err
}
