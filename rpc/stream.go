package rpc

import (
	"context"
	"sync"

	"github.com/d3b0a776/switch/client"
)

// A Part is one part of a stream.
type Part struct {
	// Body is the payload; it may be empty. The switch's limit is 1 MiB unless
	// configured.
	Body []byte
	// Headers travel with the body; limits as those of a request. Nil means none.
	Headers map[string]string
}

// A Stream is a call whose request and reply may come in parts: on the caller's side
// made by [Caller.Stream], on the handler's answered by [Request.Stream]. Parts
// arrive in order and once, or the call fails: with client.ErrStreamBroken if its
// server was lost after the first one.
//
// What was sent and not received stays within a window, 1 MiB and 1,024 parts unless
// [Window] says otherwise: a slow receiver makes its sender wait, and nobody else.
//
// One goroutine may Send while another one Receives. CloseSend and Close may be
// called from any.
type Stream struct {
	// Set at construction.
	queue string
	ctx   context.Context // of the call or of the handler
	side  side
	in    inflow
}

// A side is what the caller's and the handler's ends of a stream do differently.
type side interface {
	// sender waits until parts can be sent, and answers who does that.
	sender() (*client.PartSender, error)
	// failed is what Send answers when its sender did so.
	failed(error) error
	// take waits for the next part, and acks it, which lets more come.
	take() (*client.Delivery, error)
	closeSend() error
	close() error
	reply() *Response
	outcome() error
}

// Send sends a part, once there is room for it. It keeps nothing of p.
//
// On the caller's side it waits until the handler has received for the first time;
// and it answers io.EOF when the handler takes no more parts: Receive tells how the
// call ended. Any other error is an *[Error]. One about the part itself, which may
// be too large, leaves the stream as it is.
func (s *Stream) Send(p Part) error {
	out, err := s.side.sender()
	if err != nil {
		return err
	}
	if err := out.Send(s.ctx, client.Part(p)); err != nil {
		return s.side.failed(err)
	}
	return nil
}

// CloseSend says that no further part will be sent; it does not wait. The handler
// receives io.EOF after the last one. A handler need not call it: to return ends its
// half.
func (s *Stream) CloseSend() error { return s.side.closeSend() }

// Receive waits for the next part. On the handler's side it answers io.EOF when the
// caller sends no more. On the caller's side it answers io.EOF when the reply has
// come, see Reply, and an *[Error] when the call failed; both after the parts that
// were sent before. If the call's or the handler's context has ended, it says so at
// once.
func (s *Stream) Receive() (Part, error) {
	d, err := s.side.take()
	if err != nil {
		return Part{}, err
	}
	return Part{Body: d.Body, Headers: d.Headers}, nil
}

// Reply is what the handler returned, on the caller's side once Receive has answered
// io.EOF. Before, and on the handler's side, it is nil.
func (s *Stream) Reply() *Response { return s.side.reply() }

// Context is the handler's on its side. On the caller's side it ends when the call
// is over, also if nobody receives, and never later than the context that the call
// was made with.
func (s *Stream) Context() context.Context { return s.ctx }

// Err is how the call ended, on the caller's side once Context has: nil with a reply,
// else what Receive answers after the last part. Before, and on the handler's side,
// it is nil.
func (s *Stream) Err() error { return s.side.outcome() }

// Close gives the call up if it is not over: the handler's context ends. It is
// idempotent, and does not wait for the switch. A stream whose Receive has answered
// an error needs none. On the handler's side nothing more is sent or received; to
// return does the same.
func (s *Stream) Close() error { return s.side.close() }

// inflow is what has come and was not received.
type inflow struct {
	more chan struct{} // capacity 1: there is something new; never closed

	mu    sync.Mutex
	last  uint64 // number of the last part that came
	parts []*client.Delivery
	end   error // what is received after parts; nil: more may come
	cut   error // what is received at once
}

// put takes the part of a number on the receive loop. It is false if one is missing
// before it.
func (f *inflow) put(number uint64, d *client.Delivery) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last++; number != f.last {
		return false
	}
	if len(d.Body) > 0 || len(d.Headers) > 0 || !d.End() && d.ReplyTo == "" {
		f.parts = append(f.parts, d)
		f.wake()
	} else {
		_ = d.Ack() // it only says something
	}
	return true
}

// finish says what is received after the parts.
func (f *inflow) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end == nil {
		f.end = err
	}
	f.wake()
}

// cutOff says what is received from now on.
func (f *inflow) cutOff(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut == nil {
		f.cut, f.parts = err, nil
	}
	f.wake()
}

func (f *inflow) wake() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take waits for the next part. Neither part nor error: done was closed.
func (f *inflow) take(done <-chan struct{}) (*client.Delivery, error) {
	for {
		if d, err := f.next(); d != nil || err != nil {
			return d, err
		}
		select {
		case <-f.more:
		case <-done:
			return nil, nil
		}
	}
}

// next is the next part, the error that is to be received, or neither.
func (f *inflow) next() (*client.Delivery, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.cut != nil:
		return nil, f.cut
	case len(f.parts) == 0:
		return nil, f.end
	}
	d := f.parts[0]
	f.parts[0] = nil
	if f.parts = f.parts[1:]; len(f.parts) == 0 {
		f.parts = nil
	}
	return d, nil
}

// Window bounds how many bytes of parts may be on their way to this side of a
// stream: at the switch, and here before Receive. One part, of any size, always may.
// Zero means 1 MiB. Calls of one reply do not mind it.
func Window(bytes int) Option { return window(bytes) }

type window int

func (window) applyToCall(*client.Message)            {}
func (n window) applyToServe(conf *serveConfig)       { conf.window = int(n) }
func (n window) inbox() (o client.StreamInboxOptions) { o.WindowBytes = max(int(n), 0); return o }
