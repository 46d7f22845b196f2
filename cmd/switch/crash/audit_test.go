package crash_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// audit checks a history without the model, of whatever length: in plain words,
// one promise after the other.
func audit(t *testing.T, queue string, events []event) {
	a := auditor{ids: map[key]string{}, sent: map[key]bool{}, done: map[key]bool{}, goneAt: map[key]int64{},
		released: map[key][]event{}, seen: map[key]event{}, last: map[string]event{}}
	for _, e := range events {
		a.note(e)
	}
	// A consumer hears of one delivery after the other: its events end in that
	// order, whenever it began to wait for them.
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.ret, b.ret) })
	for i, e := range events {
		if broken := a.check(e); broken != "" {
			t.Errorf("queue %s: %s:%s", queue, broken, list(around(events, i, e.key)))
			return
		}
	}
	for k := range a.sent {
		if !a.done[k] {
			t.Errorf("queue %s: %s was acknowledged, and nobody ever acked it:%s", queue, k, list(around(events, 0, k)))
			return
		}
	}
}

type auditor struct {
	ids      map[key]string
	sent     map[key]bool    // acknowledged
	done     map[key]bool    // acked by somebody
	goneAt   map[key]int64   // acked for good by then
	released map[key][]event // given back
	crashes  []event
	seen     map[key]event    // its last delivery so far
	last     map[string]event // the last delivery of a producer's to a consumer so far
}

// note takes in what holds for all the time.
func (a *auditor) note(e event) {
	switch {
	case e.kind == sent && e.sure:
		a.sent[e.key] = true
	case e.kind == acked:
		a.done[e.key] = true
		if at, ok := a.goneAt[e.key]; e.sure && (!ok || e.ret < at) {
			a.goneAt[e.key] = e.ret
		}
	case e.kind == released:
		a.released[e.key] = append(a.released[e.key], e)
	case e.kind == crashed:
		a.crashes = append(a.crashes, e)
	}
}

// check says which promise an event breaks.
func (a *auditor) check(e event) (broken string) {
	if e.id != "" {
		if id := a.ids[e.key]; id != "" && id != e.id {
			return e.key.String() + " was enqueued twice, as " + id + " and " + e.id
		}
		a.ids[e.key] = e.id
	}
	if e.kind != delivered {
		return ""
	}
	before, again := a.seen[e.key]
	a.seen[e.key] = e
	if at, gone := a.goneAt[e.key]; gone && e.call > at {
		return e.key.String() + " was acked for good, and delivered again"
	}
	if again && !a.excused(e.key, before, e) {
		return e.key.String() + " was delivered again though no lease had ended"
	}
	if len(a.released) > 0 {
		return "" // what was given back comes out of order
	}
	lane := e.party + " of " + e.key.producer
	prior, any := a.last[lane]
	a.last[lane] = e
	// What was under way together may come in any order; each burst is 4 long.
	if any && prior.key.number > e.key.number+4 && !a.crashedBetween(prior.call, e.ret) {
		return e.key.String() + " was delivered after " + prior.key.String()
	}
	return ""
}

// excused says whether something has ended the lease of the one that came first.
// Which that was, the times do not always tell.
func (a *auditor) excused(k key, first, second event) bool {
	for _, e := range a.released[k] {
		if (e.lease == first.lease || e.lease == second.lease) && e.call < max(first.ret, second.ret) {
			return true
		}
	}
	return a.crashedBetween(min(first.call, second.call), max(first.ret, second.ret))
}

func (a *auditor) crashedBetween(from, to int64) bool {
	return slices.ContainsFunc(a.crashes, func(e event) bool { return e.call < to && e.ret > from })
}

// around are the events of one key, with the crashes, and those before the
// breach.
func around(events []event, at int, k key) []event {
	var some []event
	for i, e := range events {
		if e.key == k || e.kind >= crashed || i > at-5 && i <= at {
			some = append(some, e)
		}
	}
	return some
}

// list writes events one a line.
func list(events []event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("\n\t" + e.String())
	}
	return b.String()
}
