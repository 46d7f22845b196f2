package rpc

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/client"
)

const (
	// maxDetails is the protocol's limit on the details of a failure, in bytes.
	maxDetails = 16 << 10
	// maxCause is the protocol's limit on the cause of a nack, in bytes.
	maxCause = 1024
	// maxMessage bounds the text of a failure, in bytes. With the details it stays
	// below what the switch takes of a failure in all (20 KiB).
	maxMessage = 2 << 10
)

// errPanicked is all that a caller learns of a panic: what was on the stack is
// not his business.
var errPanicked = status.Error(codes.Internal, "the handler panicked")

// failureOf is what the caller is told of a handler's error.
func failureOf(err error) client.Failure {
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err) // Unknown, if it's none
	}
	f := client.Failure{Code: s.Code(), Message: clip(s.Message(), maxMessage)}
	if f.Code == codes.OK || f.Code > codes.Unauthenticated {
		f.Code = codes.Unknown
	}
	size := 0
	details := s.Proto().GetDetails()
	for _, d := range details {
		size += proto.Size(d) + 4 // its tag and length
	}
	if size > maxDetails {
		f.Message += fmt.Sprintf(" (%d bytes of details left out: at most %d travel)", size, maxDetails)
		return f
	}
	f.Details = details
	return f
}

// clip cuts a text to at most n bytes of valid UTF-8, which is all that the wire
// takes.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") // a rune that was cut in two
}
