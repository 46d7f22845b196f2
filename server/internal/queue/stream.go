package queue

// A stream is a request whose sender and whose holder may send each other parts
// while it is leased. Each half has an inbox, a temporary queue of its receiver.
// What waits there or is held, and is not acked, is what the switch keeps of a
// stream: the window of the inbox bounds it.
//
//	caller                                                   holder
//	Send ──────────────── request ──────────────────────────▶ lease
//	inbox ◀── up to a window of parts ── toCaller ◀──────────  Part{lease}
//	Part{reply to} ──────▶ toHolder ── up to a window ──────▶ inbox, named by a Part
//	inbox ◀──────────────── reply = the end, for both ───────  Reply
//
// Once a part has gone, the attempt can't be repeated: see Message.begun.
type stream struct {
	request  *Message
	toCaller Half // its queue is the request's caller
	toHolder Half // without a queue until the holder accepts parts
}

// A Half is one direction of a stream.
type Half struct {
	Sent                   uint64 // parts
	TakenParts, TakenBytes uint64 // of those, what the receiver has acked
	WindowParts            int    // what may be sent and not taken …
	WindowBytes            int    // … in bytes of bodies; one part always fits

	of                   *stream
	queue                *Queue // the receiver's inbox; nil: it takes no parts
	ended                bool   // no part follows
	asked                bool   // the sender waits for room
	toldParts, toldBytes uint64 // of what was taken, what the sender was told
}

// The window of an inbox that was made without limits of its own: enough to hide
// the way of a part and its ack, little enough for thousands of streams.
const (
	DefaultWindowBytes = 1 << 20
	DefaultWindowParts = 1024
)

// openStream makes the request m, whose caller is known, a stream.
func openStream(m *Message) {
	st := &stream{request: m}
	st.toCaller.open(st, m.caller)
	st.toHolder.of = st
}

// open lets the parts of h come to q.
func (h *Half) open(st *stream, q *Queue) {
	h.of, h.queue, q.inbox = st, q, h
	h.WindowBytes, h.WindowParts = q.Options.MaxBytes, q.Options.MaxMessages
	if h.WindowBytes == DefaultBytes {
		h.WindowBytes = DefaultWindowBytes
	}
	if h.WindowParts == DefaultMessages {
		h.WindowParts = DefaultWindowParts
	}
}

// close says that the receiver takes no more parts. What is in its inbox stays.
func (h *Half) close() {
	h.ended = true
	if h.queue != nil {
		h.queue.inbox, h.queue = nil, nil
	}
}

// end closes both halves: the request is gone, or nobody waits for its reply.
func (st *stream) end() {
	st.toCaller.close()
	st.toHolder.close()
}

// begun reports whether m, which is leased, is a stream of which parts have gone.
// Parts of the caller need one of the holder first.
func (m *Message) begun() bool {
	return m.Stream && m.caller != nil && m.caller.inbox.Sent > 0
}

// fits reports whether a part of n bytes may come to h's inbox.
func (h *Half) fits(n int) bool {
	q := h.queue
	return q.count() == 0 || q.count() < h.WindowParts && q.bytes+n <= h.WindowBytes
}

// tookPart counts a part that has left its inbox, and tells who sends them: each
// quarter of the window, so that one who keeps sending never waits, and at the end
// of what there is, if the sender waits for that.
func (s *State) tookPart(m *Message, fx *Effects) {
	h := m.queue.inbox
	if h == nil {
		return // the stream is over
	}
	h.TakenParts++
	h.TakenBytes += uint64(len(m.Body))
	if h.TakenParts-h.toldParts >= uint64(h.WindowParts+3)/4 || h.TakenBytes-h.toldBytes >= uint64(h.WindowBytes+3)/4 ||
		h.asked && h.TakenParts == h.Sent {
		h.tell(fx)
	}
}

// tell tells the sender of h's parts what was taken. A sender without a stream of
// its session learns it from the answer to its next Part.
func (h *Half) tell(fx *Effects) {
	m := h.of.request
	w := Taken{Parts: h.TakenParts, Bytes: h.TakenBytes}
	if h == &h.of.toCaller {
		w.Sink, w.Lease = m.holder.Session.sink, m.lease
	} else {
		w.Sink, w.ReplyTo, w.CorrelationID = m.caller.Owner.sink, m.caller.Name, m.CorrelationID
	}
	if w.Sink == nil {
		return
	}
	h.toldParts, h.toldBytes, h.asked = h.TakenParts, h.TakenBytes, false
	if last := len(fx.Taken) - 1; last >= 0 && fx.Taken[last].about(&w) {
		fx.Taken[last] = w // one Ack may take many
		return
	}
	fx.Taken = append(fx.Taken, w)
}
