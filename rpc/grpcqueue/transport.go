package grpcqueue

import (
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A transport is what grpc.SetHeader, SendHeader and SetTrailer find in the
// context of a handler: the metadata that it answers with.
type transport struct {
	// Set at construction.
	method string
	send   func(headers map[string]string) error // sends header metadata before any message; nil: it goes with the reply

	mu      sync.Mutex // guards what is below
	header  metadata.MD
	trailer metadata.MD
	sent    bool // the header was
}

var _ grpc.ServerTransportStream = (*transport)(nil)

var errHeaderSent = errors.New("the header metadata was sent before")

// Method is the full method.
func (t *transport) Method() string { return t.method }

// SetHeader adds header metadata, which goes with the first message or the reply.
func (t *transport) SetHeader(md metadata.MD) error {
	if err := checkMetadata(md); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent {
		return errHeaderSent
	}
	t.header = metadata.Join(t.header, md)
	return nil
}

// SendHeader sends the header metadata at once, where there is a stream.
func (t *transport) SendHeader(md metadata.MD) error {
	if err := t.SetHeader(md); err != nil || t.send == nil {
		return err
	}
	headers := t.takeHeader()
	if headers == nil {
		headers = map[string]string{}
	}
	headers[headerBody] = bodyNone
	return t.send(headers)
}

// SetTrailer adds trailer metadata.
func (t *transport) SetTrailer(md metadata.MD) error {
	if err := checkMetadata(md); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trailer = metadata.Join(t.trailer, md)
	return nil
}

// takeHeader gives the headers with the header metadata to whoever sends first; nil
// if there are none, or they were sent.
func (t *transport) takeHeader() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent || len(t.header) == 0 {
		t.sent = true
		return nil
	}
	t.sent = true
	headers := make(map[string]string, len(t.header)+1)
	putMetadata(headers, "", t.header)
	return headers
}

// replyHeaders are the headers of the final reply.
func (t *transport) replyHeaders(hasBody bool) map[string]string {
	headers := t.takeHeader()
	t.mu.Lock()
	defer t.mu.Unlock()
	if headers == nil && (len(t.trailer) > 0 || !hasBody) {
		headers = make(map[string]string, len(t.trailer)+1)
	}
	putMetadata(headers, ofTrailer, t.trailer)
	if !hasBody {
		headers[headerBody] = bodyNone
	}
	return headers
}
