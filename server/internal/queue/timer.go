package queue

// timer is one deadline: of a waiting message, a delay, a lease, or a session.
// Each owner has one, so nothing stale is ever in the heap.
type timer struct {
	at    Instant // zero: not set
	pos   int32   // in the heap, from 1
	owner timed
}

type timed interface{ due(*State, *Effects) }

// timers is a heap of four children a node: deadlines mostly come in rising
// order, so pushing is one comparison, and the tree stays shallow. The deadlines
// stand in it, so that comparing does not touch the timers.
type timers []slot

type slot struct {
	at Instant
	t  *timer
}

// set moves t to at; zero takes it out.
func (h *timers) set(t *timer, at Instant, owner timed) {
	switch {
	case at == 0:
		h.stop(t)
	case t.pos == 0:
		t.at, t.owner = at, owner
		*h = append(*h, slot{})
		h.up(len(*h)-1, slot{at, t})
	default:
		t.at = at
		h.fix(int(t.pos)-1, slot{at, t})
	}
}

func (h *timers) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := int(t.pos)-1, len(*h)-1
	moved := (*h)[last]
	(*h)[last] = slot{}
	*h = (*h)[:last]
	*t = timer{}
	if i < last {
		h.fix(i, moved)
	}
}

// fix puts s in the place of i, or where it belongs above or below that.
func (h timers) fix(i int, s slot) {
	if i > 0 && s.at < h[(i-1)/4].at {
		h.up(i, s)
	} else {
		h.down(i, s)
	}
}

func (h timers) put(i int, s slot) {
	h[i] = s
	s.t.pos = int32(i + 1)
}

// up puts s in the place of i or above; what is in its way comes down.
func (h timers) up(i int, s slot) {
	for i > 0 && s.at < h[(i-1)/4].at {
		h.put(i, h[(i-1)/4])
		i = (i - 1) / 4
	}
	h.put(i, s)
}

// down puts s in the place of i or below; what is in its way comes up.
func (h timers) down(i int, s slot) {
	for {
		least, at := i, s.at
		for c := 4*i + 1; c <= 4*i+4 && c < len(h); c++ {
			if h[c].at < at {
				least, at = c, h[c].at
			}
		}
		if least == i {
			break
		}
		h.put(i, h[least])
		i = least
	}
	h.put(i, s)
}
