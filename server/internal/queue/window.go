package queue

import (
	"cmp"
	"slices"
)

// WindowSlots is how many sequences of a producer one Window holds.
const WindowSlots = 64

// Window is a part of a producer's sequences as a store keeps it: those from
// Part*WindowSlots on.
type Window struct {
	Producer string
	Part     uint64
	Seen     Instant
	Messages [WindowSlots]uint64 // message sequences; zero: not seen
}

// rememberOnDisk notes that the sequence of a producer has to be stored.
func (s *State) rememberOnDisk(p *producer, sequence uint64) {
	if !p.dirty {
		p.dirty, p.stored = true, true
		p.dirtyLow, p.dirtyTop = sequence, sequence
		s.dirt.producers = append(s.dirt.producers, p)
	}
	p.dirtyLow, p.dirtyTop = min(p.dirtyLow, sequence), max(p.dirtyTop, sequence)
}

// unsaved appends the parts of p that have changed.
func (p *producer) unsaved(ws []Window) []Window {
	for part := max(p.dirtyLow, p.low) / WindowSlots; part <= p.dirtyTop/WindowSlots; part++ {
		ws = append(ws, Window{Producer: p.name, Part: part, Seen: p.seen})
		w := &ws[len(ws)-1]
		for i := range w.Messages {
			if at := part*WindowSlots + uint64(i); at >= p.low && at <= p.high {
				w.Messages[i] = *p.slot(at)
			}
		}
	}
	return ws
}

// restoreWindows takes parts back: producers by their silence, longest first, and
// the parts of each in rising order, so that the window moves as it did.
func (s *State) restoreWindows(ws []Window) {
	var producers [][]Window
	for from := 0; from < len(ws); {
		to := from + 1
		for to < len(ws) && ws[to].Producer == ws[from].Producer {
			to++
		}
		slices.SortFunc(ws[from:to], func(a, b Window) int { return cmp.Compare(a.Part, b.Part) })
		producers = append(producers, ws[from:to])
		from = to
	}
	seen := func(ws []Window) Instant {
		var last Instant
		for i := range ws {
			last = max(last, ws[i].Seen)
		}
		return last
	}
	slices.SortStableFunc(producers, func(a, b []Window) int { return cmp.Compare(seen(a), seen(b)) })
	for _, ws := range producers {
		for i := range ws {
			ws[i].Seen = seen(ws)
			s.restoreWindow(&ws[i])
		}
	}
}

// restoreWindow takes one part back.
func (s *State) restoreWindow(w *Window) {
	for i, message := range w.Messages {
		if message != 0 {
			s.rememberAt(w.Producer, w.Part*WindowSlots+uint64(i), message, w.Seen)
		}
	}
	if p := s.producers[w.Producer]; p != nil {
		p.stored = true
	}
}
