package queue_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
		for _, what := range []string{"first", "joined", "answered", "told", "failed", "left", "cancelled", "crash", "forgotten", "refused"} {
			if k.seen[what] == 0 {
				t.Errorf("seed %d: never %s", seed+run, what)
			}
		}
	}
}

// mCall is a call with a key as the model has it.
type mCall struct {
	id       queue.ID
	who      string
	detached bool
	first    string   // who sent it first, and waits again after a crash
	waiters  []string // "queue corr"
	answered bool
	synced   bool
	reply    string
	expires  queue.Instant
}

type keyPlay struct {
	*testing.T
	r        *rand.Rand
	state    *queue.State
	fx       queue.Effects
	now      queue.Instant
	epoch    uint64
	disk     *disk
	open     *batch
	unsaved  queue.Unsaved
	sessions map[string]queue.SessionID // by name; a's reply queue is tmp.a
	corr     int

	calls  map[string]*mCall // by "queue key"
	saved  map[string]mCall  // the durable ones of the last sync
	leases map[queue.ID]queue.Lease
	// cancelled are durable requests whose call was cancelled while they ran, with
	// its first caller. That is not stored: after a crash they are requests without
	// a key, back, whose reply comes to that caller, who ignores it.
	cancelled, back, savedBack map[queue.ID]string

	told []string // "queue corr text" of this step
	seen map[string]int
}

const (
	keyTTL    = time.Minute
	mostKeys  = 5
	keyLeases = 12 * time.Hour // none ends
)

var keyLimits = queue.Limits{Keys: mostKeys, TraceEvents: 1, DurableAvailable: true, DefaultDurable: true}

func newKeyPlay(t *testing.T, seed uint64) *keyPlay {
	k := &keyPlay{T: t, r: rand.New(rand.NewPCG(seed, 1)), state: queue.New(0, keyLimits), now: start, disk: newDisk(0), open: new(batch),
		sessions: map[string]queue.SessionID{}, calls: map[string]*mCall{}, saved: map[string]mCall{}, leases: map[queue.ID]queue.Lease{}, seen: map[string]int{},
		cancelled: map[queue.ID]string{}, back: map[queue.ID]string{}, savedBack: map[queue.ID]string{}}
	for _, name := range []string{"server", "a", "b", "eve"} {
		id := k.state.NewSessionID()
		k.sessions[name] = id
		k.must(&queue.Login{Session: id, Name: name, Principal: map[string]string{"eve": "eve"}[name]})
		k.must(&queue.Attach{Session: id, Sink: name})
		if name != "server" {
			k.must(&queue.Create{Session: id, Queue: "tmp." + name, Temporary: true})
			k.must(&queue.Subscribe{Session: id, Queue: "tmp." + name, Credit: 1000, Sink: name})
		}
	}
	k.must(&queue.Create{Session: k.sessions["server"], Queue: "d"})
	k.must(&queue.Subscribe{Session: k.sessions["server"], Queue: "d", Credit: 10, Lease: keyLeases, Sink: "server"})
	k.makeMemory()
	k.sync()
	return k
}

func (k *keyPlay) makeMemory() {
	k.must(&queue.Create{Session: k.sessions["server"], Queue: "m", Options: queue.Options{Durability: queue.Memory}})
	k.must(&queue.Subscribe{Session: k.sessions["server"], Queue: "m", Credit: 10, Lease: keyLeases, Sink: "server"})
}

// do applies op and notes what callers are told, who take it at once.
func (k *keyPlay) do(op queue.Op) error {
	if err := k.state.Apply(k.now, op, &k.fx); err != nil {
		return err
	}
	var acks []queue.Op
	for _, c := range k.fx.Changes {
		k.open.change(c, func(uint64) *mMessage { return nil })
	}
	for _, d := range k.fx.Deliveries {
		m := d.Message
		if d.Sink == "server" {
			k.leases[m.ID] = d.Lease
			continue
		}
		text := string(m.Body)
		if m.Failure != nil {
			text = "failed"
		}
		k.told = append(k.told, fmt.Sprintf("%s %s %s", d.Consumer.Queue.Name, m.CorrelationID, text))
		acks = append(acks, &queue.Ack{Session: d.Consumer.Session.ID, Leases: []queue.Lease{d.Lease}})
	}
	result := k.fx.Result
	for _, ack := range acks {
		k.must(ack)
	}
	k.fx.Result = result
	return nil
}

func (k *keyPlay) must(op queue.Op) {
	k.Helper()
	if err := k.do(op); err != nil {
		k.Fatalf("%T: %v", op, err)
	}
}

// expects compares what callers were told in this step.
func (k *keyPlay) expects(what string, want ...string) {
	k.Helper()
	slices.Sort(k.told)
	slices.Sort(want)
	if !slices.Equal(k.told, want) {
		k.Errorf("%s: callers were told %q, want %q", what, k.told, want)
	}
	k.seen["told"] += len(want)
	k.told = nil
}

func (c *mCall) tells(text string) (all []string) {
	for _, w := range c.waiters {
		all = append(all, w+" "+text)
	}
	return all
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
	case n < 97:
		k.pass()
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
	case c.detached || len(c.waiters) > 0:
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

// publish tells all who wait for c.
func (k *keyPlay) publish(calls ...*mCall) {
	k.Helper()
	var want []string
	for _, c := range calls {
		want = append(want, c.tells(c.reply)...)
		c.synced, c.waiters = true, nil
	}
	k.expects("what is synced", want...)
}

func (k *keyPlay) sync() {
	k.commit()
	var safe []*mCall
	for _, c := range k.calls {
		if c.answered && !c.synced {
			safe = append(safe, c)
		}
	}
	k.publish(safe...)
	k.savedBack = maps.Clone(k.back)
	maps.Copy(k.savedBack, k.cancelled)
	k.saved = map[string]mCall{}
	for place, c := range k.calls {
		if place[:1] == "d" {
			k.saved[place] = *c
		}
	}
}

// pass lets time go by, in which replies are forgotten.
func (k *keyPlay) pass() {
	k.sync() // a reply that is not published is not forgotten
	end := k.now.Add(time.Duration(k.r.Int64N(int64(keyTTL))))
	for at := k.state.NextDeadline(); at != 0 && at <= end; at = k.state.NextDeadline() {
		k.now = max(k.now, at)
		k.must(&queue.Tick{})
	}
	k.now = end
	for place, c := range k.calls {
		if c.answered && c.expires <= k.now {
			delete(k.calls, place)
			k.seen["forgotten"]++
		}
	}
	k.expects("time")
}

// crash loses all but the disk; sessions come back at once.
func (k *keyPlay) crash() {
	k.seen["crash"]++
	k.epoch++
	k.open, k.leases = new(batch), map[queue.ID]queue.Lease{}
	var err error
	if k.state, err = queue.Restore(k.epoch, keyLimits, k.now, k.disk.begin(k.epoch), &k.fx); err != nil {
		k.Fatal(err)
	}
	for _, c := range k.fx.Changes {
		k.open.change(c, func(uint64) *mMessage { return nil })
	}
	k.back, k.cancelled = maps.Clone(k.savedBack), map[queue.ID]string{}
	k.calls = map[string]*mCall{}
	for place, c := range k.saved {
		c.waiters = nil
		if !c.answered && c.first != "" {
			c.waiters = []string{c.first}
		}
		k.calls[place] = &c
	}
	for _, name := range []string{"a", "b", "eve", "server"} {
		k.must(&queue.Attach{Session: k.sessions[name], Sink: name})
		k.must(&queue.Subscribe{Session: k.sessions[name], Consumer: 1, Sink: name})
	}
	k.makeMemory()
	k.expects("a crash")
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

// commit writes the open batch, and tells the State.
func (k *keyPlay) commit() {
	b := k.open
	b.close(k.state, &k.unsaved)
	k.open = new(batch)
	if err := k.disk.write(b); err != nil {
		k.Fatal(err)
	}
	k.must(&queue.Synced{Through: b.through})
}
