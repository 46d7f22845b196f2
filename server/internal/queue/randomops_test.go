package queue_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// choices are the operations, and how often each is tried.
var choices = []struct {
	weight int
	make   func(*game) queue.Op
}{
	{30, (*game).send}, {15, (*game).ack}, {13, (*game).reply}, {12, (*game).nack}, {8, (*game).pull},
	{7, (*game).closePull}, {5, (*game).subscribe}, {4, (*game).cancel}, {4, (*game).create}, {4, (*game).attach},
	{3, (*game).resume}, {3, (*game).login}, {3, (*game).extend}, {2, (*game).tick}, {2, (*game).renew},
	{2, (*game).detach}, {2, (*game).unsubscribe}, {1, (*game).destroy}, {1, (*game).purge}, {1, (*game).logout},
}

var choicesWeight = func() (sum int) {
	for _, c := range choices {
		sum += c.weight
	}
	return sum
}()

// choose makes some operation; nil when it would have nothing to work on.
func (g *game) choose() queue.Op {
	n := g.rand.IntN(choicesWeight)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.make(g)
		}
	}
	return nil
}

// relief takes messages away where nothing else bounds them.
func (g *game) relief() queue.Op {
	for _, q := range g.queuesSorted() {
		switch {
		case len(q.msgs) <= 2*g.messages+5:
		case q.owner == nil:
			return &queue.Purge{Queue: q.name}
		default:
			return &queue.Destroy{Session: q.owner.id, Queue: q.name}
		}
	}
	return nil
}

func (g *game) queuesSorted() []*mQueue {
	all := make([]*mQueue, 0, len(g.model.queues))
	for _, q := range g.model.queues {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b *mQueue) int { return cmp.Compare(a.name, b.name) })
	return all
}

// session is mostly a live one.
func (g *game) session() *mSession {
	if len(g.model.sessions) == 0 || g.rate(1) {
		return &mSession{id: 1}
	}
	return g.model.sessions[one(g, slices.Sorted(maps.Keys(g.model.sessions)))]
}

func (g *game) name() string {
	switch {
	case g.rate(3):
		return one(g, []string{"", "missing", "tmp.fake", string(make([]byte, 256))})
	case g.rate(5):
		return fmt.Sprintf("q%d.dead", g.rand.IntN(g.queues))
	}
	return fmt.Sprintf("q%d", g.rand.IntN(g.queues))
}

func (g *game) options() queue.Options {
	o := queue.Options{MaxMessages: 1 + g.rand.IntN(g.messages), MaxBytes: g.bytes, Overflow: queue.Reject,
		MaxAttempts: g.rand.IntN(4), Lease: g.lease(), NoDeadLetter: g.rate(30)}
	if g.rate(g.dropping) {
		o.Overflow = queue.DropOldest
	}
	if g.rate(g.maxAge) {
		o.MaxAge = g.span(time.Millisecond, 2*g.hurry)
	}
	if g.rate(20) {
		o.DeadLetterQueue = "dead"
	}
	if g.rate(1) || g.rate(g.durable) {
		o.Durability = queue.Durable
	}
	return o
}

func (g *game) lease() time.Duration {
	if g.rate(1) {
		return time.Millisecond
	}
	return g.span(100*time.Millisecond, 600*time.Millisecond)
}

func (g *game) login() queue.Op {
	if len(g.model.sessions) >= g.sessions {
		return nil
	}
	op := &queue.Login{Session: g.state.NewSessionID(), Name: "someone", TTL: g.span(time.Second, 4*time.Second),
		Grace: g.span(time.Millisecond, 2*time.Second)}
	if g.rate(50) {
		op.Producer = one(g, producers)
	}
	if g.rate(2) {
		op.TTL = time.Millisecond
	}
	return op
}

var producers = []string{"p0", "p1", "p2", "p3", "p4"}

func (g *game) attach() queue.Op {
	s := g.session()
	sink := g.sink()
	if g.rate(10) && s.sink != nil {
		sink = s.sink
	}
	return &queue.Attach{Session: s.id, Sink: sink}
}

func (g *game) detach() queue.Op {
	s := g.session()
	if g.rate(10) {
		return &queue.Detach{Session: s.id, Sink: g.sink()}
	}
	if s.sink == nil {
		return nil
	}
	return &queue.Detach{Session: s.id, Sink: s.sink}
}

func (g *game) renew() queue.Op  { return &queue.Renew{Session: g.session().id} }
func (g *game) logout() queue.Op { return &queue.Logout{Session: g.session().id} }
func (g *game) tick() queue.Op   { return &queue.Tick{} }

func (g *game) create() queue.Op {
	if g.rate(40) {
		return &queue.Create{Session: g.session().id, Queue: fmt.Sprintf("tmp.%d", g.step), Temporary: true}
	}
	op := &queue.Create{Session: g.session().id, Queue: g.name(), Options: g.options()}
	if q := g.model.queues[op.Queue]; q != nil && g.rate(70) {
		op.Options = queue.Options{MaxMessages: q.opts.MaxMessages}
	}
	return op
}

func (g *game) destroy() queue.Op {
	return &queue.Destroy{Session: g.session().id, Queue: g.anyQueue()}
}

func (g *game) anyQueue() string {
	if q := one(g, g.queuesSorted()); q != nil && g.rate(90) {
		return q.name
	}
	return g.name()
}

func (g *game) purge() queue.Op {
	op := &queue.Purge{Queue: g.anyQueue()}
	if q := g.model.queues[op.Queue]; q != nil && (g.rate(70) || g.disks != nil && g.rate(70)) {
		for range g.rand.IntN(4 + g.durable/20) {
			if x := one(g, q.msgs); x != nil {
				op.IDs = append(op.IDs, x.id)
			}
		}
		if g.rate(10) {
			op.IDs = append(op.IDs, queue.ID{Sequence: 1})
		}
		if g.disks != nil && g.rate(10) && len(op.IDs) > 0 {
			op.IDs[0].Epoch-- // it names nothing any more
		}
	}
	if q, err := g.state.QueueNamed(op.Queue); err == nil && g.disks != nil {
		op.Stored = g.disks.committed.find(q.Kept().ID, q.Spilled(op.IDs))
		if g.rate(50) {
			g.disks.purges = append(g.disks.purges, op)
			return nil
		}
	}
	return op
}

var body = bytes.Repeat([]byte("payload "), 200)

func (g *game) send() queue.Op {
	s := g.session()
	op := &queue.Send{Session: s.id, Queue: g.name(), Body: body[:g.rand.IntN(g.body+1)]}
	if g.rate(10) {
		op.Queue = g.anyQueue()
	}
	if g.rate(70) {
		op.Create, op.CreateOptions = true, g.options()
	}
	if g.rate(60) {
		op.CorrelationID = fmt.Sprintf("c%d", g.rand.IntN(12))
		switch own := one(g, s.temporary); {
		case own != nil && g.rate(80):
			op.ReplyTo = own.name
		case g.rate(60):
			op.ReplyTo = fmt.Sprintf("q%d", g.rand.IntN(g.queues))
		default:
			op.ReplyTo = g.anyQueue()
		}
	}
	if g.rate(g.deadline) {
		op.Timeout = g.span(time.Millisecond, g.hurry+time.Millisecond)
	}
	if g.rate(40) {
		g.key(s, op)
	}
	if g.rate(15) {
		op.MaxAttempts = 1 + g.rand.IntN(3)
	}
	op.RequireConsumer = g.rate(15)
	if g.rate(1) {
		op.Timeout = -1
	}
	return op
}

// key gives the Send a producer and a sequence: the next one, one of the last
// few, or one far away.
func (g *game) key(s *mSession, op *queue.Send) {
	if g.rate(50) {
		op.Producer = one(g, producers)
	}
	name := op.Producer
	if name == "" {
		name = s.producer
	}
	high := uint64(0)
	for _, p := range g.model.producers {
		if p.name == name {
			high = p.high
		}
	}
	switch n := g.rand.IntN(100); {
	case high == 0:
		op.Sequence = 1 + uint64(g.rand.IntN(10_000))
	case n < 50 || high < 20:
		op.Sequence = high + 1
	case n < 85:
		op.Sequence = high + 3 - uint64(g.rand.IntN(12))
	case n < 92:
		op.Sequence = high + uint64(g.rand.IntN(6000))
	default:
		op.Sequence = high - min(high-1, 4090+uint64(g.rand.IntN(12)))
	}
}

func (g *game) subscribe() queue.Op {
	s := g.session()
	op := &queue.Subscribe{Session: s.id, Queue: g.name(), Credit: g.rand.IntN(g.credit + 1), Lease: g.lease()}
	if own := one(g, s.temporary); own != nil && g.rate(50) {
		op.Queue = own.name
	}
	if g.rate(5) {
		op.Queue = g.anyQueue()
	}
	g.bind(op)
	if g.rate(50) {
		op.Create, op.CreateOptions = true, g.options()
	}
	return op
}

// bind says where the deliveries go, and how many.
func (g *game) bind(op *queue.Subscribe) {
	if !g.rate(g.pulls) {
		op.Sink = g.sink()
	}
	if g.rate(40) {
		op.CreditBytes = 1 + g.rand.IntN(2*g.body+1)
	}
	if g.rate(1) {
		op.Credit = 70_000
	}
	if g.rate(30) {
		op.Service, op.ServiceInfo = one(g, []string{"s1", "s2"}), make([]byte, g.rand.IntN(100))
	}
	switch {
	case g.rate(1):
		op.ServiceInfo = make([]byte, queue.MaxServiceBytes+1)
	case g.rate(1):
		op.Service, op.ServiceInfo = "", []byte("of nothing")
	}
}

func (g *game) resume() queue.Op {
	s := g.session()
	op := &queue.Subscribe{Session: s.id, Credit: g.rand.IntN(g.credit + 1), Consumer: g.consumerOf(s)}
	g.bind(op)
	op.AfterLease = g.after(s)
	if op.Consumer == 0 {
		return nil
	}
	return op
}

func (g *game) consumerOf(s *mSession) queue.ConsumerID {
	if c := one(g, s.consumers); c != nil && g.rate(95) {
		return c.id
	}
	return queue.ConsumerID(g.rand.IntN(10))
}

// after is a lease from which on to repeat; mostly none.
func (g *game) after(s *mSession) queue.Lease {
	c := one(g, s.consumers)
	switch {
	case g.rate(60):
		return 0
	case c != nil && len(c.held) > 0:
		return one(g, c.held).lease
	default:
		return 1
	}
}

func (g *game) unsubscribe() queue.Op {
	s := g.session()
	return &queue.Unsubscribe{Session: s.id, Consumer: g.consumerOf(s)}
}

func (g *game) pull() queue.Op {
	s := g.session()
	op := &queue.Pull{Session: s.id, Messages: g.rand.IntN(5), Sink: g.sink(), AfterLease: g.after(s)}
	if len(s.pulls) > 2 {
		return nil
	}
	if g.rate(40) {
		op.Consumers = []queue.ConsumerID{g.consumerOf(s)}
	}
	if g.rate(40) {
		op.Bytes = 1 + g.rand.IntN(3*g.body+1)
	}
	if g.rate(1) {
		op.Messages = 2000
	}
	return op
}

func (g *game) closePull() queue.Op {
	s := g.session()
	if len(s.pulls) == 0 {
		return nil
	}
	return &queue.ClosePull{Session: s.id, Sink: one(g, s.pulls)}
}

// held are some leases with the session that holds them; some are stale, and
// at times the session is another.
func (g *game) held() (queue.SessionID, []queue.Lease) {
	s := g.session()
	var all []queue.Lease
	for _, c := range slices.Concat(s.consumers, s.ending) {
		for _, x := range c.held {
			all = append(all, x.lease)
		}
	}
	if len(all) == 0 && g.rate(95) {
		return 0, nil
	}
	g.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if n := 1 + g.rand.IntN(2); len(all) > n {
		all = all[:n]
	}
	if g.rate(5) {
		all = append(all, one(g, g.stale))
	}
	if g.rate(3) {
		s = g.session()
	}
	return s.id, all
}

func (g *game) ack() queue.Op {
	if g.rate(25) {
		s := g.session()
		c := one(g, slices.Concat(s.consumers, s.ending))
		if c == nil || len(c.held) == 0 {
			return nil
		}
		return &queue.Ack{Session: s.id, Consumer: c.id, Through: one(g, c.held).lease - queue.Lease(g.rand.IntN(2))}
	}
	id, leases := g.held()
	if id == 0 {
		return nil
	}
	return &queue.Ack{Session: id, Leases: leases}
}

func (g *game) nack() queue.Op {
	id, leases := g.held()
	if id == 0 {
		return nil
	}
	op := &queue.Nack{Session: id, Leases: leases, Kind: queue.NackKind(g.rand.IntN(3)), Cause: "why not"}
	if op.Kind == queue.Retry && len(leases) == 1 && g.rate(50) {
		op.Delay = g.span(time.Millisecond, 500*time.Millisecond)
	}
	if g.rate(1) {
		op.Delay = -1
	}
	return op
}

func (g *game) extend() queue.Op {
	id, leases := g.held()
	if len(leases) > 1 { // else their deadlines would be equal
		leases = leases[:1]
	}
	if id == 0 {
		return nil
	}
	return &queue.Extend{Session: id, Leases: leases, Lease: g.lease()}
}

func (g *game) reply() queue.Op {
	id, leases := g.held()
	if len(leases) == 0 {
		return nil
	}
	op := &queue.Reply{Session: id, Lease: leases[0], Body: body[:g.rand.IntN(g.body+1)]}
	if g.rate(20) {
		op.Failure = []byte("it broke")
	}
	return op
}

func (g *game) cancel() queue.Op {
	s := g.session()
	op := &queue.Cancel{Session: s.id, ReplyTo: g.anyQueue(), CorrelationID: fmt.Sprintf("c%d", g.rand.IntN(12))}
	if own := one(g, s.temporary); own != nil && g.rate(95) {
		op.ReplyTo = own.name
		if all := g.model.requests(own); len(all) > 0 && g.rate(70) {
			op.CorrelationID = one(g, all).corr
		}
	}
	return op
}
