package queue

// State is everything that the switch knows. Make one with New. It is not safe
// for concurrent use: its owner calls one method at a time.
type State struct {
	limits Limits
	epoch  uint64

	// Set by each Apply.
	now Instant

	// The durable half: what a store brings back.
	queues    map[string]*Queue // the named ones
	producers map[string]*producer
	sequence  uint64            // of the last message id, or durable queue
	stored    map[uint64]*Queue // the durable queues
	keyed     map[ID]*Keyed     // by the request; those of memory queues too
	epochs    []Epoch           // the last of them is this start's

	// The session half: it ends with the process, or with its sessions.
	temporary   map[string]*Queue
	sessions    map[SessionID]*Session
	lately      *Session // the last that was looked up; it lives
	leases      leaseTable
	parents     map[ID]*Message // those that have had children
	held        int             // leases on named queues
	lastLease   Lease
	lastSession SessionID
	timers      timers
	bytes       int      // bodies in all queues that are in memory, and keyed calls
	kept        int      // what keyed calls take of bytes
	answered    []*Keyed // whose replies are on their way to the disk, in that order
	resident    int      // what messages of durable queues take in memory
	reserved    int      // what Loads under way may add to that
	synced      uint64   // messages up to this sequence are on disk
	unsynced    []*Queue // for Synced to look at
	looked      []*Queue // empty: memory that Synced uses again
	awaiting    []*Queue // whose awaits is not synced; they may be destroyed
	dirt        dirt
	draining    bool
	latest      *producer    // that was looked up; it is remembered
	full        string       // why the disk takes nothing new; empty: it does
	quiet       producerList // producers by silence, longest first
	trace       Trace
	// What the Services of all consumers take; at most MaxServicesBytes.
	servicesBytes int

	// Memory of messages that are gone: those of the last Apply may still be read.
	retired, free []*Message
}

// maxFree bounds the messages whose memory is kept: as many as a busy client
// has under way.
const maxFree = 1024

// New is an empty state. The epoch must be larger than that of every earlier
// start: ids are made of it.
func New(epoch uint64, limits Limits) *State {
	l := limits.withDefaults()
	return &State{
		limits:      l,
		epoch:       epoch,
		queues:      map[string]*Queue{},
		producers:   map[string]*producer{},
		stored:      map[uint64]*Queue{},
		keyed:       map[ID]*Keyed{},
		epochs:      []Epoch{{epoch, 1}},
		temporary:   map[string]*Queue{},
		sessions:    map[SessionID]*Session{},
		lastLease:   Lease(epoch << leaseBits),
		lastSession: SessionID(epoch << leaseBits),
		trace:       newTrace(l.TraceEvents),
	}
}

// Apply does op at the instant now and tells in fx what it caused. On an error
// the state is as it was, and fx holds nothing. Instants never go back.
func (s *State) Apply(now Instant, op Op, fx *Effects) error {
	fx.reset()
	s.recycle()
	s.now = max(s.now, now)
	return op.apply(s, fx)
}

// message is m in memory of its own.
func (s *State) message(m Message) *Message {
	p := s.newMessage()
	m.room, m.timer = p.room, p.timer
	*p = m
	return p
}

// newMessage is an empty message. A call makes two, which were half of the
// switch's garbage.
func (s *State) newMessage() (m *Message) {
	last := len(s.free) - 1
	if last < 0 {
		return new(Message)
	}
	m, s.free = s.free[last], s.free[:last]
	return m
}

// recycle frees the memory of the messages that the last Apply ended.
func (s *State) recycle() {
	for i, m := range s.retired {
		s.retired[i] = nil
		if m.buffer != nil {
			m.buffer.Free()
		}
		if len(s.free) == maxFree {
			s.timers.drop(&m.timer)
			continue
		}
		m.clear()
		s.free = append(s.free, m)
	}
	s.retired = s.retired[:0]
}

// NextDeadline is when the next Tick is due; zero when nothing is. It may come too
// early: then that Tick does nothing.
func (s *State) NextDeadline() Instant {
	return s.timers.next()
}

// Limits are the limits in force, defaults filled in.
func (s *State) Limits() Limits { return s.limits }

// Held is how many leases on named queues are held. Replies that their callers
// have not acked yet are not among them.
func (s *State) Held() int { return s.held }

// NewSessionID is an id for the next Login.
func (s *State) NewSessionID() SessionID {
	s.lastSession++
	return s.lastSession
}

func (s *State) newID() ID {
	s.sequence++
	return ID{Epoch: s.epoch, Sequence: s.sequence}
}

// tickBatch bounds what one Tick does, so that a million deadlines at one
// instant do not hold the switch up; NextDeadline stays in the past meanwhile.
const tickBatch = 1000

func (*Tick) apply(s *State, fx *Effects) error {
	for range tickBatch {
		t, due := s.timers.first(s.now)
		if t == nil {
			break
		}
		if due {
			t.owner.due(s, fx)
		}
		s.timers.settle(t)
	}
	return nil
}

func (*Drain) apply(s *State, _ *Effects) error {
	s.draining = true
	return nil
}

// queueAgain is queue for a name that will be asked for again: it looks at what
// was found the last time first.
func (s *State) queueAgain(last **Queue, name string) (*Queue, error) {
	if q := *last; q != nil && !q.destroyed && q.Name == name {
		return q, nil
	}
	q, err := s.queue(name)
	*last = q
	return q, err
}

// queue finds a queue by name.
func (s *State) queue(name string) (*Queue, error) {
	if q := s.queues[name]; q != nil {
		return q, nil
	}
	if q := s.temporary[name]; q != nil {
		return q, nil
	}
	if err := checkQueueName(name); err != nil {
		return nil, err
	}
	return nil, errorf(ErrQueueNotFound, "there is no queue %s; create it, or check the name", quote(name)).with("queue", name)
}

func errShuttingDown() error {
	return errorf(ErrShuttingDown, "the switch is shutting down; retry when it is back")
}
