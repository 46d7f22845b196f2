package rpc

import (
	"context"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A Request is what a caller sends and a handler gets. A caller sets Queue, Body
// and Headers; [Serve] sets them all.
type Request struct {
	// Queue is the name of the queue that serves the request. Required.
	Queue string
	// Body is the payload, opaque to the switch; it may be empty. The switch's
	// limit is 1 MiB unless configured.
	Body []byte
	// Headers travel with the body, at most 64 and 16 KiB in all; nil means none.
	// Calls that a handler makes with its context have the traceparent and
	// tracestate of its request, unless they bring their own traceparent.
	// Names that begin with "switch-" are the switch's own. A handler must not
	// change them.
	Headers map[string]string

	// CorrelationID ties the reply to the request. It is unique among the pending
	// requests of one caller only, and empty when no reply is wanted.
	CorrelationID string
	// MessageID is the switch's name for the request, never used again. It is the
	// same on every attempt, so a handler can recognise work that it has done.
	MessageID string
	// Attempt counts the deliveries of this request, from 1.
	Attempt int
	// Key is the idempotency key that the caller gave it; see [WithKey]. Empty: none.
	Key string
	// ReplyWanted is false when the message was sent without a reply-to: then the
	// body that the handler returns goes nowhere.
	ReplyWanted bool

	delivery     *client.Delivery  // nil: it did not come from Serve
	stream       *streamJob        // nil: the caller takes one reply
	replyHeaders map[string]string // of the reply; nil: none
}

// Sent is when the request was sent, by this machine's clock: what has passed
// until the handler began was spent in the queue. It is zero for a request that
// [Serve] did not make.
func (r *Request) Sent() time.Time {
	if r.delivery == nil {
		return time.Time{}
	}
	return r.delivery.Sent()
}

// A Response is a reply.
type Response struct {
	// Body is the payload that the handler returned; it may be empty.
	Body []byte
	// Headers are those of the reply; nil means none.
	Headers map[string]string
}

// A Handler answers requests. Many run at once, up to [Concurrency].
//
// ctx ends at the caller's deadline, when the caller cancels the call or loses its
// session (then context.Cause is client.ErrCallerGone), when the lease on the request is lost (then
// context.Cause is client.ErrLeaseGone, or tells of a lost session), and when
// [Serve]'s drain is over. It carries the values of the context given to Serve.
//
// What it returns becomes the reply. An error that carries a gRPC status goes to
// the caller with code, message and details; context errors become
// DeadlineExceeded and Canceled, all others Unknown with their text. Without a
// reply-to, nil acknowledges the message, and an error sends it back to be
// tried again.
type Handler func(ctx context.Context, req *Request) ([]byte, error)

// message is what travels for a request.
func message(req *Request, opts []CallOption) client.Message {
	m := client.Message{Body: req.Body, Headers: req.Headers}
	apply(&m, opts)
	return m
}

// apply has the options change m.
func apply(m *client.Message, opts []CallOption) {
	if len(opts) == 1 {
		if after, is := opts[0].(timeout); is {
			m.Timeout = max(time.Duration(after), 1)
			return
		}
	}
	if len(opts) > 0 {
		*m = optioned(*m, opts)
	}
}

// optioned stands alone so that only a message with options moves to the heap.
func optioned(m client.Message, opts []CallOption) client.Message {
	for _, o := range opts {
		o.applyToCall(&m)
	}
	return m
}

// request is what the handler of d gets.
func request(d *client.Delivery) Request {
	return Request{
		Queue:         d.Queue,
		Body:          d.Body,
		Headers:       d.Headers,
		CorrelationID: d.CorrelationID,
		MessageID:     d.MessageID,
		Attempt:       d.Attempt,
		ReplyWanted:   d.ReplyTo != "",
		Key:           d.Key(),
		delivery:      d,
	}
}
