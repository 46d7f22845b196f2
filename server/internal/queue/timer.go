package queue

// timer is one deadline: of a waiting message, a delay, a lease, or a session. Each
// owner has one, which has at most one slot in the heap.
//
// Most deadlines never come: what they are for is over before, or they are moved to a
// later time. So a timer that is stopped or moved back keeps its slot, and whoever
// uses the owner's memory next sets the timer without a look at the heap. The slot
// goes where it belongs when it comes to the top. Memory that nobody will use again
// must leave the heap with drop.
type timer struct {
	at    Instant // zero: not set
	owner timed
	place place
}

// place is where a timer stands in the heap.
type place struct {
	at  Instant // never after the timer's, if that is set
	pos int32   // from 1; zero: nowhere
}

type timed interface{ due(*State, *Effects) }

// timers is a heap of four children a node: deadlines mostly come in rising
// order, so pushing is one comparison, and the tree stays shallow. The deadlines
// stand in it, so that comparing does not touch the timers.
type timers struct {
	slots   []slot
	running int // timers that are set; the others only have slots
}

type slot struct {
	at Instant
	t  *timer
}

// next is a time before which no timer is due; zero when none is set. What is due
// then may be nothing, as the first slot may be that of a timer that was stopped.
func (h *timers) next() Instant {
	if h.running == 0 {
		return 0
	}
	return h.slots[0].at
}

// set moves t to at; zero stops it.
func (h *timers) set(t *timer, at Instant, owner timed) {
	if at == 0 {
		h.stop(t)
		return
	}
	if t.at == 0 {
		h.running++
	}
	t.at, t.owner = at, owner
	switch {
	case t.place.pos == 0:
		h.slots = append(h.slots, slot{})
		h.up(len(h.slots)-1, slot{at, t})
	case at < t.place.at:
		h.up(int(t.place.pos)-1, slot{at, t})
	}
}

// stop says that t is not due any more.
func (h *timers) stop(t *timer) {
	if t.at != 0 {
		t.at = 0
		h.running--
	}
}

// drop stops t and takes its slot out.
func (h *timers) drop(t *timer) {
	h.stop(t)
	if t.place.pos == 0 {
		return
	}
	i, last := int(t.place.pos)-1, len(h.slots)-1
	moved := h.slots[last]
	h.slots[last] = slot{}
	h.slots = h.slots[:last]
	*t = timer{}
	if i < last {
		h.fix(i, moved)
	}
}

// first is the timer of the first slot, if its time has come or nothing is set, and
// whether it is due: it may have been stopped or moved since. Settle follows.
func (h *timers) first(now Instant) (t *timer, due bool) {
	if len(h.slots) == 0 || h.slots[0].at > now && h.running > 0 {
		return nil, false
	}
	t = h.slots[0].t
	return t, t.at == t.place.at
}

// settle moves the slot of t to where it belongs, or takes it out if t is stopped.
func (h *timers) settle(t *timer) {
	switch {
	case t.at == 0:
		h.drop(t)
	case t.at != t.place.at:
		h.down(int(t.place.pos)-1, slot{t.at, t})
	}
}

// fix puts s in the place of i, or where it belongs above or below that.
func (h *timers) fix(i int, s slot) {
	if i > 0 && s.at < h.slots[(i-1)/4].at {
		h.up(i, s)
	} else {
		h.down(i, s)
	}
}

func (h *timers) put(i int, s slot) {
	h.slots[i] = s
	s.t.place = place{s.at, int32(i + 1)}
}

// up puts s in the place of i or above; what is in its way comes down.
func (h *timers) up(i int, s slot) {
	for i > 0 && s.at < h.slots[(i-1)/4].at {
		h.put(i, h.slots[(i-1)/4])
		i = (i - 1) / 4
	}
	h.put(i, s)
}

// down puts s in the place of i or below; what is in its way comes up.
func (h *timers) down(i int, s slot) {
	for {
		least, at := i, s.at
		for c := 4*i + 1; c <= 4*i+4 && c < len(h.slots); c++ {
			if h.slots[c].at < at {
				least, at = c, h.slots[c].at
			}
		}
		if least == i {
			break
		}
		h.put(i, h.slots[least])
		i = least
	}
	h.put(i, s)
}
