package queue

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestRandomTrees grows random trees of calls and ends them in random ways. Beside
// it stands a naive account: who waits for what, and who was called for whom. No
// child may outlive a parent that was not answered, no caller may wait for a call
// that is gone, and whoever works for nobody is told. SWITCH_SEED repeats one run.
func TestRandomTrees(t *testing.T) {
	seed, runs := rand.Uint64(), 800
	if testing.Short() {
		runs = 100
	}
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		seed, _ = strconv.ParseUint(env, 10, 64)
		runs = 1
	}
	refused, ended := 0, 0
	for n := range runs {
		g := &grove{T: t, seed: seed + uint64(n), state: New(1, Limits{TraceEvents: 8}), now: 1e9, waits: map[ID]*leaf{}, told: map[Lease]bool{}}
		g.rand = rand.New(rand.NewPCG(g.seed, 1))
		g.play(150)
		refused, ended = refused+g.refused, ended+g.ended
	}
	t.Logf("%d children were refused, %d ended with their parents", refused, ended)
	if runs > 1 && (refused < runs || ended < runs) {
		t.Error("the test is blind: that is too few")
	}
}

// A grove is a state with trees of calls in it, and the account of them.
type grove struct {
	*testing.T
	seed     uint64
	rand     *rand.Rand
	state    *State
	fx       Effects
	now      Instant
	sessions []SessionID
	calls    int

	waits          map[ID]*leaf   // the calls that somebody waits for
	told           map[Lease]bool // that were cancelled
	refused, ended int
}

// A leaf is a call that somebody waits for.
type leaf struct {
	session     SessionID
	correlation string
	parent      ID // zero: none, or it was answered
}

const groveQueues = 3

func inboxOf(id SessionID) string { return fmt.Sprintf("tmp.%d", id) }

// play does n things at random, and then ends all sessions.
func (g *grove) play(n int) {
	for i := range 4 {
		g.sessions = append(g.sessions, 0)
		g.login(i)
	}
	for range n {
		g.step()
	}
	for i := range g.sessions {
		g.logout(i)
	}
	for q := range groveQueues {
		if n := g.state.queues[fmt.Sprint("q", q)].count(); n != 0 || g.state.leases.n != 0 || len(g.state.parents) != 0 || len(g.waits) != 0 {
			g.fatalf("in the end there are %d messages, %d leases, %d parents, %d who wait", n, g.state.leases.n, len(g.state.parents), len(g.waits))
		}
	}
}

// step does one thing at random.
func (g *grove) step() {
	i := g.rand.IntN(len(g.sessions))
	sess := g.sessions[i]
	held := g.held(sess)
	switch n := g.rand.IntN(100); {
	case n < 50:
		g.call(sess, held)
	case n < 65 && held != nil:
		for _, l := range g.waits { // they live on
			if l.parent == held.ID {
				l.parent = ID{}
			}
		}
		g.must(&Reply{Session: sess, Lease: held.lease})
	case n < 75 && held != nil:
		g.must(&Nack{Session: sess, Leases: []Lease{held.lease}, Kind: NackKind(g.rand.IntN(3))})
	case n < 83:
		if id := g.any(); !id.IsZero() {
			l := g.waits[id]
			delete(g.waits, id)
			g.must(&Cancel{Session: l.session, ReplyTo: inboxOf(l.session), CorrelationID: l.correlation})
		}
	case n < 86:
		if id := g.any(); !id.IsZero() {
			g.must(&EndCall{Call: id})
		}
	case n < 90:
		g.must(&Purge{Queue: fmt.Sprint("q", g.rand.IntN(groveQueues))})
	case n < 97:
		g.now = g.now.Add(time.Duration(g.rand.IntN(15)) * time.Second)
		g.must(&Tick{})
	default:
		g.logout(i)
		g.login(i)
	}
}

// any is a call that somebody waits for; zero: there is none.
func (g *grove) any() ID {
	ids := slices.SortedFunc(maps.Keys(g.waits), func(a, b ID) int { return cmp.Compare(a.Sequence, b.Sequence) })
	if len(ids) == 0 {
		return ID{}
	}
	return ids[g.rand.IntN(len(ids))]
}

// login makes a session, with a reply queue, that serves all queues.
func (g *grove) login(i int) {
	id := g.state.NewSessionID()
	g.sessions[i] = id
	g.must(&Login{Session: id, TTL: time.Hour})
	g.must(&Attach{Session: id, Sink: id})
	g.must(&Create{Session: id, Queue: inboxOf(id), Temporary: true})
	g.must(&Subscribe{Session: id, Queue: inboxOf(id), Credit: 1000, Sink: id})
	for q := range groveQueues {
		g.must(&Subscribe{Session: id, Queue: fmt.Sprint("q", q), Credit: 1 + g.rand.IntN(3), Sink: id, Create: true,
			CreateOptions: Options{MaxAttempts: 2, NoDeadLetter: true, Lease: 20 * time.Second}})
	}
}

// logout ends a session, and with it what it waits for.
func (g *grove) logout(i int) {
	for id, l := range g.waits {
		if l.session == g.sessions[i] {
			delete(g.waits, id)
		}
	}
	g.must(&Logout{Session: g.sessions[i]})
}

// held is a request that a session holds; nil if it holds none.
func (g *grove) held(id SessionID) *Message {
	var all []*Message
	for _, c := range g.state.sessions[id].consumers {
		for m := c.held.head; m != nil; m = m.heldNext {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[g.rand.IntN(len(all))]
}

// call makes a call: as a rule for one that the session works on.
func (g *grove) call(sess SessionID, held *Message) {
	g.calls++
	op := &Send{Session: sess, Queue: fmt.Sprint("q", g.rand.IntN(groveQueues)), CorrelationID: fmt.Sprint(g.calls), ReplyTo: inboxOf(sess)}
	if g.rand.IntN(4) == 0 {
		op.Timeout = time.Duration(1+g.rand.IntN(30)) * time.Second
	}
	if g.rand.IntN(6) == 0 {
		op.StartWithin = time.Duration(1+g.rand.IntN(10)) * time.Second
	}
	l := &leaf{session: sess, correlation: op.CorrelationID}
	refused := false
	if held != nil && g.rand.IntN(8) > 0 {
		op.Parent = held.ID
		if refused = held.callerGone; !refused {
			l.parent = held.ID
		}
	}
	id := ID{Epoch: 1, Sequence: g.state.sequence + 1}
	if !refused {
		g.waits[id] = l
	}
	err := g.apply(op)
	if refused != errors.Is(err, ErrParentGone) || !refused && err != nil {
		g.fatalf("a call for %v: %v", held, err)
	}
	if refused {
		g.refused++
	}
}

func (g *grove) must(op Op) {
	g.Helper()
	if err := g.apply(op); err != nil {
		g.fatalf("%T: %v", op, err)
	}
}

func (g *grove) fatalf(format string, args ...any) {
	g.Helper()
	g.Fatalf("%s\nrepeat with SWITCH_SEED=%d", fmt.Sprintf(format, args...), g.seed)
}

// apply does op, and compares.
func (g *grove) apply(op Op) error {
	g.Helper()
	if err := g.state.Apply(g.now, op, &g.fx); err != nil {
		return err
	}
	replies := map[Lease]SessionID{}
	for _, d := range g.fx.Deliveries {
		if d.Consumer.Queue.Temporary() {
			g.answered(d.Message)
			replies[d.Lease] = d.Consumer.Session.ID
		}
	}
	for _, c := range g.fx.Cancelled {
		g.told[c.Lease] = true
	}
	g.compare(op)
	for l, sess := range replies {
		if err := g.state.Apply(g.now, &Ack{Session: sess, Leases: []Lease{l}}, &g.fx); err != nil {
			g.fatalf("Ack: %v", err)
		}
	}
	return nil
}

// answered takes a reply, or a failure in its place.
func (g *grove) answered(m *Message) {
	g.Helper()
	for id, l := range g.waits {
		if l.correlation == m.CorrelationID {
			delete(g.waits, id)
			if m.Failure != nil && errors.Is(m.Failure.Err, ErrParentGone) {
				g.ended++
				if l.parent.IsZero() || g.waits[l.parent] != nil {
					g.fatalf("call %v ended with its parent %v, which did not", id, l.parent)
				}
			}
			return
		}
	}
	g.fatalf("a reply with correlation id %s, for which nobody waits", m.CorrelationID)
}

// compare holds the state against the account.
func (g *grove) compare(op Op) {
	g.Helper()
	if err := g.state.Check(); err != nil {
		g.fatalf("after %T: %v", op, err)
	}
	for id, l := range g.waits {
		if !l.parent.IsZero() && g.waits[l.parent] == nil {
			g.fatalf("after %T call %v lives, and its parent %v is over", op, id, l.parent)
		}
	}
	n := 0
	for _, q := range g.state.queues {
		for _, m := range q.messages(q.count()) {
			if m.caller != nil {
				n++
			}
			if (g.waits[m.ID] != nil) != (m.caller != nil) || m.callerGone && !g.told[m.lease] {
				g.fatalf("after %T message %v: its caller waits: %v; its caller is gone: %v, and lease %d was told: %v",
					op, m.ID, m.caller != nil, m.callerGone, m.lease, g.told[m.lease])
			}
		}
	}
	if n != len(g.waits) {
		g.fatalf("after %T %d calls are there, and %d are waited for", op, n, len(g.waits))
	}
}
