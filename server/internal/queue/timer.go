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
// order, so pushing is one comparison, and the tree stays shallow.
type timers []*timer

// set moves t to at; zero takes it out.
func (h *timers) set(t *timer, at Instant, owner timed) {
	switch {
	case at == 0:
		h.stop(t)
	case t.pos == 0:
		t.at, t.owner = at, owner
		*h = append(*h, t)
		t.pos = int32(len(*h))
		h.up(len(*h) - 1)
	default:
		t.at = at
		h.fix(int(t.pos) - 1)
	}
}

func (h *timers) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := int(t.pos)-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	*t = timer{}
	if i < last {
		h.fix(i)
	}
}

func (h timers) fix(i int) {
	h.down(i)
	h.up(i)
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = int32(i+1), int32(j+1)
}

func (h timers) up(i int) {
	for i > 0 && h[i].at < h[(i-1)/4].at {
		h.swap(i, (i-1)/4)
		i = (i - 1) / 4
	}
}

func (h timers) down(i int) {
	for {
		least := i
		for c := 4*i + 1; c <= 4*i+4 && c < len(h); c++ {
			if h[c].at < h[least].at {
				least = c
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
