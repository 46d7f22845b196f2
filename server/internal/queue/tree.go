package queue

// Requests that a handler makes for the request that it works on are that
// request's children: they end with it, unless it ends well. Only requests with one
// caller, who waits in person, can be children: so all of them are in memory, and
// what has a key, and so may be others' too, is left to each of them. A message that has neither a parent nor children pays one look at a nil.

// MaxCallDepth bounds how deep calls nest: deeper, something calls itself.
const MaxCallDepth = 100

// kin is the place of a message in the tree of calls.
type kin struct {
	parent     ID       // as its sender said; it stays when that message is gone
	up         *Message // the parent; nil: there is none, or it is over
	first      *Message // the newest child
	next, prev *Message // siblings, older and younger
	children   int
	depth      int  // of the root: zero
	known      bool // it is in State.parents
}

// parent finds the message that op is sent for. Nil: there is none, or nobody
// holds it now. Then it was answered, or whoever worked on it has lost it and is
// told so: the request lives as long as its own caller waits.
func (op *Send) parent(s *State, sess *Session, caller *Queue) (*Message, error) {
	if op.Parent.IsZero() || caller == nil || op.Key != "" {
		return nil, nil
	}
	p := s.heldBy(sess, op.Parent)
	switch {
	case p == nil:
		return nil, nil
	case p.callerGone:
		return nil, errParentGone(p.ID)
	case p.kin != nil && p.kin.depth+1 >= MaxCallDepth:
		return nil, errorf(ErrLimitReached, "calls nest %d deep; does a server call itself?", MaxCallDepth).with("limit", "call_depth")
	}
	return p, nil
}

// lookBack is how many deliveries are looked at to find a message that somebody
// holds, the newest first: of one session, and of all. It bounds what a request may
// cost that names a parent which is over, or never was.
const lookBack = 4096

// heldBy finds a message that has had children, or that somebody holds. It looks
// at what sess holds first, which is where a handler's request is.
func (s *State) heldBy(sess *Session, id ID) *Message {
	if m := s.parents[id]; m != nil {
		return m
	}
	looked := 0
	for _, list := range [][]*Consumer{sess.consumers, sess.ending} {
		for _, c := range list {
			for m := c.held.tail; m != nil && looked < lookBack; m = m.heldPrev {
				if m.ID == id {
					return m
				}
				looked++
			}
		}
	}
	return s.leases.find(id, s.lastLease)
}

// adopt makes m, which is new, a child of p. Without p it only remembers who that
// was.
func (s *State) adopt(m, p *Message, parent ID) {
	m.kin = &kin{parent: parent}
	if p == nil {
		return
	}
	if p.kin == nil {
		p.kin = &kin{}
	}
	if up := p.kin; !up.known {
		if s.parents == nil {
			s.parents = map[ID]*Message{}
		}
		up.known = true
		s.parents[p.ID] = p
	}
	m.kin.depth, m.kin.up, m.kin.next = p.kin.depth+1, p, p.kin.first
	if m.kin.next != nil {
		m.kin.next.kin.prev = m
	}
	p.kin.first = m
	p.kin.children++
}

// leaveTree takes m, which is over, out of the tree: its children are roots now.
func (s *State) leaveTree(m *Message) {
	s.leaveParent(m)
	s.takeChildren(m)
	if m.kin.known {
		m.kin.known = false
		delete(s.parents, m.ID)
	}
}

// leaveParent makes m a root.
func (s *State) leaveParent(m *Message) {
	k := m.kin
	if k == nil || k.up == nil {
		return
	}
	if k.prev == nil {
		k.up.kin.first = k.next
	} else {
		k.prev.kin.next = k.next
	}
	if k.next != nil {
		k.next.kin.prev = k.prev
	}
	k.up.kin.children--
	k.up, k.next, k.prev = nil, nil, nil
}

// takeChildren makes m's children roots, oldest first.
func (s *State) takeChildren(m *Message) (children []*Message) {
	if m.kin == nil || m.kin.first == nil {
		return nil
	}
	for m.kin.first != nil {
		children = append(children, m.kin.first)
		s.leaveParent(m.kin.first)
	}
	sortByAge(children)
	return children
}

// endChildren ends what was taken of a parent that is over, and counts all that
// ends with it. What this causes may have ended some already.
func (s *State) endChildren(children []*Message, parent ID, fx *Effects) (n int) {
	for _, m := range children {
		if m.state != gone && !m.callerGone {
			n += s.abort(m, errParentGone(parent), fx)
		}
	}
	return n
}

// abort ends a request that its caller still waits for, and all that was called
// for it. The caller is told at once; whoever holds it is told too, and may finish
// it for nobody. It counts what ended.
func (s *State) abort(m *Message, why error, fx *Effects) (n int) {
	to, children, id := s.replyQueue(m), s.takeChildren(m), m.ID
	correlation := m.CorrelationID
	var waiters []waiter
	if m.keyed != nil {
		waiters = m.keyed.waiters
	}
	if m.state == leased {
		s.giveUp(m, why, fx)
	} else {
		s.note(MessageCancelled, m, why)
		s.remove(m, fx)
	}
	if to != nil && !to.destroyed {
		s.answer(to, s.message(Message{CorrelationID: correlation, Failure: &Failure{Err: why}, Sender: "switch"}), fx)
	}
	s.fail(waiters, why, fx)
	return 1 + s.endChildren(children, id, fx)
}

// Parent is the message that m was sent for; zero: none.
func (m *Message) Parent() ID {
	if m.kin == nil {
		return ID{}
	}
	return m.kin.parent
}

// Children is how many requests that were made for m are pending.
func (m *Message) Children() int {
	if m.kin == nil {
		return 0
	}
	return m.kin.children
}

func errParentGone(parent ID) *Error {
	return errorf(ErrParentGone, "call %s, which this one was made for, is over", parent).with("parent", parent.String())
}
