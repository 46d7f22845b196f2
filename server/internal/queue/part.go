package queue

import (
	"slices"
	"strconv"
)

// Part sends one part of a stream: with Lease from the request's holder to its
// caller, else from its caller, to its holder. Body, unless it is lent, and Headers
// are kept.
type Part struct {
	Session       SessionID
	Lease         Lease
	Inbox         string // with Lease: from here on the caller may send parts, to this temporary queue
	ReplyTo       string // without Lease, with CorrelationID: the request
	CorrelationID string
	Number        uint64 // zero: the next one
	Body          []byte
	BodyLent      bool   // Body is copied
	Buffer        Buffer // that Body lies in, when it is to be freed
	Headers       []Header
	End           bool // no part of this half follows
	Ask           bool // send nothing, and tell once there is room
}

func (op *Part) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	if err := op.check(s); err != nil {
		return err
	}
	m, h, err := op.half(s, sess)
	if err != nil {
		return err
	}
	fx.Half = h
	if op.Ask {
		h.asked = h.TakenParts < h.Sent
		return nil
	}
	if op.Number != 0 && op.Number <= h.Sent {
		fx.Duplicate = true
		return nil
	}
	inbox, err := op.admit(s, sess, m, h)
	if err != nil {
		fx.Half = nil
		return err
	}
	if inbox != nil {
		h.of.toHolder.open(h.of, inbox)
	}
	s.begin(m, h, fx)
	op.put(s, sess, m, h, fx)
	return nil
}

// check looks at the fields alone.
func (op *Part) check(s *State) error {
	if n := len(op.Body); n > s.limits.PayloadBytes {
		return errorf(ErrPayloadTooLarge, "the part is %d bytes: this switch takes at most %d", n, s.limits.PayloadBytes).with("limit", "max_payload_bytes")
	}
	content := len(op.Body) > 0 || len(op.Headers) > 0 || op.End
	switch {
	case op.Lease != 0 && op.CorrelationID != "":
		return errorf(ErrInvalid, "a part with a lease is from the holder of a request, one with a correlation_id from its caller; leave one out")
	case op.Lease == 0 && (op.ReplyTo == "" || op.CorrelationID == ""):
		return errorf(ErrInvalid, "the part names no stream; give the lease of a request, or its reply_to and correlation_id")
	case op.Inbox != "" && content:
		return errorf(ErrInvalid, "a part that names a reply_to carries nothing else; send body, headers and end with the next one")
	case op.Ask && (content || op.Number != 0 || op.Inbox != ""):
		return errorf(ErrInvalid, "a part that asks for room carries nothing")
	}
	return checkHeaders(op.Headers)
}

// half finds the stream, and its half that op is for.
func (op *Part) half(s *State, sess *Session) (*Message, *Half, error) {
	if op.Lease != 0 {
		m, err := s.leaseOf(sess, op.Lease)
		switch {
		case err != nil:
			return nil, nil, err
		case !m.Stream:
			return nil, nil, errorf(ErrNoStream, "message %s was sent without stream; reply to it", m.ID).with("queue", m.queue.Name)
		case m.caller == nil:
			return nil, nil, errorf(ErrNoStream, "nobody waits for the parts of message %s any more: its caller has cancelled it, or is gone", m.ID).with("queue", m.queue.Name)
		}
		return m, m.caller.inbox, nil
	}
	r, err := s.queue(op.ReplyTo)
	switch {
	case err != nil:
		return nil, nil, err
	case r.Owner != sess:
		return nil, nil, errQueueNotYours(r)
	}
	m := r.pending[op.CorrelationID]
	if m == nil || !m.Stream {
		return nil, nil, errorf(ErrNoStream, "no stream with correlation_id %s is pending: it is answered or cancelled, or was sent without stream", quote(op.CorrelationID)).with("queue", r.Name)
	}
	h := &r.inbox.of.toHolder
	if h.queue == nil && !h.ended {
		return nil, nil, errorf(ErrNotAccepted, "nobody takes parts of stream %s yet; wait for the delivery that says so", quote(op.CorrelationID)).with("queue", m.queue.Name)
	}
	return m, h, nil
}

// admit says whether the part may go, and finds the inbox that it names.
func (op *Part) admit(s *State, sess *Session, m *Message, h *Half) (inbox *Queue, err error) {
	n := len(op.Body)
	switch {
	case op.Number > h.Sent+1:
		return nil, errorf(ErrPartGap, "part %d comes after part %d: one before it was refused, or never sent", op.Number, h.Sent).
			with("part", strconv.FormatUint(h.Sent, 10))
	case h.ended:
		return nil, errorf(ErrNoStream, "no part can follow: this half of the stream has ended after %d", h.Sent).with("queue", m.queue.Name)
	case !h.fits(n) && !op.small():
		h.queue.counters.Refused++
		return nil, errorf(ErrQueueFull, "%d parts of %d bytes wait for their receiver, whose window is %d parts of %d bytes; send this one again when it has taken some",
			h.queue.count(), h.queue.bytes, h.WindowParts, h.WindowBytes).with("queue", h.queue.Name).with("limit", "window")
	case s.bytes+n > s.limits.MemoryBytes:
		h.queue.counters.Refused++
		return nil, errorf(ErrLimitReached, "messages take %d bytes, and the switch has memory for %d; retry later", s.bytes, s.limits.MemoryBytes).with("limit", "memory")
	case op.Inbox == "":
		return nil, nil
	case h.of.toHolder.queue != nil || h.of.toHolder.ended:
		return nil, errorf(ErrInvalid, "the stream has been accepted already; name its reply_to once").with("queue", m.queue.Name)
	}
	return s.freeInbox(sess, op.Inbox)
}

// small reports whether the part is one that comes once and carries nothing, so
// that its sender need not wait for room: it accepts, or ends.
func (op *Part) small() bool {
	return op.Inbox != "" || op.End && len(op.Body)+len(op.Headers) == 0
}

// freeInbox finds a temporary queue of the session that can take a stream's parts.
func (s *State) freeInbox(sess *Session, name string) (*Queue, error) {
	q, err := s.queue(name)
	switch {
	case err != nil:
		return nil, err
	case q.Owner == nil:
		return nil, errorf(ErrInvalid, "reply_to %s is no temporary queue: the parts of a stream need one", quote(q.Name)).with("queue", q.Name)
	case q.Owner != sess:
		return nil, errQueueNotYours(q)
	case q.inbox != nil || len(q.pending)+len(q.joined) > 0 || q.count() > 0:
		return nil, errorf(ErrInvalid, "queue %s is in use: a stream needs a temporary queue that is empty and has no pending request; make another", quote(q.Name)).with("queue", q.Name)
	}
	return q, nil
}

// begin notes the first part of a stream. If the request is on disk, it is told
// there that no attempt is left, so that a restart does not begin it anew. Until
// that is synced the caller gets no part: he would get it again after a crash.
func (s *State) begin(m *Message, h *Half, fx *Effects) {
	if h.Sent > 0 || h != &h.of.toCaller || m.queue.id == 0 {
		return
	}
	m.attemptsStored = true
	fx.Changes = append(fx.Changes, Change{Kind: AttemptsCounted, Queue: m.queue, Message: m, Attempts: m.maxAttempts})
	fx.Sync = true
	if h.queue.awaits <= s.synced {
		s.awaiting = append(s.awaiting, h.queue)
	}
	h.queue.awaits = s.sequence + 1 // the part's
}

// deliverBegun delivers the first parts of the streams whose beginnings are on disk
// by now, and what came behind them.
func (s *State) deliverBegun(fx *Effects) {
	s.awaiting = slices.DeleteFunc(s.awaiting, func(q *Queue) bool {
		synced := q.awaits <= s.synced
		if synced && !q.destroyed {
			s.dispatch(q, fx)
		}
		return synced
	})
}

// put lets the part that was admitted go.
func (op *Part) put(s *State, sess *Session, m *Message, h *Half, fx *Effects) {
	p := s.newMessage()
	p.setBody(op.Body, op.BodyLent, op.Buffer)
	p.Headers, p.CorrelationID, p.Sender = op.Headers, m.CorrelationID, sess.Name
	if inbox := h.of.toHolder.queue; op.Inbox != "" {
		p.ReplyTo = inbox.Name
	}
	h.Sent++
	h.ended = op.End
	p.Part, p.End = h.Sent, op.End
	s.answer(h.queue, p, fx)
}

// errStreamBroken is for a request that would be tried again, had it not begun.
func errStreamBroken(m *Message, why error) *Error {
	because := "its server gave it back"
	if why != nil {
		because = why.Error()
	}
	return errorf(ErrStreamBroken, "attempt %d on queue %s had begun a stream, which can't be repeated: %s", m.Attempts, quote(m.queue.Name), because).
		with("queue", m.queue.Name).with("attempt", strconv.Itoa(m.Attempts))
}
