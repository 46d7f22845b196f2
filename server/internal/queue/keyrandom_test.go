package queue_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// TestKeysAtRandom compares calls with keys with a model on a napkin, through
// crashes: who joins what, who is told which reply, and when a key is free.
func TestKeysAtRandom(t *testing.T) {
	seed, steps := rand.Uint64(), 4000
	for run := range uint64(6) {
		k := newKeyPlay(t, seed+run)
		for i := range steps {
			k.step()
			if err := k.state.Check(); err != nil {
				t.Errorf("Check: %v", err)
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed+run, i)
			}
		}
		t.Logf("seed %d: %v", seed+run, k.seen)
		for _, what := range []string{"first", "joined", "answered", "told", "failed", "left", "cancelled", "crash", "forgotten", "refused", "abandoned"} {
			if k.seen[what] == 0 {
				t.Errorf("seed %d: never %s", seed+run, what)
			}
		}
	}
}

func (k *keyPlay) step() {
	switch n := k.r.IntN(100); {
	case n < 40:
		k.send()
	case n < 50:
		k.join()
	case n < 60:
		k.cancel()
	case n < 76:
		k.settle()
	case n < 90:
		k.sync()
	case n < 95:
		k.pass()
	case n < 97:
		k.moves()
	default:
		k.crash()
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// place is a random queue, key and caller.
func (k *keyPlay) place() (in, key, who string) {
	return pick(k.r, "d", "m"), fmt.Sprintf("k%d", k.r.IntN(mostKeys+2)), pick(k.r, "a", "a", "b", "b", "eve")
}

// waits is a new correlation id, or one that waits already.
func (k *keyPlay) waits(c *mCall, who string) (corr, waiter string) {
	if c != nil && len(c.waiters) > 0 && k.r.IntN(5) == 0 {
		waiter = pick(k.r, c.waiters...)
		if _, err := fmt.Sscanf(waiter, "tmp."+who+" %s", &corr); err == nil {
			return corr, waiter
		}
	}
	k.corr++
	corr = fmt.Sprint(k.corr)
	return corr, "tmp." + who + " " + corr
}

func (k *keyPlay) send() {
	in, key, who := k.place()
	c := k.calls[in+" "+key]
	corr, waiter := k.waits(c, who)
	op := &queue.Send{Session: k.sessions[who], Queue: in, Key: key, KeyTTL: keyTTL, Body: []byte(key), CorrelationID: corr, ReplyTo: "tmp." + who}
	if k.r.IntN(6) == 0 {
		op.ReplyTo, op.CorrelationID, waiter = "", "", ""
	}
	if k.r.IntN(20) == 0 {
		op.Body = []byte("another")
	}
	err := k.do(op)
	same := 0
	for place := range k.calls {
		if place[:1] == in {
			same++
		}
	}
	switch {
	case c == nil && same >= mostKeys:
		k.refused(err, queue.ErrLimitReached)
	case c == nil && err == nil && !k.fx.Joined:
		k.seen["first"]++
		c = &mCall{id: k.fx.ID, who: who, detached: waiter == "", first: waiter}
		if waiter != "" {
			c.waiters = []string{waiter}
		}
		if string(op.Body) != key { // it is this call's body from now on; the others' are not
			k.abort(in, key, c)
			return
		}
		k.calls[in+" "+key] = c
		k.expects("a first send")
	case c == nil:
		k.Errorf("a first send: %v, joined %v", err, k.fx.Joined)
	case (c.who == "eve") != (who == "eve"):
		k.refused(err, queue.ErrCallNotYours)
	case string(op.Body) != key:
		k.refused(err, queue.ErrKeyReused)
	default:
		k.joined(c, waiter, err)
	}
}

// abort takes a call away that the model can do without.
func (k *keyPlay) abort(in, key string, c *mCall) {
	k.must(&queue.Purge{Queue: in, IDs: []queue.ID{c.id}})
	delete(k.leases, c.id)
	k.expects("a purge of "+in+" "+key, c.tells("failed")...)
	k.seen["failed"]++
}

func (k *keyPlay) refused(err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Errorf("got %v, want %v", err, want)
	}
	k.expects("a refusal")
	k.seen["refused"]++
}

// joined is what must follow when a caller joins c.
func (k *keyPlay) joined(c *mCall, waiter string, err error) {
	k.Helper()
	again := slices.Contains(c.waiters, waiter)
	told := c.answered && c.synced
	if err != nil || !k.fx.Joined || k.fx.ID != c.id || k.fx.Duplicate != again || k.fx.Answered != told {
		k.Errorf("joining %+v as %q: %v, %+v", c, waiter, err, k.fx.Result)
	}
	switch {
	case waiter == "":
		c.detached = c.detached || !c.answered
		k.expects("a detached send")
	case told:
		k.expects("an answered call", waiter+" "+c.reply)
		k.seen["answered"]++
	default:
		if !again {
			c.waiters = append(c.waiters, waiter)
		}
		k.expects("a call that runs")
		k.seen["joined"]++
	}
}

func (k *keyPlay) join() {
	in, key, who := k.place()
	c := k.calls[in+" "+key]
	corr, waiter := k.waits(c, who)
	op := &queue.Join{Session: k.sessions[who], Queue: in, Key: key, ReplyTo: "tmp." + who, CorrelationID: corr}
	if c != nil && k.r.IntN(2) == 0 {
		op.ID, op.Queue, op.Key = c.id, "", ""
	}
	err := k.do(op)
	switch {
	case c == nil:
		k.refused(err, queue.ErrCallNotFound)
	case (c.who == "eve") != (who == "eve"):
		k.refused(err, queue.ErrCallNotYours)
	default:
		k.joined(c, waiter, err)
	}
}

// some is a random call that is so.
func (k *keyPlay) some(is func(*mCall) bool) (place string, c *mCall) {
	places := slices.Sorted(maps.Keys(k.calls))
	k.r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for _, p := range places {
		if is(k.calls[p]) {
			return p, k.calls[p]
		}
	}
	return "", nil
}

func (k *keyPlay) cancel() {
	place, c := k.some(func(c *mCall) bool { return len(c.waiters) > 0 })
	if c == nil {
		return
	}
	i := k.r.IntN(len(c.waiters))
	var who, corr string
	if _, err := fmt.Sscanf(c.waiters[i], "tmp.%s %s", &who, &corr); err != nil {
		k.Fatal(err)
	}
	c.waiters = slices.Delete(c.waiters, i, i+1)
	k.must(&queue.Cancel{Session: k.sessions[who], ReplyTo: "tmp." + who, CorrelationID: corr})
	k.expects("a cancel")
	switch {
	case c.answered:
		k.is(k.fx.Cancel, queue.CancelUnknown)
	case c.detached || c.restored || len(c.waiters) > 0:
		k.is(k.fx.Cancel, queue.CancelLeft)
		k.seen["left"]++
	default:
		want := queue.CancelWithdrawn
		if _, leased := k.leases[c.id]; leased {
			want = queue.CancelRunning
			if place[:1] == "d" {
				k.cancelled[c.id] = c.first
			}
		}
		k.is(k.fx.Cancel, want)
		delete(k.calls, place) // the server still has its lease
		k.seen["cancelled"]++
	}
}

func (k *keyPlay) is(got, want queue.CancelState) {
	k.Helper()
	if got != want {
		k.Errorf("the cancel says %d, want %d", got, want)
	}
}

// moves gives a caller another reply queue under the same name: it waits for
// nothing any more.
func (k *keyPlay) moves() {
	who := pick(k.r, "a", "b", "eve")
	k.must(&queue.Destroy{Session: k.sessions[who], Queue: "tmp." + who})
	for place, c := range k.calls {
		had := len(c.waiters)
		c.waiters = slices.DeleteFunc(c.waiters, func(w string) bool { return strings.HasPrefix(w, "tmp."+who+" ") })
		if had == len(c.waiters) || c.answered || c.detached || c.restored || len(c.waiters) > 0 {
			continue
		}
		if _, leased := k.leases[c.id]; leased && place[:1] == "d" {
			k.cancelled[c.id] = c.first
		}
		delete(k.calls, place)
		k.seen["abandoned"]++
	}
	for id, w := range k.back { // plain requests, which go with their caller as well
		if strings.HasPrefix(w, "tmp."+who+" ") {
			delete(k.back, id)
			k.cancelled[id] = w
		}
	}
	k.subscribe(who)
	k.expects("a new reply queue")
}

// settle replies to a lease, or ends it otherwise.
func (k *keyPlay) settle() {
	ids := slices.SortedFunc(maps.Keys(k.leases), func(a, b queue.ID) int { return int(a.Sequence) - int(b.Sequence) })
	if len(ids) == 0 {
		return
	}
	id := pick(k.r, ids...)
	lease := k.leases[id]
	place, c := k.some(func(c *mCall) bool { return c.id == id && !c.answered })
	waiter, back := k.back[id]
	delete(k.leases, id)
	delete(k.cancelled, id)
	switch n := k.r.IntN(10); {
	case n < 7:
		text := fmt.Sprintf("reply-%d", id.Sequence)
		k.must(&queue.Reply{Session: k.sessions["server"], Lease: lease, Body: []byte(text), BodyLent: k.r.IntN(2) == 0})
		if gone := c == nil && !back; k.fx.ReplyQueueGone != gone {
			k.Errorf("the caller of %v is gone: %v, want %v", id, k.fx.ReplyQueueGone, gone)
		}
		delete(k.back, id)
		if back {
			k.expects("a reply to what was cancelled before a crash", waiter+" "+text)
			return
		}
		if c == nil {
			k.expects("a reply to nobody")
			return
		}
		c.answered, c.reply, c.expires = true, text, k.now.Add(keyTTL)
		if place[:1] == "m" {
			k.publish(c)
			return
		}
		k.expects("a reply that is not synced")
	case n < 8:
		k.must(&queue.Nack{Session: k.sessions["server"], Leases: []queue.Lease{lease}, Kind: queue.Refuse})
		k.seen["failed"]++
		delete(k.back, id)
		switch {
		case c != nil:
			delete(k.calls, place)
			k.expects("a rejection", c.tells("failed")...)
		case back:
			k.expects("a rejection", waiter+" failed")
		default:
			k.expects("a rejection")
		}
	default:
		k.must(&queue.Nack{Session: k.sessions["server"], Leases: []queue.Lease{lease}, Kind: queue.Release})
		k.expects("a release")
	}
}

// TestWaitersAreBounded lets as many callers wait as may, and one more.
func TestWaitersAreBounded(t *testing.T) {
	k := newKeyPlay(t, 1)
	send := func(i int) error {
		return k.do(&queue.Send{Session: k.sessions["a"], Queue: "m", Key: "k", CorrelationID: fmt.Sprint(i), ReplyTo: "tmp.a"})
	}
	for i := range queue.MaxWaiters {
		if err := send(i); err != nil {
			t.Fatalf("waiter %d: %v", i, err)
		}
	}
	if err := send(queue.MaxWaiters); !errors.Is(err, queue.ErrLimitReached) {
		t.Errorf("one more: %v", err)
	}
	if err := k.state.Check(); err != nil {
		t.Error(err)
	}
}

// TestAReplyWaitsForRoomOnDisk: what is kept needs some, and the lease stays.
func TestAReplyWaitsForRoomOnDisk(t *testing.T) {
	k := newKeyPlay(t, 1)
	k.must(&queue.Send{Session: k.sessions["a"], Queue: "d", Key: "k", CorrelationID: "1", ReplyTo: "tmp.a"})
	k.sync()
	lease := slices.Collect(maps.Values(k.leases))[0]
	k.must(&queue.Space{Full: "the disk is full"})
	reply := &queue.Reply{Session: k.sessions["server"], Lease: lease, Body: []byte("done")}
	if err := k.do(reply); !errors.Is(err, queue.ErrLimitReached) {
		t.Errorf("on a full disk: %v", err)
	}
	k.must(&queue.Space{})
	k.must(reply)
	k.expects("before the sync")
	k.commit()
	k.expects("a sync", "tmp.a 1 done")
}

// TestApplyMakesNoDigest: it takes the one that it is given, as bodies are large.
func TestApplyMakesNoDigest(t *testing.T) {
	k := newKeyPlay(t, 1)
	send := &queue.Send{Session: k.sessions["a"], Queue: "m", Key: "k", Body: []byte("one"), CorrelationID: "1", ReplyTo: "tmp.a"}
	k.must(send)
	send.Body, send.CorrelationID = []byte("two"), "2"
	if k.must(send); !k.fx.Joined {
		t.Error("the digest of the body was made anew")
	}
}

// TestManyLeaveAtOnce ends a session that waits as often as it may: each of its
// waits must be found at once. They count in the budget, which then is as before.
func TestManyLeaveAtOnce(t *testing.T) {
	k := newKeyPlay(t, 1)
	const calls = 4
	for i := range calls * queue.MaxWaiters {
		k.must(&queue.Send{Session: k.sessions["a"], Queue: "m", Key: fmt.Sprint(i % calls), CorrelationID: fmt.Sprintf("%06d", calls*queue.MaxWaiters-i), ReplyTo: "tmp.a"})
	}
	began := time.Now()
	k.must(&queue.Logout{Session: k.sessions["a"]})
	if took := time.Since(began); took > time.Second {
		t.Errorf("the end of %d waits took %v", calls*queue.MaxWaiters, took)
	}
	if err := k.state.Check(); err != nil {
		t.Error(err)
	}
}

// TestWaitersCountInTheBudget joins until that is refused.
func TestWaitersCountInTheBudget(t *testing.T) {
	k := newKeyPlay(t, 1)
	k.state = queue.New(0, queue.Limits{MemoryBytes: 1 << 20})
	id := k.state.NewSessionID()
	k.must(&queue.Login{Session: id, Name: "a"})
	k.must(&queue.Create{Session: id, Queue: "q"})
	k.must(&queue.Create{Session: id, Queue: "tmp.x", Temporary: true})
	for i := range 1500 {
		err := k.do(&queue.Send{Session: id, Queue: "q", Key: "k", CorrelationID: fmt.Sprint(i), ReplyTo: "tmp.x"})
		if errors.Is(err, queue.ErrLimitReached) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("1500 waiters have room in 256 KiB")
}
