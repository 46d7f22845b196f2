package queue_test

import (
	"maps"
	"slices"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// The model is the switch as one would write it on a napkin: slices that are
// searched from the start, counts that are counted anew, deadlines that are
// compared one by one. It shares the operations' types with the core and none
// of its code, so a mistake would have to be made twice to go unseen.
type model struct {
	now       queue.Instant
	epoch     uint64
	limits    queue.Limits
	lastID    uint64
	lastLease queue.Lease
	queues    map[string]*mQueue
	sessions  map[queue.SessionID]*mSession
	producers []*mProducer // longest silent first
	draining  bool
	epochs    []queue.Epoch
	synced    uint64
	unsynced  []*mQueue                               // in the order in which Synced looks at them
	spills    func(name string, sequence uint64) bool // asks the core, which decides that
	out       outcome                                 // of the operation under way
	tie       bool                                    // two deadlines met, and their order is anybody's
}

// outcome is what an operation answers and causes.
type outcome struct {
	id             queue.ID
	duplicate      bool
	created        bool
	queue          string
	consumer       queue.ConsumerID
	count          int
	refused        []refused
	replyQueueGone bool
	cancel         queue.CancelState
	sync           bool
	deliveries     []delivery
	consumersEnded []queue.ConsumerEnded
	sessionsEnded  []queue.SessionEnded
	cancelled      []queue.Cancelled
	callersGone    []queue.Lease
}

type refused struct {
	lease queue.Lease
	err   error
}

type delivery struct {
	sink     any
	consumer *mConsumer
	message  *mMessage
	lease    queue.Lease
}

type mQueue struct {
	name      string
	owner     *mSession
	opts      queue.Options
	msgs      []*mMessage // oldest first
	consumers []*mConsumer
	line      []*mConsumer // who can take a delivery, longest idle first
	id        uint64       // of a durable queue
	last      uint64       // its newest message
	erased    uint64       // the newest removal of spilled ones
	// unseen are the sequences where the core expects messages on disk: it knows
	// their places only roughly.
	unseen   map[uint64]bool
	counters queue.Counters
}

type mMessage struct {
	id          queue.ID
	queue       *mQueue
	body        []byte
	corr        string
	replyTo     string
	caller      *mQueue
	callerGone  bool
	untold      bool   // its holder does not know that
	fail        error  // the switch's failure, on a reply
	handler     string // a handler's failure, on a reply
	dead        *mMessage
	deadTries   int
	sent        queue.Instant
	expires     queue.Instant
	attempts    int
	maxAttempts int
	require     bool
	request     bool // somebody waited for it in person when it was sent
	spilled     bool // it is on disk alone
	recorded    int  // attempts that the disk knows
	state       queue.MessageState
	back        queue.Instant // when a delay is over
	lease       queue.Lease
	leasedAt    queue.Instant
	leasedTo    queue.Instant
	holder      *mConsumer
}

type mConsumer struct {
	id          queue.ConsumerID
	session     *mSession
	queue       *mQueue
	credit      int
	creditBytes int
	lease       time.Duration
	sink        any
	push        bool
	pull        *mPull
	ended       bool
	held        []*mMessage // in the order of their leases
	service     string      // empty: it says nothing of itself
	stats       queue.ServiceStats
}

type mPull struct {
	sink     any
	messages int
	bytes    int
	taken    int
}

type mSession struct {
	id           queue.SessionID
	ttl, grace   time.Duration
	producer     string
	sink         any
	attached     bool
	lost         bool
	pulls        []any
	pulled       queue.ConsumerID
	seen         queue.Instant
	temporary    []*mQueue
	consumers    []*mConsumer
	ending       []*mConsumer
	lastConsumer queue.ConsumerID
}

type mProducer struct {
	name string
	high uint64
	sent map[uint64]uint64 // every sequence ever, and its message
	disk map[uint64]bool   // those of durable queues
	seen queue.Instant
}

func newModel(epoch uint64, l queue.Limits) *model {
	return &model{epoch: epoch, limits: l, lastLease: queue.Lease(epoch << 22), epochs: []queue.Epoch{{Epoch: epoch, First: 1}},
		queues: map[string]*mQueue{}, sessions: map[queue.SessionID]*mSession{}}
}

func (m *model) newID() queue.ID {
	m.lastID++
	return queue.ID{Epoch: m.epoch, Sequence: m.lastID}
}

// in counts the messages of q in a state.
func (q *mQueue) in(state queue.MessageState) int {
	n := 0
	for _, x := range q.msgs {
		if x.state == state {
			n++
		}
	}
	return n
}

// bytes are the body bytes of q; stuck are those that do not wait.
func (q *mQueue) bytes() (all, stuck int) {
	for _, x := range q.msgs {
		all += len(x.body)
		if x.state != queue.Waiting {
			stuck += len(x.body)
		}
	}
	return all, stuck
}

func (m *model) bytes() int {
	sum := 0
	for _, q := range m.queues {
		for _, x := range q.msgs {
			if !x.spilled {
				sum += len(x.body)
			}
		}
	}
	return sum
}

// first is the oldest message that waits, unless that is on disk alone, or may
// be.
func (q *mQueue) first() *mMessage {
	for _, x := range q.msgs {
		if x.state == queue.Waiting {
			if q.behind(x) {
				return nil
			}
			return x
		}
	}
	return nil
}

// behind reports whether x is on disk alone, or behind such messages.
func (q *mQueue) behind(x *mMessage) bool {
	for at := range q.unseen {
		if at <= x.id.Sequence {
			return true
		}
	}
	return false
}

func (x *mMessage) expired(now queue.Instant) bool { return x.expires != 0 && x.expires <= now }

// pending is the request that waits for a reply in q.
func (m *model) pending(q *mQueue, corr string) *mMessage {
	for _, x := range m.requests(q) {
		if x.corr == corr {
			return x
		}
	}
	return nil
}

// requests are all that wait for a reply in q, oldest first.
func (m *model) requests(q *mQueue) []*mMessage {
	var all []*mMessage
	for _, other := range m.queues {
		for _, x := range other.msgs {
			if x.caller == q {
				all = append(all, x)
			}
		}
	}
	slices.SortFunc(all, func(a, b *mMessage) int { return int(a.id.Sequence) - int(b.id.Sequence) })
	return all
}

// lookup finds a lease.
func (m *model) lookup(l queue.Lease) *mMessage {
	for _, q := range m.queues {
		for _, x := range q.msgs {
			if x.state == queue.Leased && x.lease == l {
				return x
			}
		}
	}
	return nil
}

func (c *mConsumer) heldBytes() int {
	n := 0
	for _, x := range c.held {
		n += len(x.body)
	}
	return n
}

func (c *mConsumer) target() any {
	if c.pull != nil {
		return c.pull.sink
	}
	return c.sink
}

func (c *mConsumer) open() bool {
	return !c.ended && (c.push || c.pull != nil && c.pull.messages > 0) && len(c.held) < c.credit
}

func (c *mConsumer) fits(n int) bool {
	return (len(c.held) == 0 || c.heldBytes()+n <= c.creditBytes) &&
		(c.pull == nil || c.pull.taken == 0 || n <= c.pull.bytes)
}

func without[T comparable](list []T, x T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(y T) bool { return y == x })
}

// wake lets c stand in line, if it can take something, and serves its queue.
func (m *model) wake(c *mConsumer) {
	switch {
	case !c.open():
		c.queue.line = without(c.queue.line, c)
	case !slices.Contains(c.queue.line, c):
		c.queue.line = append(c.queue.line, c)
	}
	m.dispatch(c.queue)
}

// dispatch gives the oldest message to the longest idle consumer. A consumer
// that can't take that message steps out of line.
func (m *model) dispatch(q *mQueue) {
	for (!m.draining || q.owner != nil) && len(q.line) > 0 && q.first() != nil {
		x, c := q.first(), q.line[0]
		if x.expired(m.now) {
			m.expire(x)
			continue
		}
		if q.id != 0 && x.id.Sequence > m.synced {
			return
		}
		q.line = without(q.line, c)
		if !c.open() || !c.fits(len(x.body)) {
			continue
		}
		m.deliver(x, c)
		if c.open() {
			q.line = append(q.line, c)
		}
	}
}

func (m *model) deliver(x *mMessage, c *mConsumer) {
	x.attempts++
	x.queue.counters.Delivered++
	if x.attempts > 1 {
		x.queue.counters.Redelivered++
	}
	m.lastLease++
	x.state, x.lease, x.leasedAt, x.leasedTo, x.holder = queue.Leased, m.lastLease, m.now, m.now.Add(c.lease), c
	c.stats.Delivered++
	c.held = append(c.held, x)
	if c.pull != nil {
		c.pull.messages--
		c.pull.taken++
		c.pull.bytes -= len(x.body)
		c.session.pulled = c.id
	}
	m.out.deliveries = append(m.out.deliveries, delivery{c.target(), c, x, x.lease})
}

// count counts what became of a delivery, which ends now.
func (m *model) count(x *mMessage, became func(*queue.ServiceStats) *uint64) {
	if c := x.holder; c != nil {
		*became(&c.stats)++
		c.stats.Busy += m.now.Sub(x.leasedAt)
	}
}

func replied(s *queue.ServiceStats) *uint64      { return &s.Replied }
func acked(s *queue.ServiceStats) *uint64        { return &s.Acked }
func cameBack(s *queue.ServiceStats) *uint64     { return &s.Returned }
func endedWithout(s *queue.ServiceStats) *uint64 { return &s.Ended }

// unlease frees x of its consumer.
func (m *model) unlease(x *mMessage) {
	c := x.holder
	if c == nil {
		return
	}
	c.held = without(c.held, x)
	if c.ended && len(c.held) == 0 {
		c.session.ending = without(c.session.ending, c)
	}
	x.holder, x.lease, x.leasedTo, x.untold = nil, 0, 0, false
}

// remove takes x out of its queue. Who held it is free again.
func (m *model) remove(x *mMessage) (holder *mConsumer) {
	holder = x.holder
	m.unlease(x)
	x.queue.msgs = without(x.queue.msgs, x)
	x.state, x.caller = 0, nil
	return holder
}

// discard ends x and tells nobody.
func (m *model) discard(x *mMessage) {
	if c := m.remove(x); c != nil {
		m.wake(c)
	}
}

// lose ends x and tells who waits for it.
func (m *model) lose(x *mMessage, why error) {
	to := m.replyQueue(x)
	c := m.remove(x)
	if to != nil {
		m.answer(to, &mMessage{corr: x.corr, fail: why})
	}
	if c != nil {
		m.wake(c)
	}
}

func (m *model) expire(x *mMessage) {
	x.queue.counters.Expired++
	m.count(x, endedWithout)
	m.lose(x, queue.ErrExpired)
}

func (m *model) drop(x *mMessage, why error) {
	x.queue.counters.Dropped++
	m.count(x, endedWithout)
	m.lose(x, why)
}

func (m *model) die(x *mMessage, why error) {
	q := x.queue
	q.counters.Dead++
	m.count(x, cameBack)
	m.lose(x, why)
	if q.opts.NoDeadLetter {
		return
	}
	d := m.queues[q.opts.DeadLetterQueue]
	if d == nil {
		if len(m.queues) >= m.limits.Queues {
			return
		}
		if q.opts.Durability == queue.Durable && !m.limits.DurableAvailable {
			return
		}
		d = m.newQueue(q.opts.DeadLetterQueue, queue.Options{Durability: q.opts.Durability, Overflow: queue.DropOldest, MaxAttempts: queue.MaxAttempts, NoDeadLetter: true})
		m.link(d)
	}
	m.makeRoom(d, len(x.body))
	m.enqueue(&mMessage{id: m.newID(), body: x.body, corr: x.corr, fail: why, dead: x, deadTries: x.attempts}, d, 0)
}

func (m *model) replyQueue(x *mMessage) *mQueue {
	if x.caller != nil {
		return x.caller
	}
	if q := m.queues[x.replyTo]; q != nil && q.owner == nil {
		return q
	}
	return nil
}

func (m *model) answer(to *mQueue, x *mMessage) {
	x.id = m.newID()
	m.out.sync = m.out.sync || to.id != 0
	m.enqueue(x, to, 0)
}

// enqueue puts x at the end of q.
func (m *model) enqueue(x *mMessage, q *mQueue, timeout time.Duration) {
	x.queue, x.state, x.sent = q, queue.Waiting, m.now
	if x.maxAttempts == 0 {
		x.maxAttempts = q.opts.MaxAttempts
	}
	for _, d := range []time.Duration{timeout, q.opts.MaxAge} {
		if at := m.now.Add(d); d != 0 && (x.expires == 0 || at < x.expires) {
			x.expires = at
		}
	}
	q.counters.Sent++
	q.msgs = append(q.msgs, x)
	if q.id != 0 {
		x.request = x.caller != nil || x.require
		before := q.last
		q.last = x.id.Sequence
		m.await(q)
		if x.spilled = m.spills(q.name, x.id.Sequence); x.spilled {
			q.spill(before, x.id.Sequence)
			return
		}
	}
	m.dispatch(q)
}

// makeRoom drops the oldest waiting messages until one of n bytes fits.
func (m *model) makeRoom(q *mQueue, n int) {
	for q.opts.Overflow == queue.DropOldest && q.first() != nil && (m.overQueue(q, n) || q.id == 0 && m.bytes()+n > m.limits.MemoryBytes) {
		m.drop(q.first(), queue.ErrDropped)
	}
}

func (m *model) overQueue(q *mQueue, n int) bool {
	all, _ := q.bytes()
	return len(q.msgs)+1 > q.opts.MaxMessages || all+n > q.opts.MaxBytes
}

// giveBack returns a leased message to its place, or ends it.
func (m *model) giveBack(x *mMessage, counts bool, delay time.Duration, why error) {
	switch {
	case x.expired(m.now):
		m.expire(x)
		return
	case counts && x.attempts >= x.maxAttempts:
		m.die(x, why)
		return
	case x.callerGone:
		m.count(x, endedWithout)
		m.discard(x)
		return
	}
	c := x.holder
	m.count(x, cameBack)
	m.unlease(x)
	if counts {
		x.recorded = x.attempts
	} else {
		x.attempts--
	}
	x.state = queue.Waiting
	if delay > 0 {
		x.state, x.back = queue.Delayed, m.now.Add(delay)
	}
	m.wake(c)
	if x.require && x.state != queue.Leased {
		m.checkServed(x.queue)
	}
}

// checkServed fails the requests of q that need a consumer, once it has none.
func (m *model) checkServed(q *mQueue) {
	if len(q.consumers) > 0 {
		return
	}
	for _, x := range slices.Clone(q.msgs) {
		if x.require && x.state != queue.Leased {
			m.drop(x, queue.ErrNoConsumer)
		}
	}
}

// deadline is when something must be done about x; zero for never.
func (x *mMessage) deadline() queue.Instant {
	switch x.state {
	case queue.Leased:
		if x.caller != nil && x.expires != 0 {
			return min(x.leasedTo, x.expires)
		}
		return x.leasedTo
	case queue.Delayed:
		if x.expires != 0 && x.expires < x.back {
			return x.expires
		}
		return x.back
	default:
		return x.expires
	}
}

func (s *mSession) deadline() queue.Instant {
	switch {
	case s.attached || len(s.pulls) > 0:
		return 0
	case s.lost:
		return s.seen.Add(s.grace)
	default:
		return s.seen.Add(s.ttl)
	}
}

// due is the earliest deadline and whose it is; zero when there is none.
func (m *model) due() (at queue.Instant, x *mMessage, s *mSession) {
	plain := false // its order among equals does not show
	see := func(d queue.Instant, dx *mMessage, ds *mSession) {
		isPlain := dx != nil && dx.state == queue.Waiting && dx.replyTo == ""
		switch {
		case d == 0 || at != 0 && d > at:
		case d == at:
			m.tie = m.tie || d <= m.now && (!plain || !isPlain)
		default:
			at, x, s, plain = d, dx, ds, isPlain
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.queues)) {
		for _, x := range m.queues[name].msgs {
			if x.spilled {
				continue // it ends when it is loaded, or looked at
			}
			see(x.deadline(), x, nil)
		}
	}
	for _, s := range m.sessions {
		see(s.deadline(), nil, s)
	}
	return at, x, s
}
