package queue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// graves is a state with letters in q.dead.
type graves struct {
	*testing.T
	s    *State
	fx   Effects
	sess SessionID
}

func newGraves(t *testing.T, l Limits) *graves {
	g := &graves{T: t, s: New(1, l)}
	g.sess = g.s.NewSessionID()
	g.must(&Login{Session: g.sess, Name: "me"})
	return g
}

func (g *graves) do(op Op) error {
	g.Helper()
	err := g.s.Apply(1e9, op, &g.fx)
	if bad := g.s.Check(); bad != nil {
		g.Fatalf("after %T: %v", op, bad)
	}
	return err
}

func (g *graves) must(op Op) {
	g.Helper()
	if err := g.do(op); err != nil {
		g.Fatalf("%T: %v", op, err)
	}
}

// bury makes letters that say where they died.
func (g *graves) bury(from string, bodies ...string) (ids []ID) {
	g.Helper()
	g.must(&Create{Session: g.sess, Queue: "q.dead"})
	for _, b := range bodies {
		g.must(&Send{Session: g.sess, Queue: "q.dead", Body: []byte(b), CorrelationID: "c" + b, Headers: []Header{{"own", b}}})
		m := g.s.queues["q.dead"].waiting.tail
		m.Attempts = 3
		if from != "" {
			m.Headers = append(m.Headers, Header{HeaderDeadQueue, from}, Header{HeaderDeadReason, "because"})
		}
		ids = append(ids, m.ID)
	}
	return ids
}

func (g *graves) bodies(queue string) (bodies []string) {
	for _, m := range g.s.queues[queue].messages(100) {
		bodies = append(bodies, string(m.Body))
	}
	return bodies
}

// moved checks what the last Replay did.
func (g *graves) moved(count, left int, why error) {
	g.Helper()
	if g.fx.Count != count || g.fx.Left != left || !errors.Is(g.fx.LeftErr, why) {
		g.Errorf("%d moved, %d left because of %v; want %d, %d, %v", g.fx.Count, g.fx.Left, g.fx.LeftErr, count, left, why)
	}
}

// A letter starts anew in the queue where it died, and keeps what was its own.
func TestReplay(t *testing.T) {
	g := newGraves(t, Limits{})
	g.must(&Create{Session: g.sess, Queue: "q", Options: Options{MaxAttempts: 7}})
	ids := g.bury("q", "a", "b", "c", "d")
	g.must(&Replay{Queue: "q.dead", IDs: []ID{ids[2], ids[1], ids[2]}})
	g.moved(2, 1, ErrMessageNotFound) // the third was named twice
	if got := g.bodies("q"); !slices.Equal(got, []string{"c", "b"}) {
		t.Errorf("q has %q", got)
	}
	m := g.s.queues["q"].waiting.head
	if !slices.Equal(m.Headers, []Header{{"own", "c"}}) || m.Attempts != 0 || m.maxAttempts != 7 || m.CorrelationID != "cc" || m.Sender != "me" || !ids[3].Before(m.ID) {
		t.Errorf("it is %+v", m)
	}
	g.must(&Replay{Queue: "q.dead", Limit: 1})
	g.moved(1, 0, nil)
	g.must(&Replay{Queue: "q.dead"})
	g.moved(1, 0, nil)
	dead, q := g.s.queues["q.dead"].Counters(), g.s.queues["q"].Counters()
	if got := g.bodies("q"); !slices.Equal(got, []string{"c", "b", "a", "d"}) || dead.Acked != 4 || q.Sent != 4 || dead.Dropped != 0 {
		t.Errorf("q has %q; %+v and %+v", got, dead, q)
	}
	g.must(&Replay{Queue: "q.dead"})
	g.moved(0, 0, nil)
}

// It goes on where it stopped, and not beyond where it is told to.
func TestReplayInParts(t *testing.T) {
	g := newGraves(t, Limits{})
	g.must(&Create{Session: g.sess, Queue: "q"})
	ids := g.bury("q", "a", "b", "c", "d")
	g.bury("gone", "e")
	through := ids[2].Sequence
	g.must(&Replay{Queue: "q.dead", Limit: 2, Through: through})
	if g.moved(2, 0, nil); g.fx.Through != through-1 {
		t.Errorf("up to %d, want %d", g.fx.Through, through-1)
	}
	g.must(&Replay{Queue: "q.dead", Limit: 2, After: g.fx.Through, Through: through})
	if g.moved(1, 0, nil); g.fx.Through != through {
		t.Errorf("up to %d, want %d", g.fx.Through, through)
	}
	g.must(&Replay{Queue: "q.dead", After: through})
	g.moved(1, 1, ErrQueueNotFound)
}

// What can't be moved stays, and says why.
func TestReplayLeaves(t *testing.T) {
	g := newGraves(t, Limits{})
	for name, o := range map[string]Options{"q": {}, "full": {MaxMessages: 1}, "dropping": {MaxMessages: 1, Overflow: DropOldest}} {
		g.must(&Create{Session: g.sess, Queue: name, Options: o})
	}
	g.must(&Create{Session: g.sess, Queue: TemporaryPrefix + "x", Temporary: true})
	g.bury("gone", "a")
	g.must(&Replay{Queue: "q.dead"})
	g.moved(0, 1, ErrQueueNotFound)
	for to, want := range map[string]error{"q.dead": ErrInvalid, TemporaryPrefix + "x": ErrQueueNotYours, "gone": ErrQueueNotFound} {
		if err := g.do(&Replay{Queue: "q.dead", To: to}); !errors.Is(err, want) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	for _, to := range []string{"full", "dropping"} {
		g.must(&Send{Session: g.sess, Queue: to})
		g.must(&Replay{Queue: "q.dead", To: to})
		g.moved(0, 1, ErrQueueFull)
	}
	g.must(&Replay{Queue: "q.dead", To: "q"})
	g.moved(1, 0, nil)
	ids := g.bury("", "stray", "held")
	g.must(&Replay{Queue: "q.dead"})
	g.moved(0, 2, ErrInvalid)
	g.must(&Subscribe{Session: g.sess, Queue: "q.dead", Sink: t})
	g.must(&Replay{Queue: "q.dead", To: "q", IDs: ids})
	g.moved(1, 1, ErrLeaseNotYours)
	g.must(&Create{Session: g.sess, Queue: "r"})
	g.must(&Send{Session: g.sess, Queue: "r", ReplyTo: TemporaryPrefix + "x", CorrelationID: "c"})
	g.must(&Replay{Queue: "r", To: "q"})
	g.moved(0, 1, ErrInvalid)
	if err := g.do(&Replay{Queue: TemporaryPrefix + "x"}); !errors.Is(err, ErrQueueNotYours) {
		t.Error(err)
	}
	if err := g.do(&Replay{Queue: "q.dead", IDs: make([]ID, MaxReplay+1)}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	g.must(&Drain{})
	if err := g.do(&Replay{Queue: "q.dead"}); !errors.Is(err, ErrShuttingDown) {
		t.Error(err)
	}
}

// Letters that are on disk alone are moved in the same step, and what the disk
// still has of one that is gone is not moved again.
func TestReplaySpilled(t *testing.T) {
	g := newGraves(t, Limits{DurableAvailable: true, DefaultDurable: true, MemoryBytes: 16 * 4 * (messageCost + 1)})
	g.must(&Create{Session: g.sess, Queue: "q"})
	g.must(&Create{Session: g.sess, Queue: "q.dead"})
	var stored []Stored
	var ids []ID
	for i := range 20 {
		g.must(&Send{Session: g.sess, Queue: "q.dead", Body: []byte{'a' + byte(i)}})
		for _, c := range g.fx.Changes {
			if c.Kind == MessageStored {
				ids = append(ids, c.Message.ID)
				stored = append(stored, Stored{Sequence: c.Message.ID.Sequence, Body: c.Message.Body, Headers: []Header{{HeaderDeadQueue, "q"}}, MaxAttempts: 5})
			}
		}
		g.must(&Synced{Through: g.s.sequence})
	}
	dead := g.s.queues["q.dead"]
	_, spilled := dead.OnDisk()
	inMemory := 20 - spilled
	if spilled < 5 || inMemory < 2 || len(dead.Spilled(ids)) != spilled {
		t.Fatalf("%d are spilled", spilled)
	}
	all := g.s.OldestOf(dead, stored, ids[15].Sequence, 100)
	if len(all) != 16 || string(all[15].Body) != "p" || all[15].State() != Waiting {
		t.Errorf("%d are shown", len(all))
	}
	g.must(&Replay{Queue: "q.dead", To: "q", IDs: ids[10:12], Stored: stored})
	g.moved(2, 0, nil)
	g.must(&Replay{Queue: "q.dead", To: "q", Stored: stored, Through: ids[13].Sequence})
	g.moved(12, 0, nil) // those two are still in the store
	if fmt.Sprint(g.fx.Through) != fmt.Sprint(ids[13].Sequence) || !g.fx.Sync {
		t.Errorf("up to %d, sync %v", g.fx.Through, g.fx.Sync)
	}
	if _, n := dead.OnDisk(); n != 6 || dead.count() != 6 || g.s.queues["q"].count() != 14 {
		t.Errorf("%d of %d are left on disk, %d are in q", n, dead.count(), g.s.queues["q"].count())
	}
	g.must(&Replay{Queue: "q.dead", Stored: stored})
	g.moved(6, 0, nil)
	if dead.count() != 0 || len(dead.runs) != 0 {
		t.Errorf("%d are left in %v", dead.count(), dead.runs)
	}
}
