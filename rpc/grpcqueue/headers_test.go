package grpcqueue

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Metadata comes out as it went in, and header and trailer
// metadata of one reply stay apart.
func TestMetadataTravels(t *testing.T) {
	for name, c := range map[string]struct {
		md, want metadata.MD
		headers  map[string]string
	}{
		"one value":      {md: metadata.Pairs("a", "1"), headers: map[string]string{"a": "1"}},
		"several values": {md: metadata.Pairs("a", "1", "a", "", "a", "3"), headers: map[string]string{"a": "1", "a;2": "", "a;3": "3"}},
		"bytes":          {md: metadata.Pairs("a-bin", "\x00\xff", "a-bin", "x"), headers: map[string]string{"a-bin": "AP8", "a-bin;2": "eA"}},
		"odd keys":       {md: metadata.Pairs("2", "x", "a.b_c-d", "y"), headers: map[string]string{"2": "x", "a.b_c-d": "y"}},
		"the switch's names": {
			md: metadata.Pairs("switch-a", "1", "switch-a", "2"), headers: map[string]string{"/switch-a": "1", "/switch-a;2": "2"},
		},
		"a trace": {md: metadata.Pairs("traceparent", "00-1"), headers: map[string]string{"traceparent": "00-1"}},
		"what is of the connection": {
			md:   metadata.Pairs(":authority", "x", "content-type", "application/grpc", "grpc-timeout", "1S", "grpc-method", "/x/y", "grpc-body", "none", "a", "1"),
			want: metadata.Pairs("a", "1"), headers: map[string]string{"a": "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			headers := map[string]string{}
			putMetadata(headers, "", c.md)
			if !maps.Equal(headers, c.headers) {
				t.Errorf("headers %q, want %q", headers, c.headers)
			}
			putMetadata(headers, ofTrailer, metadata.Pairs("a", "trailer", "a", "again", "switch-a", "t", "b-bin", "\x01"))
			if c.want == nil {
				c.want = c.md
			}
			got, err := metadataOf(headers, "")
			if err != nil || !sameMD(got, c.want) {
				t.Errorf("header metadata %q (%v), want %q", got, err, c.want)
			}
			trailer, err := metadataOf(headers, ofTrailer)
			if want := metadata.Pairs("a", "trailer", "a", "again", "switch-a", "t", "b-bin", "\x01"); err != nil || !sameMD(trailer, want) {
				t.Errorf("trailer metadata %q (%v), want %q", trailer, err, want)
			}
		})
	}
}

// Headers that others have set are no metadata if they can't be, or are refused if
// they should be.
func TestHeadersThatAreNoMetadata(t *testing.T) {
	got, err := metadataOf(map[string]string{"switch-died": "x", "Not A Key": "x", "a;2": "without a first", "": "x", "pad-bin": "AA==",
		"lines": "one\ntwo", "umlaut": "ü", "mixed": "\x7f", "mixed;2": "~ "}, "")
	if want := metadata.Pairs("pad-bin", "\x00", "mixed", "~ "); err != nil || !sameMD(got, want) {
		t.Errorf("metadata %q (%v), want %q", got, err, want)
	}
	if _, err := metadataOf(map[string]string{"a-bin": "?"}, ""); status.Code(err) != codes.InvalidArgument {
		t.Errorf("what is not base64 gives %v, want InvalidArgument", err)
	}
}

func sameMD(a, b metadata.MD) bool { return maps.EqualFunc(a, b, slices.Equal[[]string]) }

// What gRPC does not carry is refused where it is sent, as grpc-go does, and not lost.
func TestMetadataThatDoesNotTravel(t *testing.T) {
	for _, md := range []metadata.MD{{"echo": {"Jürgen"}}, {"a": {"fine", "two\nlines"}}} {
		if err := checkMetadata(md); status.Code(err) != codes.Internal {
			t.Errorf("%v: %v", md, err)
		}
		var s transport
		if s.SetHeader(md) == nil || s.SetTrailer(md) == nil || len(s.header)+len(s.trailer) > 0 {
			t.Errorf("%v is taken for a reply", md)
		}
		ctx := metadata.NewOutgoingContext(t.Context(), md)
		if _, err := new(callInfo).request(ctx, "q", "/x/y"); status.Code(err) != codes.Internal {
			t.Errorf("%v is sent with a request: %v", md, err)
		}
	}
	if err := checkMetadata(metadata.Pairs("a", "~ ", "a-bin", "\x00\xff")); err != nil {
		t.Error(err)
	}
}
