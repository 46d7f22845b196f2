package crash_test

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// A mutant is a history as a queue would make it that breaks one promise. It is
// planted into a good history; nil means that this one has no place for it.
type mutant struct {
	name  string
	plant func([]event) []event
}

var mutants = []mutant{
	{"an acknowledged message is never delivered", func(h []event) []event {
		i := find(h, func(e event) bool { return e.kind == sent && e.sure })
		if i < 0 {
			return nil
		}
		lost := h[i].key
		return slices.DeleteFunc(h, func(e event) bool { return e.kind > sent && e.kind < crashed && e.key == lost })
	}},
	{"a message is enqueued twice, and delivered under a second id", func(h []event) []event {
		return again(h, func(e event) bool { return e.kind == delivered }, func(e *event) { e.id += "-twin" })
	}},
	{"a message acked for good is delivered again", func(h []event) []event {
		return again(h, func(e event) bool { return e.kind == acked && e.sure }, func(*event) {})
	}},
	{"a message is delivered that nobody sent", func(h []event) []event {
		return again(h, func(e event) bool { return e.kind == delivered }, func(e *event) { e.key.number = 1 << 40 })
	}},
	{"a message is delivered that was refused", func(h []event) []event {
		i := find(h, func(e event) bool { return e.kind == sent && e.sure })
		if i < 0 {
			return nil
		}
		return slices.Delete(h, i, i+1)
	}},
	{"a message is overtaken by all others", overtaken},
	{"a lease that has ended is acked for good", func(h []event) []event {
		i := find(h, func(e event) bool { return e.kind == released && e.sure })
		if i < 0 {
			return nil
		}
		ack := h[i]
		ack.kind, ack.call, ack.ret = acked, h[i].ret+1, h[i].ret+2
		return slices.Insert(h, i+1, ack)
	}},
}

// overtaken has the last message that was first delivered before any crash sent
// before all others. (A crash would excuse it: an earlier delivery may have gone
// to somebody who was not heard of.)
func overtaken(h []event) []event {
	last, seen := -1, map[key]bool{}
	for i, e := range h {
		if e.kind == crashed {
			break
		}
		if e.kind == delivered && !seen[e.key] {
			seen[e.key], last = true, i
		}
	}
	if len(seen) < 3 || slices.ContainsFunc(h, func(e event) bool { return e.kind == crashed && e.call < h[last].ret }) {
		return nil
	}
	i := find(h, func(e event) bool { return e.kind == sent && e.key == h[last].key })
	begin := h[0].call
	h[i].call, h[i].ret = begin-2, begin-1
	return h
}

// again plants a delivery of the message of a matching event at the very end.
func again(h []event, is func(event) bool, change func(*event)) []event {
	i := find(h, is)
	if i < 0 {
		return nil
	}
	last := h[len(h)-1].ret
	e := event{kind: delivered, key: h[i].key, id: h[i].id, lease: 1 << 50, party: "mutant", call: last + 1, ret: last + 2, sure: true}
	change(&e)
	return append(h, e)
}

func find(h []event, is func(event) bool) int { return slices.IndexFunc(h, is) }

// refuted plants every mutant that fits, and says how many of them the model
// refutes, and which of them it takes for good. Of the others it found no verdict
// in time: to refute one is a search through everything.
func refuted(h []event, credit int) (planted, noticed int, missed []string) {
	for _, m := range mutants {
		bad := m.plant(slices.Clone(h))
		if bad == nil {
			continue
		}
		planted++
		switch judge(bad, credit) {
		case porcupine.Illegal:
			noticed++
		case porcupine.Ok:
			missed = append(missed, m.name)
		case porcupine.Unknown:
		}
	}
	return planted, noticed, missed
}

// good is a history of one queue as it should be: 1 is acked for good, 2 comes
// back after a crash, 3 has no answer but was enqueued, 4 is released once, and 5
// was under way to its consumer when the crash came, so that 6 was seen first.
func good() []event {
	at := int64(0)
	next := func(e event) event {
		at += 10
		e.call, e.ret = at, at+5
		if e.party == "" {
			e.party = "c"
		}
		return e
	}
	k := func(n uint64) key { return key{"p", n} }
	send := func(n uint64, sure bool) event {
		return next(event{kind: sent, key: k(n), id: string(rune('a' + n)), sure: sure, party: "p"})
	}
	do := func(what kind, n, lease uint64, sure bool) event {
		return next(event{kind: what, key: k(n), id: string(rune('a' + n)), lease: lease, sure: sure})
	}
	return []event{
		send(1, true), send(2, true), send(3, false),
		do(delivered, 1, 1, true), do(acked, 1, 1, true),
		do(delivered, 2, 2, true), do(acked, 2, 2, false),
		do(delivered, 3, 3, true), do(acked, 3, 3, false),
		send(4, true), send(5, true), send(6, true),
		do(delivered, 4, 4, true), do(released, 4, 4, true),
		do(delivered, 4, 5, true), do(acked, 4, 5, true),
		do(delivered, 6, 6, true),
		next(event{kind: crashed, party: "disaster"}),
		do(delivered, 2, 7, true), do(acked, 2, 7, true),
		do(delivered, 5, 8, true), do(acked, 5, 8, false),
		do(acked, 6, 6, false), // of a lease that the crash has ended
		do(delivered, 6, 9, true), do(acked, 6, 9, false),
		next(event{kind: drained, party: "lane"}),
	}
}

func TestTheModelTakesAGoodHistory(t *testing.T) {
	if got := judge(good(), 2); got != porcupine.Ok {
		t.Errorf("the verdict is %s", got)
	}
}

func TestTheModelRefutesMutants(t *testing.T) {
	planted, noticed, missed := refuted(good(), 2)
	if planted != len(mutants) || noticed != planted {
		t.Errorf("%d of %d mutants were planted, %d noticed", planted, len(mutants), noticed)
	}
	for _, name := range missed {
		t.Errorf("nobody noticed that %s", name)
	}
}

// TestTheModelRefutesWhatDiffersByOneEvent has the histories that are closest to
// a good one.
func TestTheModelRefutesWhatDiffersByOneEvent(t *testing.T) {
	for name, change := range map[string]func([]event) []event{
		"redelivery without a crash": func(h []event) []event {
			return slices.DeleteFunc(h, func(e event) bool { return e.kind == crashed })
		},
		"more held than there is credit": func(h []event) []event {
			return slices.DeleteFunc(h, func(e event) bool { return e.kind == acked && e.ret < h[12].call })
		},
		"drained with one message left": func(h []event) []event { return slices.Delete(h, len(h)-2, len(h)-1) },
	} {
		if got := judge(change(good()), 2); got != porcupine.Illegal {
			t.Errorf("%s: the verdict is %s", name, got)
		}
	}
}
