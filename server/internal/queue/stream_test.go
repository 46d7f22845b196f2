package queue_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// mHalf is what a naive person knows of one half of a stream.
type mHalf struct {
	sent   int
	bytes  int      // of all that was sent
	held   []string // bodies that the receiver has and has not acked, oldest first
	leases []queue.Lease
	got    int // parts that were delivered
	open   bool
	ended  bool
	asked  bool
	told   uint64 // parts
}

func (h *mHalf) waiting() (bytes int) {
	for _, b := range h.held {
		bytes += len(b)
	}
	return bytes
}

// streamGame plays one stream: bob holds alice's request, and both send parts,
// within windows of so many bytes and parts.
type streamGame struct {
	state       *queue.State
	fx          queue.Effects
	rand        *rand.Rand
	alice, bob  queue.SessionID
	bytes, most int
	lease       queue.Lease
	halves      map[string]*mHalf // by inbox
	listens     map[any]bool      // sinks that are attached
	refusals    map[error]int
}

func TestRandomStreams(t *testing.T) {
	seed, refusals, told := rand.Uint64(), map[error]int{}, 0
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		seed, _ = strconv.ParseUint(env, 10, 64)
	}
	for n := range uint64(200) {
		g := newStreamGame(t, seed+n, refusals)
		for step := range 200 {
			if err := g.step(); err != nil {
				t.Fatalf("step %d: %v; repeat with SWITCH_SEED=%d", step, err, seed+n)
			}
		}
		if err := g.reply(); err != nil {
			t.Fatalf("the reply: %v; repeat with SWITCH_SEED=%d", err, seed+n)
		}
		for _, h := range g.halves {
			told += int(h.told)
		}
	}
	for _, err := range []error{queue.ErrQueueFull, queue.ErrPartGap, queue.ErrNotAccepted, queue.ErrNoStream} {
		if refusals[err] == 0 {
			t.Errorf("no part was ever refused with %q: the test looks at less than it says", err)
		}
	}
	if told == 0 {
		t.Error("no sender was told of what was taken")
	}
}

func newStreamGame(t *testing.T, seed uint64, refusals map[error]int) *streamGame {
	g := &streamGame{state: queue.New(0, queue.Limits{}), rand: rand.New(rand.NewPCG(seed, 2)), refusals: refusals,
		halves: map[string]*mHalf{"tmp.a": {open: true}, "tmp.b": {}}, listens: map[any]bool{"alice": true, "bob": true}}
	g.bytes, g.most = 1+g.rand.IntN(60), 1+g.rand.IntN(9)
	g.alice, g.bob = g.state.NewSessionID(), g.state.NewSessionID()
	o := queue.Options{MaxBytes: g.bytes, MaxMessages: g.most}
	for _, op := range []queue.Op{
		&queue.Login{Session: g.alice}, &queue.Login{Session: g.bob},
		&queue.Attach{Session: g.alice, Sink: "alice"}, &queue.Attach{Session: g.bob, Sink: "bob"},
		&queue.Create{Session: g.alice, Queue: "q"},
		&queue.Create{Session: g.alice, Queue: "tmp.a", Temporary: true, Options: o},
		&queue.Create{Session: g.bob, Queue: "tmp.b", Temporary: true, Options: o},
		&queue.Subscribe{Session: g.alice, Queue: "tmp.a", Credit: 100, Sink: "alice"},
		&queue.Subscribe{Session: g.bob, Queue: "tmp.b", Credit: 100, Sink: "bob"},
		&queue.Subscribe{Session: g.bob, Queue: "q", Credit: 1, Sink: "bob"},
		&queue.Send{Session: g.alice, Queue: "q", ReplyTo: "tmp.a", CorrelationID: "c", Stream: true},
	} {
		if err := g.state.Apply(1, op, &g.fx); err != nil {
			t.Fatal(err)
		}
	}
	g.lease = g.fx.Deliveries[0].Lease
	return g
}

// step does one thing, and compares.
func (g *streamGame) step() error {
	inbox := []string{"tmp.a", "tmp.b"}[g.rand.IntN(2)]
	h := g.halves[inbox]
	var err error
	switch n := g.rand.IntN(20); {
	case n < 10:
		err = g.part(inbox, h)
	case n < 17:
		err = g.ack(inbox, h)
	case n < 19:
		err = g.ask(inbox, h)
	case inbox == "tmp.b" && !h.open:
		err = g.accept()
	default:
		g.reconnect()
	}
	if err != nil {
		return err
	}
	return g.state.Check()
}

// op is a Part of the sender of a half.
func (g *streamGame) op(inbox string) *queue.Part {
	if inbox == "tmp.a" {
		return &queue.Part{Session: g.bob, Lease: g.lease}
	}
	return &queue.Part{Session: g.alice, ReplyTo: "tmp.a", CorrelationID: "c"}
}

// part sends one, and predicts what becomes of it.
func (g *streamGame) part(inbox string, h *mHalf) error {
	op := g.op(inbox)
	op.Body = make([]byte, g.rand.IntN(30))
	for i := range op.Body {
		op.Body[i] = byte('a' + g.rand.IntN(26))
	}
	if op.End = g.rand.IntN(40) == 0; op.End && g.rand.IntN(2) == 0 {
		op.Body = nil
	}
	if g.rand.IntN(2) == 0 {
		op.Number = uint64(max(0, h.sent+g.rand.IntN(4)-1))
	}
	var want error
	repeated := op.Number != 0 && int(op.Number) <= h.sent
	switch {
	case !h.open:
		want = queue.ErrNotAccepted
	case repeated:
	case int(op.Number) > h.sent+1:
		want = queue.ErrPartGap
	case h.ended:
		want = queue.ErrNoStream
	case op.End && len(op.Body) == 0: // fits always
	case len(h.held) > 0 && (len(h.held) >= g.most || h.waiting()+len(op.Body) > g.bytes):
		want = queue.ErrQueueFull
	}
	if want == nil && !repeated {
		h.sent++
		h.bytes += len(op.Body)
		h.held = append(h.held, string(op.Body))
		h.ended = op.End
	}
	return g.apply(op, h, want)
}

// ask says that the sender waits.
func (g *streamGame) ask(inbox string, h *mHalf) error {
	op := g.op(inbox)
	op.Ask = true
	if !h.open {
		return g.apply(op, h, queue.ErrNotAccepted)
	}
	h.asked = len(h.held) > 0
	return g.apply(op, h, nil)
}

// accept lets alice send parts. It is a part of bob's.
func (g *streamGame) accept() error {
	op, h := g.op("tmp.a"), g.halves["tmp.a"]
	op.Inbox = "tmp.b"
	if h.ended {
		return g.apply(op, h, queue.ErrNoStream)
	}
	h.sent++
	h.held = append(h.held, "")
	g.halves["tmp.b"].open = true
	return g.apply(op, h, nil)
}

// ack takes any of the parts that were delivered.
func (g *streamGame) ack(inbox string, h *mHalf) error {
	if len(h.leases) == 0 {
		return nil
	}
	session, i := g.alice, g.rand.IntN(len(h.leases))
	if inbox == "tmp.b" {
		session = g.bob
	}
	op := &queue.Ack{Session: session, Leases: []queue.Lease{h.leases[i]}}
	h.held = append(h.held[:i:i], h.held[i+1:]...)
	h.leases = append(h.leases[:i:i], h.leases[i+1:]...)
	if err := g.apply(op, nil, nil); err != nil {
		return err
	}
	sender := map[string]any{"tmp.a": "bob", "tmp.b": "alice"}[inbox]
	taken := uint64(h.sent - len(h.held))
	switch told := h.told == taken; {
	case h.asked && len(h.held) == 0 && g.listens[sender] && !told:
		return fmt.Errorf("the sender into %s waits, all is taken, and it is not told", inbox)
	case g.listens[sender] && taken-h.told >= uint64(g.most+3)/4:
		return fmt.Errorf("%d parts into %s were taken, and its sender knows of %d; the window is %d", taken, inbox, h.told, g.most)
	}
	return nil
}

// reply ends the stream, and says how many parts were sent before it: as many as were
// taken, more, or nothing about it.
func (g *streamGame) reply() error {
	sent := g.halves["tmp.a"].sent
	op := &queue.Reply{Session: g.bob, Lease: g.lease, Parts: uint64(sent + g.rand.IntN(2))}
	broken := op.Parts != uint64(sent)
	if g.rand.IntN(4) == 0 {
		op.Parts, broken = 0, false
	}
	if err := g.state.Apply(1, op, &g.fx); err != nil {
		return err
	}
	if errors.Is(g.fx.Broken, queue.ErrStreamBroken) != broken {
		return fmt.Errorf("%d parts were sent, the reply says %d, and bob is told %w", sent, op.Parts, g.fx.Broken)
	}
	for _, d := range g.fx.Deliveries { // none, if alice does not listen
		if f := d.Message.Failure; (f != nil && errors.Is(f.Err, queue.ErrStreamBroken)) != broken {
			return fmt.Errorf("%d parts were sent, the reply says %d, and alice is told %v", sent, op.Parts, f)
		}
	}
	return g.state.Check()
}

// reconnect loses a session's stream, or gets it back.
func (g *streamGame) reconnect() {
	who, id := "alice", g.alice
	if g.rand.IntN(2) == 0 {
		who, id = "bob", g.bob
	}
	if g.listens[who] {
		_ = g.state.Apply(1, &queue.Detach{Session: id, Sink: who}, &g.fx)
		g.listens[who] = false
		return
	}
	_ = g.state.Apply(1, &queue.Attach{Session: id, Sink: who}, &g.fx)
	g.listens[who] = true
	for c := queue.ConsumerID(1); c <= 2; c++ { // what came meanwhile comes now
		op := &queue.Subscribe{Session: id, Consumer: c, Sink: who}
		if g.state.Apply(1, op, &g.fx) == nil {
			g.deliver()
		}
	}
}

// deliver takes what was delivered, in order.
func (g *streamGame) deliver() {
	for _, d := range g.fx.Deliveries {
		h := g.halves[d.Consumer.Queue.Name]
		n := len(h.leases)
		if h.got++; int(d.Message.Part) != h.got || string(d.Message.Body) != h.held[n] || (d.Message.ReplyTo != "") != (d.Message.ReplyTo == "tmp.b") {
			panic(fmt.Sprintf("part %d with %q came as number %d, where %q was due", d.Message.Part, d.Message.Body, h.got, h.held[n]))
		}
		h.leases = append(h.leases, d.Lease)
	}
}

// apply does op, and compares what it answers and causes.
func (g *streamGame) apply(op queue.Op, h *mHalf, want error) error {
	err := g.state.Apply(1, op, &g.fx)
	if want != nil {
		g.refusals[want]++
	}
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		return fmt.Errorf("%+v: the error is %w, want %w", op, err, want)
	}
	if err != nil {
		return nil
	}
	g.deliver()
	if got := g.fx.Half; h != nil {
		taken, bytes := h.sent-len(h.held), h.bytes-h.waiting()
		if int(got.Sent) != h.sent || int(got.TakenParts) != taken || int(got.TakenBytes) != bytes || got.WindowParts != g.most || got.WindowBytes != g.bytes {
			return fmt.Errorf("%+v: the half is %+v, want %d sent, %d of %d bytes taken", op, got, h.sent, taken, bytes)
		}
	}
	for _, e := range g.fx.Taken {
		of := g.halves["tmp.b"]
		if e.Lease != 0 {
			of = g.halves["tmp.a"]
		}
		if int(e.Parts) != of.sent-len(of.held) || int(e.Bytes) != of.bytes-of.waiting() || (e.Sink == "bob") != (e.Lease == g.lease) {
			return fmt.Errorf("%v is told that %d parts of %d bytes of lease %d were taken: %d wait of %d", e.Sink, e.Parts, e.Bytes, e.Lease, len(of.held), of.sent)
		}
		of.told, of.asked = e.Parts, false
	}
	return nil
}
