package queue

import (
	"slices"
	"strings"
)

// A call is a request: a message whose reply somebody wants. The part that accepts
// a stream names a queue for other parts, not for a reply: it is none.
func (m *Message) isCall() bool { return m.ReplyTo != "" && m.Part == 0 }

// EndCall ends a call by an operator's decision, and all that was called for it:
// its caller is told at once, and so is who holds it. Effects.Cancel says what it
// was, and Effects.Count how many others ended with it.
type EndCall struct {
	Call ID
	// At is where a CallScan has found it, under the same hold of the lock. Nil
	// looks at everything.
	At *Message
}

func (op *EndCall) apply(s *State, fx *Effects) error {
	m := op.At
	if m == nil || m.ID != op.Call || m.state == gone {
		m = s.Call(op.Call)
	}
	switch {
	case m == nil:
		return ErrNoCall(op.Call)
	case !m.isCall():
		return errorf(ErrNoReplyTo, "message %s is no call: it wants no reply; to take it off queue %s, purge it", op.Call, quote(m.queue.Name)).with("queue", m.queue.Name)
	}
	fx.Queue = m.queue
	if fx.Cancel = CancelWithdrawn; m.state == leased {
		fx.Cancel = CancelRunning
	}
	if m.callerGone { // it was cancelled before
		s.tellCancelled(m.holder, m, fx)
		return nil
	}
	why := errorf(ErrCallCancelled, "an operator cancelled the call on queue %s", quote(m.queue.Name)).with("queue", m.queue.Name)
	fx.Count = s.abort(m, why, fx) - 1
	return nil
}

// ErrNoCall says that a call is not, or no more, pending.
func ErrNoCall(id ID) error {
	return errorf(ErrMessageNotFound, "there is no call %s; it may be done", id)
}

// HeldMessage finds a message that somebody holds, or that has had children; nil if it
// is neither.
func (s *State) HeldMessage(id ID) *Message {
	if m := s.parents[id]; m != nil {
		return m
	}
	return s.leases.find(id, s.lastLease)
}

// Call finds a message in memory; nil if there is none. It takes time in
// proportion to what waits: see CallScan.
func (s *State) Call(id ID) (found *Message) {
	if found = s.HeldMessage(id); found == nil {
		scan := CallScan{Only: id}
		for more := true; more && found == nil; {
			more = scan.Next(s, tickBatch, func(m *Message) { found = m })
		}
	}
	return found
}

// A CallScan looks for calls, at so many messages at a time that the lock may be
// free between. A call that is there from the first look to the last is found,
// perhaps twice; one that comes or goes meanwhile may be.
//
// It looks through a queue's first deliveries, and then at what has left those:
// a call moves that way, and never back.
type CallScan struct {
	Queue  string // only this one
	Prefix string // only queues that begin so
	Only   ID     // only this message, be it a call or not

	queues []*Queue // still to be looked at; the first is under way
	begun  bool
	at     *Message // the last one of the first deliveries that was looked at …
	atID   ID       // … and its id: its memory may be another's by now
	after  ID       // what is older, or this one, was looked at
	walked bool     // out is what is left of this queue
	out    []seen
	mixed  bool        // out is in no order yet
	met    map[ID]bool // calls of this queue that were found
}

// seen is a message that was in its queue when it was looked at.
type seen struct {
	id ID
	m  *Message
}

// Next looks at up to most messages, and at the end of a queue takes note of all the
// calls that have left its first deliveries. It calls found for each call, and
// reports whether there is more to look at.
func (c *CallScan) Next(s *State, most int, found func(*Message)) (more bool) {
	if !c.begun {
		c.begin(s)
	}
	for n := 0; n < most; {
		switch {
		case len(c.queues) == 0:
			return false
		case c.queues[0].destroyed, c.walked && len(c.out) == 0:
			*c = CallScan{Queue: c.Queue, Prefix: c.Prefix, Only: c.Only, begun: true, queues: c.queues[1:]}
		case c.walked:
			c.Order()
			n++
			if m := c.out[0].m; m.ID == c.out[0].id && m.queue == c.queues[0] && m.state != gone {
				c.meet(m, found)
			}
			c.out = c.out[1:]
		default:
			n += c.walk(most-n, found)
			if c.mixed {
				return true
			}
		}
	}
	return true
}

// begin collects the queues that have something in memory, by name.
func (c *CallScan) begin(s *State) {
	c.begun = true
	for _, set := range []map[string]*Queue{s.queues, s.temporary} {
		for name, q := range set {
			if q.count() > q.spilled && strings.HasPrefix(name, c.Prefix) && (c.Queue == "" || name == c.Queue) {
				c.queues = append(c.queues, q)
			}
		}
	}
	slices.SortFunc(c.queues, func(a, b *Queue) int { return strings.Compare(a.Name, b.Name) })
}

// walk looks at some of a queue's first deliveries, oldest first, and at the end
// takes note of what has left those.
func (c *CallScan) walk(most int, found func(*Message)) (n int) {
	q := c.queues[0]
	m := q.waiting.head // where most of them leave: so it may well be the next one
	if at := c.at; at != nil && at.ID == c.atID && at.queue == q && at.state == waiting && at.place == 0 {
		m = at.next
	}
	for ; m != nil && n < most && (c.Only.IsZero() || !c.Only.Before(m.ID)); m = m.next {
		n++
		c.at, c.atID = m, m.ID
		if c.after.Before(m.ID) {
			c.after = m.ID
			c.meet(m, found)
		}
	}
	if n == most {
		return n
	}
	c.walked = true
	for _, m := range q.returned {
		c.note(m)
	}
	for m := q.out.head; m != nil; m = m.next {
		c.note(m)
	}
	c.mixed = len(c.out) > 1
	return n + 1
}

// note takes note of a message to be met.
func (c *CallScan) note(m *Message) {
	if c.wants(m) {
		c.out = append(c.out, seen{m.ID, m})
	}
}

// Order puts what the last Next took note of in order, oldest first. Many calls take
// long: so whoever holds a lock for Next should call Order when it does not. Else
// the next Next does.
func (c *CallScan) Order() {
	if !c.mixed {
		return
	}
	c.mixed = false
	slices.SortFunc(c.out, func(a, b seen) int {
		if a.id.Before(b.id) {
			return -1
		}
		return 1
	})
}

func (c *CallScan) wants(m *Message) bool {
	if !c.Only.IsZero() {
		return m.ID == c.Only
	}
	return m.isCall()
}

// meet calls found for a call that was not met before.
func (c *CallScan) meet(m *Message, found func(*Message)) {
	if !c.wants(m) || c.met[m.ID] {
		return
	}
	if c.met == nil {
		c.met = map[ID]bool{}
	}
	c.met[m.ID] = true
	found(m)
}
