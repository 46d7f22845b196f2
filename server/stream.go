package server

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

const (
	// chunkBytes is where one stream message ends and the next begins. Larger
	// ones gained nothing (docs/benchmarks.md, pipeline).
	chunkBytes = 64 << 10
	// lagBytes is how much of a stream gRPC may hold before the stream counts as
	// lagging. It is half of what gRPC takes before SendMsg blocks (64 KiB), so a
	// stranger's receive loop that flushes here never waits.
	lagBytes = 32 << 10
	// maxPending is how much may wait for a lagging peer before the switch stops
	// reading from it. Deliveries are bounded by credit besides.
	maxPending = 1 << 20
	// inPlaceFlushes bounds how long one receive loop works for another's stream.
	inPlaceFlushes = 4
	// appliedEvery is how many frames may be applied before a silent stream is
	// told, so that the client can forget them, and how many bytes of them.
	appliedEvery = 64
	appliedBytes = 1 << 20
)

// stream is one Attach stream: the Sink of its session and its consumers.
//
// Frames for it collect in pending. Whoever caused them flushes them in place,
// as one stream message each 64 KiB. Once gRPC holds too much of it unsent, the
// peer lags: from there on a flusher of the stream's own sends, until the peer
// has caught up.
type stream struct {
	s    *Server
	ss   grpc.ServerStream
	over chan error // gets the stream's end once all is sent; buffered, never closed

	// Guarded by the engine's lock.
	link    *link // nil before the Login
	scratch []byte

	inFlight atomic.Int64 // bytes that gRPC has and has not written

	mu          sync.Mutex // guards what is below
	pending     []outgoing // the last one is open, if it has no rest
	bytes       int        // in pending
	answersMade uint64     // in pending or sent
	applied     uint64     // of the link, as of the last batch
	told        frames.Progress
	untold      int  // bytes that were read since
	sending     bool // somebody is in SendMsg
	catchingUp  bool // the flusher runs
	ending      bool
	end         error // with ending: how the stream ends
	room        *sync.Cond
	headers     []frames.Header // scratch
}

// outgoing is a stream message to be.
type outgoing struct {
	data *[]byte
	rest mem.Buffer // what follows data: one large body; nil: nothing
}

func (o *outgoing) len() int {
	if o.rest != nil {
		return len(*o.data) + o.rest.Len()
	}
	return len(*o.data)
}

var (
	_ engine.Sink    = (*stream)(nil)
	_ mem.BufferPool = (*stream)(nil)
)

func newStream(s *Server, ss grpc.ServerStream) *stream {
	st := &stream{s: s, ss: ss, over: make(chan error, 1)}
	st.room = sync.NewCond(&st.mu)
	return st
}

// Deliver appends a delivery.
func (st *stream) Deliver(now queue.Instant, d *queue.Delivery) bool {
	m := d.Message
	var id [40]byte
	out := frames.Delivery{
		Consumer:      uint64(d.Consumer.ID),
		Lease:         uint64(d.Lease),
		MessageID:     alias(m.ID.Append(id[:0])),
		Queue:         d.Consumer.Queue.Name,
		Body:          m.Body,
		CorrelationID: m.CorrelationID,
		ReplyTo:       m.ReplyTo,
		Attempt:       uint32(m.Attempt()),
		TimeoutMS:     toMillis(m.TimeLeft(now)),
		LeaseMS:       m.LeaseLeft(now).Milliseconds(),
		AgeMS:         now.Sub(m.Sent).Milliseconds(),
		Failure:       st.s.encodedFailure(m.Failure),
		Part:          m.Part,
		End:           m.End,
		Stream:        m.Stream,
		Key:           m.Key(),
	}
	st.mu.Lock()
	st.headers = st.headers[:0]
	for _, h := range m.Headers {
		st.headers = append(st.headers, frames.Header(h))
	}
	out.Headers = st.headers
	var dirty bool
	if shared, ok := m.Buffer().(mem.Buffer); ok {
		dirty = st.addLarge(&out, m.Body, shared)
	} else {
		var buf *[]byte
		buf, dirty = st.open(len(m.Body))
		before := len(*buf)
		*buf = out.Append(*buf)
		st.bytes += len(*buf) - before
	}
	st.mu.Unlock()
	return dirty
}

// addLarge appends a delivery as a stream message of its own, without copying the
// body.
func (st *stream) addLarge(d *frames.Delivery, body []byte, buffer mem.Buffer) (dirty bool) {
	buffer.Ref()
	shared := &sharedBody{bytes: body, st: st, buffer: buffer}
	o := outgoing{data: chunks.get(0), rest: mem.NewBuffer(&shared.bytes, shared)}
	*o.data = d.AppendHead(*o.data)
	dirty = len(st.pending) == 0
	st.pending = append(st.pending, o)
	st.bytes += o.len()
	return dirty
}

// A sharedBody is the body of a message on its way to a peer, as the pool that it
// goes back to.
type sharedBody struct {
	bytes  []byte
	st     *stream
	buffer mem.Buffer
}

// Get is part of mem.BufferPool; nobody asks.
func (*sharedBody) Get(n int) *[]byte { return frames.Pool.Get(n) }

// Put is called once gRPC has written the body.
func (b *sharedBody) Put(*[]byte) {
	b.st.inFlight.Add(-int64(len(b.bytes)))
	b.buffer.Free()
}

// ConsumerEnded appends a notice.
func (st *stream) ConsumerEnded(c queue.ConsumerID, err error) bool {
	return st.notice(frames.EventConsumerEnded, 0, &pb.ConsumerEnded{Consumer: uint64(c), Failure: st.s.failure(err)})
}

// Cancelled appends a notice.
func (st *stream) Cancelled(c *queue.Cancelled) bool {
	return st.notice(frames.EventCancelled, 0, &pb.Cancelled{Consumer: uint64(c.Consumer), Lease: uint64(c.Lease)})
}

// Taken appends a notice.
func (st *stream) Taken(t *queue.Taken) bool {
	return st.notice(frames.EventWindow, 0, &pb.Window{Lease: uint64(t.Lease), ReplyTo: t.ReplyTo, CorrelationId: t.CorrelationID,
		ConsumedBytes: t.Bytes, ConsumedParts: t.Parts})
}

// SessionEnded ends the stream once what is pending is sent.
func (st *stream) SessionEnded(err error) bool {
	st.finish(st.s.status(err))
	return true
}

// finish ends the stream with a status once what is pending is sent. A peer
// that does not read has a moment to do so; then it does without.
func (st *stream) finish(status error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.ending {
		st.ending, st.end = true, status
		time.AfterFunc(goodbye, st.abandon)
	}
}

// abandon ends a stream that is finished, whatever is pending.
func (st *stream) abandon() {
	st.lose()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.signalEnd()
}

// Flush sends what is pending, or sees to it that somebody does.
func (st *stream) Flush() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for n := 0; ; n++ {
		switch {
		case st.sending || st.catchingUp:
			return // who is at it looks again
		case len(st.pending) == 0:
			st.signalEnd()
			return
		case n >= inPlaceFlushes || st.inFlight.Load() >= lagBytes:
			st.catchingUp = true
			st.s.streams.Add(1)
			go st.catchUp()
			return
		}
		if !st.sendOne() {
			return
		}
	}
}

// catchUp is the flusher of a lagging stream: SendMsg may block here. It ends
// when all is sent, or with the stream; Server.Close waits for it.
func (st *stream) catchUp() {
	defer st.s.streams.Done()
	st.mu.Lock()
	defer st.mu.Unlock()
	for len(st.pending) > 0 && st.sendOne() {
	}
	st.catchingUp = false
	st.signalEnd()
}

// signalEnd tells the handler when the stream is to end and all is sent.
func (st *stream) signalEnd() {
	if st.ending && len(st.pending) == 0 {
		select {
		case st.over <- st.end:
		default:
		}
	}
}

// sendOne sends the first pending stream message. The lock is free meanwhile.
func (st *stream) sendOne() bool {
	o := st.pending[0]
	st.pending[0] = outgoing{}
	st.pending = st.pending[1:]
	st.bytes -= o.len()
	if len(st.pending) == 0 {
		st.tell(&o) // the last one: the progress may be told as it is
	}
	st.sending = true
	st.mu.Unlock()
	st.inFlight.Add(int64(o.len()))
	err := st.ss.SendMsg(&frames.Outgoing{Data: o.data, Rest: o.rest, Pool: st})
	st.mu.Lock()
	st.sending = false
	st.room.Broadcast()
	if err != nil {
		// The stream is lost; the receive loop sees it too and detaches.
		st.drop()
		return false
	}
	return true
}

// tell adds the progress to a stream message: before it, if a body must follow.
func (st *stream) tell(o *outgoing) {
	p := st.progress()
	if o.rest == nil {
		*o.data = frames.AppendProgress(*o.data, p)
		return
	}
	head := o.data
	o.data = chunks.get(len(*head))
	*o.data = append(frames.AppendProgress(*o.data, p), *head...)
	chunks.put(head)
}

// progress is what has not been told.
func (st *stream) progress() (p frames.Progress) {
	if st.applied != st.told.Applied {
		p.Applied = st.applied
	}
	if st.answersMade != st.told.AnswersSent {
		p.AnswersSent = st.answersMade
	}
	st.told = frames.Progress{Applied: st.applied, AnswersSent: st.answersMade}
	st.untold = 0
	return p
}

// push appends an encoded frame. It reports whether the stream has become dirty.
func (st *stream) push(frame []byte) (dirty bool) {
	buf, dirty := st.open(len(frame))
	*buf = append(*buf, frame...)
	st.bytes += len(frame)
	return dirty
}

// open is the stream message to append a frame of about size bytes to. The stream
// is dirty if it is the first one.
func (st *stream) open(size int) (buf *[]byte, dirty bool) {
	n := len(st.pending)
	if n > 0 {
		if last := &st.pending[n-1]; last.rest == nil && len(*last.data)+size <= chunkBytes {
			return last.data, false
		}
	}
	buf = chunks.get(size)
	st.pending = append(st.pending, outgoing{data: buf})
	return buf, n == 0
}

// notice appends a frame that is no answer. It is not repeated after a
// reconnect. The stream's own lock is enough, so anybody may call it.
func (st *stream) notice(event frames.Event, tag uint64, m proto.Message) bool {
	frame, err := frames.AppendEvent(nil, tag, event, m)
	if err != nil {
		st.s.log.Error("encode a notice", "err", err)
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.push(frame)
}

// lose drops what is pending for a peer that is gone, and frees who waits.
func (st *stream) lose() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.drop()
	st.room.Broadcast()
}

// drop lets go of what is pending.
func (st *stream) drop() {
	for i := range st.pending {
		if rest := st.pending[i].rest; rest != nil {
			st.inFlight.Add(int64(rest.Len())) // Put takes it off
			rest.Free()
		}
	}
	st.pending, st.bytes = nil, 0
}

// batchApplied notes how far the client's frames were applied, with so many bytes
// more, and reports whether the stream has become dirty by it.
func (st *stream) batchApplied(tag uint64, bytes int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.applied = tag
	st.untold += bytes
	if tag-st.told.Applied < appliedEvery && st.untold < appliedBytes || len(st.pending) > 0 {
		return false
	}
	return st.push(nil)
}

// release appends answers that were held. With them that many were made.
func (st *stream) release(done []held, made uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, h := range done {
		if len(h.answer) > 0 {
			st.push(h.answer)
		}
	}
	st.answersMade = made
}

// waitRoom blocks the stream's own receive loop while too much is pending: who
// does not read is not read from.
func (st *stream) waitRoom() {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.bytes > maxPending {
		st.room.Wait()
	}
}

// Get is part of mem.BufferPool; the switch never asks.
func (st *stream) Get(n int) *[]byte { return chunks.get(n) }

// Put takes a stream message back once gRPC has written it.
func (st *stream) Put(b *[]byte) {
	st.inFlight.Add(-int64(len(*b)))
	chunks.put(b)
}

// chunkPool keeps the memory of stream messages.
type chunkPool struct{ pool sync.Pool }

var chunks chunkPool

// minChunk is more than gRPC's threshold for giving buffers back (1 KiB).
const minChunk = 4 << 10

// get is an empty buffer for a frame of about n bytes.
func (p *chunkPool) get(n int) *[]byte {
	if n > chunkBytes {
		b := frames.Pool.Get(n + frameOverhead/4) // headers and names come on top, and frames behind it
		*b = (*b)[:0]
		return b
	}
	if b, ok := p.pool.Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, minChunk)
	return &b
}

func (p *chunkPool) put(b *[]byte) {
	if cap(*b) <= 2*chunkBytes {
		p.pool.Put(b)
		return
	}
	frames.Pool.Put(b)
}

// loginTimeout is how long a stream may take to log in.
const loginTimeout = 10 * time.Second
