package crash_test

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkBound is how long one history may be judged. Most take a tenth of a second;
// a bad one takes some seconds under the race detector.
const checkBound = 15 * time.Second

// judge says whether a history is one of a queue that keeps its promises: some
// order of its events, each within its time, is what the model does.
func judge(events []event, credit int) porcupine.CheckResult {
	ops := operations(events)
	return porcupine.CheckOperationsTimeout(model(credit, elders(ops)), ops, checkBound)
}

// The model is a queue with leases. Each message is in one phase.
type phase byte

const (
	absent   phase = iota
	waiting        // never delivered
	hidden         // leased to somebody who was not heard of: a younger one was delivered
	leased         // delivered, and held
	done           // acked, but a crash may bring it back
	doubtful       // it was done when a crash came: it is gone, or comes back
	returned       // its lease has ended: it must be delivered again
	gone           // acked for good
)

// A place is what the model knows of one message. It is a value, so that states
// can be compared.
type place struct {
	phase phase
	id    uint8  // which of the ids under which the message was seen; zero: none yet
	lease uint16 // which of the leases
}

// mostMessages bounds the messages of one history: states are arrays.
const mostMessages = 64

// A state is the whole queue.
type state [mostMessages]place

// A step is an event in the model's words: the message, id and lease are
// numbered within the history.
type step struct {
	event   event
	message int
	id      uint8
	lease   uint16
	credit  int                // what all consumers together may hold
	elders  *[mostMessages]set // of each message, those that were surely sent before it
}

// A set is one of messages, by their numbers.
type set uint64

// operations numbers what the events name, and puts them into porcupine's words.
func operations(events []event) []porcupine.Operation {
	messages := map[key]int{}
	ids := map[key]map[string]uint8{}
	leases := map[uint64]uint16{}
	parties := map[string]int{}
	var ops []porcupine.Operation
	for _, e := range events {
		s := step{event: e}
		if e.kind != crashed && e.kind != drained {
			s.message = number(messages, e.key, 0)
			if ids[e.key] == nil {
				ids[e.key] = map[string]uint8{}
			}
			if e.id != "" {
				s.id = number(ids[e.key], e.id, 1)
			}
			s.lease = number(leases, e.lease, 1)
		}
		ops = append(ops, porcupine.Operation{ClientId: number(parties, e.party, 0), Input: s, Call: e.call, Return: e.ret})
	}
	return ops
}

// number counts what it has not seen before.
func number[K comparable, N int | uint8 | uint16](seen map[K]N, k K, from N) N {
	n, ok := seen[k]
	if !ok {
		n = N(len(seen)) + from
		seen[k] = n
	}
	return n
}

// elders finds the order of the line: whose Send had its answer before another's
// began is before that in line. Between others there is an order, too, but it
// shows with their first deliveries, and the model need not guess.
func elders(ops []porcupine.Operation) *[mostMessages]set {
	all := new([mostMessages]set)
	for _, op := range ops {
		in := op.Input.(step)
		for _, before := range ops {
			if is := before.Input.(step); in.event.kind == sent && is.event.kind == sent && before.Return < op.Call {
				all[in.message] |= 1 << is.message
			}
		}
	}
	return all
}

func model(credit int, elders *[mostMessages]set) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(from, input, _ any) (bool, any) {
			s, in := from.(state), input.(step)
			in.credit, in.elders = credit, elders
			ok := s.take(in)
			return ok, s
		},
		DescribeOperation: func(input, _ any) string { return input.(step).event.String() },
	}
}

// take does one event, or says that it can't happen now.
func (s *state) take(in step) bool {
	p := &s[in.message]
	sure, same := in.event.sure, p.phase == leased && p.lease == in.lease
	switch in.event.kind {
	case sent:
		if p.phase != absent {
			return false
		}
		*p = place{phase: waiting, id: in.id}
		return true
	case delivered:
		return s.deliver(p, in)
	case acked:
		switch {
		case same && sure:
			p.phase = gone
		case same:
			p.phase = done
		}
		return same || !sure
	case released:
		if same {
			p.phase = returned
		}
		return same || !sure
	case crashed:
		s.crash()
		return true
	case drained:
		return s.drain()
	}
	panic(fmt.Sprintf("an event of kind %d", in.event.kind))
}

// deliver leases a message: the first in line, or one whose lease has ended. All
// consumers together hold no more than their credit.
func (s *state) deliver(p *place, in step) bool {
	switch p.phase {
	case waiting:
		s.pass(in.elders[in.message])
	case returned, doubtful:
	default:
		return false
	}
	if p.id != 0 && p.id != in.id {
		return false // the same message was there before under another id
	}
	*p = place{phase: leased, id: in.id, lease: in.lease}
	held := 0
	for i := range s {
		if ph := s[i].phase; ph == leased || ph == hidden {
			held++
		}
	}
	return held <= in.credit
}

// pass delivers past those who are before in line. They must have been leased
// before.
func (s *state) pass(elders set) {
	for i := range s {
		if elders&(1<<i) != 0 && s[i].phase == waiting {
			s[i].phase = hidden
		}
	}
}

// crash ends all leases. What was not on disk may be undone.
func (s *state) crash() {
	for i := range s {
		switch p := &s[i]; p.phase {
		case leased, hidden:
			p.phase = returned
		case done:
			p.phase = doubtful
		default:
		}
	}
}

// drain is true if nothing is left, and what was done is then on disk.
func (s *state) drain() bool {
	for i := range s {
		switch p := &s[i]; p.phase {
		case waiting, hidden, leased, returned:
			return false
		case done, doubtful:
			p.phase = gone
		default:
		}
	}
	return true
}
