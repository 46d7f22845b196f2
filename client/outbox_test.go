package client

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A hearer is a switch as the outbox sees it: it applies each tag once, and
// answers what is not quiet.
type hearer struct {
	t       *testing.T
	applied uint64
	bodies  []string
	seen    uint64            // answers that the client says it has seen
	kept    map[uint64]uint64 // answers by number: tag
	made    uint64
}

func (h *hearer) hear(b []byte) {
	h.t.Helper()
	seen, err := frames.ReadRequest(b, func(f *frames.ClientFrame) error {
		if f.Tag <= h.applied {
			return nil
		}
		if f.Tag != h.applied+1 {
			h.t.Fatalf("tag %d came after %d", f.Tag, h.applied)
		}
		h.applied = f.Tag
		if !f.Quiet {
			h.made++
			h.kept[h.made] = f.Tag
		}
		if f.Verb != frames.VerbSend {
			return nil
		}
		var m frames.Send
		if err := m.Unmarshal(f.Raw); err != nil {
			return err
		}
		h.bodies = append(h.bodies, string(m.Body))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for n := h.seen + 1; n <= seen; n++ {
		delete(h.kept, n)
	}
	h.seen = max(h.seen, seen)
}

// TestOutboxAgainstAHearer plays a session over a line that loses what was sent
// or answered last, at random, and compares what arrived with what was sent.
func TestOutboxAgainstAHearer(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newPlay(t, seed).play() })
	}
}

type play struct {
	t    *testing.T
	r    *rand.Rand
	o    outbox
	h    hearer
	sent []string      // bodies
	open map[*call]int // calls without an answer: times answered
	wire [][]byte      // sent and not heard
}

func newPlay(t *testing.T, seed uint64) *play {
	return &play{t: t, r: rand.New(rand.NewPCG(seed, 2)), h: hearer{t: t, kept: map[uint64]uint64{}}, open: map[*call]int{}}
}

func (p *play) play() {
	for range 2000 {
		p.step()
		p.check()
	}
	p.reconnect()
	for p.send() {
	}
	p.hearAll()
	p.answer(p.h.made)
	p.o.sweep(p.h.applied)
	p.check()
	if n := len(p.open); n > 0 {
		p.t.Errorf("%d calls have no answer", n)
	}
	if o := &p.o; len(o.chunks) != 0 || o.bytes != 0 || o.base != o.tag {
		p.t.Errorf("%d chunks, %d bytes and %d slots are left", len(o.chunks), o.bytes, o.tag-o.base)
	}
	if got, want := fmt.Sprint(p.h.bodies), fmt.Sprint(p.sent); got != want {
		p.t.Errorf("heard %v\nsent %v", got, want)
	}
}

func (p *play) step() {
	switch p.r.IntN(12) {
	case 0, 1, 2, 3:
		if p.o.room() {
			p.add()
		}
	case 4:
		p.o.acks = append(p.o.acks, p.r.Uint64())
	case 5, 6:
		p.send()
	case 7, 8:
		if len(p.wire) > 0 {
			p.h.hear(p.wire[0])
			p.wire = p.wire[1:]
		}
	case 9:
		p.answer(p.h.seen + uint64(p.r.IntN(20)))
	case 10:
		p.o.sweep(p.h.applied)
	case 11:
		if p.r.IntN(10) == 0 {
			p.reconnect()
		}
	}
}

// add sends a small body or a large one, quietly or not.
func (p *play) add() {
	body := fmt.Sprint(len(p.sent))
	p.sent = append(p.sent, body)
	k := &call{verb: frames.VerbSend, send: frames.Send{Queue: "q", Body: []byte(body), Sequence: p.o.nextSequence()}}
	if p.r.IntN(20) == 0 {
		k.send.ReplyTo = string(make([]byte, p.r.IntN(2*chunkBytes)))
	}
	if p.r.IntN(2) == 0 {
		p.o.addSend(&k.send, true, slot{sequence: k.send.Sequence})
		return
	}
	if err := p.o.add(k); err != nil {
		p.t.Fatal(err)
	}
	p.open[k] = 0
}

func (p *play) send() bool {
	k := p.o.next(nil)
	if k == nil {
		return false
	}
	if len(k.buf) == 0 {
		p.t.Fatal("an empty stream message")
	}
	p.wire = append(p.wire, append([]byte(nil), k.buf...))
	return true
}

func (p *play) hearAll() {
	for _, b := range p.wire {
		p.h.hear(b)
	}
	p.wire = nil
}

// answer lets the client see the answers up to a number.
func (p *play) answer(to uint64) {
	for n := p.o.answers + 1; n <= min(to, p.h.made); n++ {
		tag, kept := p.h.kept[n]
		if !kept {
			p.t.Fatalf("answer %d was forgotten before it was seen", n)
		}
		s, ok := p.o.answered(tag)
		if !ok || s.call == nil {
			p.t.Fatalf("nobody waits for answer %d, to tag %d", n, tag)
		}
		delete(p.open, s.call)
		p.o.answers = n
	}
}

// reconnect loses what is on the wire.
func (p *play) reconnect() {
	if p.r.IntN(2) == 0 {
		p.hearAll()
	}
	p.wire = nil
	told := p.o.answers
	for n := p.h.seen + 1; n <= told; n++ {
		delete(p.h.kept, n)
	}
	p.h.seen = told
	p.o.rewind(p.h.applied, told)
}

func (p *play) check() {
	o, bytes := &p.o, 0
	for _, k := range o.chunks {
		bytes += len(k.buf)
		if k.refs.Load() < 1 {
			p.t.Fatal("a chunk was given back while it is kept")
		}
	}
	if bytes != o.bytes {
		p.t.Fatalf("counts %d bytes, has %d", o.bytes, bytes)
	}
	if o.tag-o.applied > maxUnapplied+10 || o.tag-o.base > maxSpan+10 {
		p.t.Fatalf("%d unapplied, %d without an answer", o.tag-o.applied, o.tag-o.base)
	}
	waiting := 0
	for t := o.base + 1; t <= o.tag; t++ {
		if s := o.slot(t); s != nil && s.call != nil {
			waiting++
		}
	}
	if waiting != len(p.open) {
		p.t.Fatalf("%d calls wait, %d should", waiting, len(p.open))
	}
}

// TestSequencesStayInTheWindow leaves one Send without an answer for ever, also
// through new sessions: the sequences must not run away from it.
func TestSequencesStayInTheWindow(t *testing.T) {
	var o outbox
	add := func() *call {
		k := &call{verb: frames.VerbSend, send: frames.Send{Queue: "q", Sequence: o.nextSequence()}}
		if err := o.add(k); err != nil {
			t.Fatal(err)
		}
		return k
	}
	stuck := add()
	stuckTag := o.tag
	n := 0
	for ; o.room() && n < 2*maxSpan; n++ {
		add()
		for o.next(nil) != nil {
		}
		o.sweep(o.tag)
		o.answered(o.tag)
		if n%100 == 0 { // a new session
			if calls, _ := o.reset(); len(calls) != 1 || calls[0] != stuck || o.add(stuck) != nil {
				t.Fatalf("%d calls came through the session's end", len(calls))
			}
			stuckTag = o.tag
		}
	}
	if n > maxSpan || n < maxSpan-10 {
		t.Errorf("%d sends entered while one had no answer; want about %d", n, maxSpan)
	}
	o.answered(stuckTag)
	if !o.room() {
		t.Error("no room after the answer")
	}
}

// TestForgetfulSwitch restarts a switch that had applied frames without
// answering them.
func TestForgetfulSwitch(t *testing.T) {
	var o outbox
	var calls []*call
	for range 3 {
		calls = append(calls, newCall(frames.VerbCreate, &pb.CreateRequest{Queue: "q"}))
		if err := o.add(calls[len(calls)-1]); err != nil {
			t.Fatal(err)
		}
		if o.tag < 3 {
			for o.next(nil) != nil {
			}
		}
	}
	o.sweep(2)
	if lost := o.unanswerable(); len(lost) != 2 || lost[0] != calls[0] || lost[1] != calls[1] {
		t.Errorf("lost are %v", lost)
	}
	o.rewind(0, 0)
	h := hearer{t: t, applied: 2, kept: map[uint64]uint64{}}
	for k := o.next(nil); k != nil; k = o.next(nil) {
		h.hear(k.buf)
	}
	if s, ok := o.answered(h.applied); h.applied != 3 || !ok || s.call != calls[2] {
		t.Errorf("applied %d", h.applied)
	}
}

func TestFrameThatCannotBeEncodedLeavesNoTrace(t *testing.T) {
	var o outbox
	bad := newCall(frames.VerbCreate, &pb.CreateRequest{Queue: "\xff"})
	for range 2 {
		if err := o.add(bad); ReasonOf(err) != "INVALID" {
			t.Fatalf("got %v", err)
		}
		if o.pending() || o.bytes != 0 || o.tag != 0 {
			t.Fatalf("left %+v", o)
		}
	}
	if err := o.add(newCall(frames.VerbCreate, &pb.CreateRequest{Queue: "q"})); err != nil || o.tag != 1 {
		t.Fatalf("tag %d, %v", o.tag, err)
	}
	before := o.bytes
	if o.add(bad) == nil || o.bytes != before || o.tag != 1 || o.next(nil) == nil || o.next(nil) != nil {
		t.Error("the frame before it suffered")
	}
}
