package queue_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// mCall is a call with a key as the model has it.
type mCall struct {
	id       queue.ID
	who      string
	detached bool
	restored bool     // others may have waited before a crash
	first    string   // who sent it first, and waits again after a crash
	waiters  []string // "queue corr"
	answered bool
	synced   bool
	reply    string
	expires  queue.Instant
}

type keyPlay struct {
	*testing.T
	r                         *rand.Rand
	state                     *queue.State
	fx                        queue.Effects
	now                       queue.Instant
	epoch                     uint64
	disk                      *disk
	open                      *batch
	unsaved                   queue.Unsaved
	consumers, savedConsumers map[string]queue.ConsumerID // of the reply queues, by name
	sessions                  map[string]queue.SessionID  // by name; a's reply queue is tmp.a
	corr                      int

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
		consumers: map[string]queue.ConsumerID{"server": 1}, cancelled: map[queue.ID]string{}, back: map[queue.ID]string{}, savedBack: map[queue.ID]string{}}
	for _, name := range []string{"server", "a", "b", "eve"} {
		id := k.state.NewSessionID()
		k.sessions[name] = id
		k.must(&queue.Login{Session: id, Name: name, Principal: map[string]string{"eve": "eve"}[name]})
		k.must(&queue.Attach{Session: id, Sink: name})
		if name != "server" {
			k.subscribe(name)
		}
	}
	k.must(&queue.Create{Session: k.sessions["server"], Queue: "d"})
	k.must(&queue.Subscribe{Session: k.sessions["server"], Queue: "d", Credit: 10, Lease: keyLeases, Sink: "server"})
	k.makeMemory()
	k.sync()
	return k
}

// subscribe makes a caller's reply queue.
func (k *keyPlay) subscribe(name string) {
	k.must(&queue.Create{Session: k.sessions[name], Queue: "tmp." + name, Temporary: true})
	k.must(&queue.Subscribe{Session: k.sessions[name], Queue: "tmp." + name, Credit: 1000, Sink: name})
	k.consumers[name] = k.fx.Consumer.ID
}

func (k *keyPlay) makeMemory() {
	k.must(&queue.Create{Session: k.sessions["server"], Queue: "m", Options: queue.Options{Durability: queue.Memory}})
	k.must(&queue.Subscribe{Session: k.sessions["server"], Queue: "m", Credit: 10, Lease: keyLeases, Sink: "server"})
}

// do applies op and notes what callers are told, who take it at once.
func (k *keyPlay) do(op queue.Op) error {
	if send, ok := op.(*queue.Send); ok && send.Digest == [16]byte{} {
		send.Digest = queue.DigestOf(send.Body)
	}
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
	k.savedConsumers = maps.Clone(k.consumers)
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
	k.consumers = maps.Clone(k.savedConsumers)
	k.calls = map[string]*mCall{}
	for place, c := range k.saved {
		c.waiters, c.restored = nil, !c.answered
		if !c.answered && c.first != "" {
			c.waiters = []string{c.first}
		}
		k.calls[place] = &c
	}
	for _, name := range []string{"a", "b", "eve", "server"} {
		k.must(&queue.Attach{Session: k.sessions[name], Sink: name})
		k.must(&queue.Subscribe{Session: k.sessions[name], Consumer: k.consumers[name], Sink: name})
	}
	k.makeMemory()
	k.expects("a crash")
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
