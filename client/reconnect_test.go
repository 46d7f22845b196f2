package client_test

import (
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// A step is something that a program does with the switch while its connection
// breaks at one of some frames, and what must come of it all the same.
type step struct {
	name   string
	run    func(*rig)
	frames []spot
}

// A spot is a frame whose message a cut hits.
type spot struct {
	dir   direction
	frame string // empty: the first message
	first string // the cut waits until this frame has gone up; empty: no
}

func (s spot) String() string {
	switch {
	case s.first != "":
		return "after " + s.first
	case s.frame == "":
		return s.dir.String() + " any"
	}
	return s.dir.String() + " " + s.frame
}

// plan is the cuts that hit the spot once.
func (s spot) plan(p place, part int, how breakage) (plan []cut) {
	if s.first != "" {
		plan = append(plan, cut{dir: upward, frame: s.first})
	}
	return append(plan, cut{dir: s.dir, frame: s.frame, place: p, part: part, how: how})
}

// asked is the spots of a verb that is answered.
func asked(verb string) []spot {
	return []spot{{dir: upward, frame: verb}, {dir: downward, frame: verb}}
}

// told is the spots of a quiet verb: itself, and what the switch says next.
func told(verb string) []spot {
	return []spot{{dir: upward, frame: verb}, {dir: downward, first: verb}}
}

// steps are all verbs.
var steps = []step{
	{"login", stepLogin, asked("login")},
	{"create", stepCreate, asked("create")},
	{"create temporary", stepCreateTemporary, asked("create")},
	{"send", stepSend, asked("send")},
	{"send in the first message", stepSend, []spot{{dir: upward, frame: "send", first: "login"}}},
	{"send much", stepSendMuch, asked("send")},
	{"send together", stepSendTogether, asked("send")},
	{"send to nowhere", stepSendNowhere, []spot{{dir: upward, frame: "send"}, {dir: downward, frame: "failure"}}},
	{"destroy", stepDestroy, asked("destroy")},
	{"close", stepClose, asked("logout")},

	{"subscribe", stepSubscribe, asked("subscribe")},
	{"subscribe to much", stepSubscribeMuch, append(asked("subscribe"), spot{dir: downward, frame: "delivery"})},
	{"receive", stepReceive, []spot{{dir: downward, frame: "delivery"}}},
	{"ack", stepAck, told("ack")},
	{"ack and wait", stepAckWait, asked("ack")},
	{"retry", stepRetry, asked("nack")},
	{"release", stepRelease, asked("nack")},
	{"reject", stepReject, asked("nack")},
	{"extend", stepExtend, asked("extend")},
	{"unsubscribe", stepUnsubscribe, asked("unsubscribe")},

	{"first call", stepFirstCall, append(asked("create"), asked("subscribe")...)},
	{"call", stepCall, []spot{{dir: upward, frame: "send"}, {dir: downward, frame: "delivery"}}},
	{"call acks its reply", stepReplyAcked, told("ack")},
	{"requests", stepRequests, []spot{{dir: upward, frame: "send"}, {dir: downward, frame: "delivery"}}},
	{"request to nowhere", stepRequestNowhere, []spot{{dir: upward, frame: "send"}, {dir: downward, frame: "failure"}}},
	{"cancel", stepCancel, told("cancel")},
	{"reply", stepReply, told("reply")},
	{"reply and wait", stepReplyWait, asked("reply")},
	{"serve", stepServe, append(told("reply"), spot{dir: downward, frame: "delivery"})},
	{"work long", stepWorkLong, asked("extend")},
}

// A trial is a step with the cuts that it must bear.
type trial struct {
	name string
	run  func(*rig)
	plan []cut
}

// trials are all steps with one cut, at all frames, places and breakages; and
// those of again with a second cut while the session is resumed.
func trials() (all []trial) {
	for _, s := range steps {
		for _, at := range s.frames {
			for _, p := range []place{beforeIt, insideIt, afterIt} {
				for _, how := range []breakage{byReset, byClose, bySilence, byHalf, byLate} {
					if how == byLate && (at.dir == downward || p == afterIt) {
						continue // nothing is left that could be late
					}
					all = append(all, trial{
						name: fmt.Sprintf("%s/%v/%v/%v", s.name, at, p, how),
						run:  s.run,
						plan: at.plan(p, len(all)%4, how), // in the header, or after so many quarters
					})
				}
			}
		}
	}
	return append(all, trialsTwice()...)
}

// twice are the steps that are cut again while the session is resumed, each at
// the frames of its own that leave most in doubt.
var twice = []struct {
	step
	resume []spot
}{
	{step{"send", stepSend, asked("send")}, asked("login")},
	{step{"send together", stepSendTogether, asked("send")}, append(asked("login"), asked("send")...)},
	{step{"receive", stepReceive, []spot{{dir: downward, frame: "delivery"}}}, append(asked("login"), asked("subscribe")...)},
	{step{"ack and wait", stepAckWait, asked("ack")}, append(asked("login"), asked("subscribe")...)},
	{step{"requests", stepRequests, []spot{{dir: downward, frame: "delivery"}}}, append(asked("login"), asked("subscribe")...)},
	{step{"reply and wait", stepReplyWait, asked("reply")}, append(asked("login"), asked("subscribe")...)},
}

func trialsTwice() (all []trial) {
	for _, s := range twice {
		for _, at := range s.frames {
			for _, again := range s.resume {
				for _, p := range []place{beforeIt, insideIt, afterIt} {
					how := []breakage{byReset, byHalf, bySilence}[len(all)%3]
					all = append(all, trial{
						name: fmt.Sprintf("%s/%v and then %v/%v/%v", s.name, at, again, p, how),
						run:  s.run,
						plan: append(at.plan(beforeIt, 0, byReset), again.plan(p, len(all)%4, how)...),
					})
				}
			}
		}
	}
	return all
}

// atOnce is how many trials run together: nearly all of their time is waiting.
const atOnce = 16

// TestReconnect does every step while its connection breaks before, inside and
// after every frame of it, in both directions and in every way. The grace holds,
// so nothing may be lost, and nothing may happen twice.
func TestReconnect(t *testing.T) {
	before := goleak.IgnoreCurrent()
	all := trials()
	if len(all) < 200 {
		t.Fatalf("%d trials: there must be 200 at least", len(all))
	}
	inTurn := make(chan trial)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() { // ends with the trials
			for c := range inTurn {
				t.Run(c.name, func(t *testing.T) { newRig(t).try(c) })
			}
		})
	}
	for _, c := range all {
		inTurn <- c
	}
	close(inTurn)
	workers.Wait()
	if !t.Failed() {
		t.Logf("%d trials", len(all))
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
