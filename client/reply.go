package client

import "github.com/d3b0a776/switch/proto/frames"

// Reply is what comes of a request of an [Inbox], which acks it.
type Reply struct {
	// Body is the payload. It may be empty.
	Body []byte
	// Headers are as sent. Nil when there are none.
	Headers map[string]string
	// Failure is set when the request failed; then Body means nothing.
	Failure *Failure
}

// An arrival is a reply that has come and was not settled.
type arrival struct {
	id    string // the request's; it lies in the stream message
	lease uint64
	reply Reply
}

// takeReply takes a reply for an inbox. Without a Delivery it costs half as much.
func (l *loop) takeReply(m *frames.Delivery, i *Inbox) error {
	r := Reply{Body: l.keep(m.Body), Headers: keepHeaders(m.Headers)}
	var err error
	if r.Failure, err = readFailure(m.Failure, r.Headers); err != nil {
		return err
	}
	i.note(l, arrival{m.CorrelationID, m.Lease, r})
	return nil
}

// keep is body in memory that lasts.
func (l *loop) keep(body []byte) []byte {
	switch {
	case len(body) == 0:
		return nil
	case len(body) > largeBody && l.in.Lasts(body):
		return body[:len(body):len(body)]
	}
	return append([]byte(nil), body...) // this does not clear the memory first
}

// keepHeaders is headers in memory that lasts; nil when there are none.
func keepHeaders(headers []frames.Header) map[string]string {
	if len(headers) == 0 {
		return nil
	}
	all := make(map[string]string, len(headers))
	for _, h := range headers {
		all[string([]byte(h.Key))] = string([]byte(h.Value))
	}
	return all
}

// readFailure decodes the failure of a reply with these headers; nil when it has
// none.
func readFailure(b []byte, headers map[string]string) (*Failure, error) {
	if b == nil {
		return nil, nil
	}
	f, err := decodeFailure(b)
	if err != nil {
		return nil, err
	}
	f.Headers = headers
	return f, nil
}
