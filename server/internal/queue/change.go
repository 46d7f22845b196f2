package queue

// A Change is what a store has to keep of an operation on a durable queue. The
// operation has been applied; its answer waits for the sync when Effects.Sync
// says so, and the deliveries of new messages wait in the State, for Synced. So does
// the first part of a stream.
type Change struct {
	Kind        ChangeKind
	Queue       *Queue
	Message     *Message // of MessageStored, MessageGone, AttemptsCounted
	Attempts    int      // of AttemptsCounted
	First, Last uint64   // of RunGone: sequences
	Keyed       *Keyed   // of KeyStored, KeyGone
}

// ChangeKind says what a Change is.
type ChangeKind uint8

// The kinds of Change.
const (
	_               ChangeKind = iota
	QueueStored                // Queue is new
	QueueGone                  // Queue is gone, with all that is in it
	MessageStored              // Message is new in Queue
	MessageGone                // Message has left Queue for good
	AttemptsCounted            // Attempts of Message are to be remembered; by now it may be delivered again
	RunGone                    // those from First to Last have left Queue
	KeyStored                  // Keyed is new, or has been answered, in Queue
	KeyGone                    // Keyed is forgotten
)

// Unsaved is what a store keeps once for many operations: the newest form of
// what changed since the last TakeUnsaved.
type Unsaved struct {
	Sequence      uint64 // of the last message or queue
	Queues        []*Queue
	Sessions      []*Session
	SessionsGone  []SessionID
	Windows       []Window
	ProducersGone []string
}

// dirt is what has changed and waits for TakeUnsaved.
type dirt struct {
	queues        []*Queue
	sessions      []*Session
	sessionsGone  []SessionID
	producers     []*producer
	producersGone []string
}

// HasUnsaved reports whether TakeUnsaved would find something.
func (s *State) HasUnsaved() bool {
	d := &s.dirt
	return len(d.queues)+len(d.sessions)+len(d.sessionsGone)+len(d.producers)+len(d.producersGone) > 0
}

// TakeUnsaved fills u, whose memory is used again. What it holds may be read
// until the next Apply.
func (s *State) TakeUnsaved(u *Unsaved) {
	d := &s.dirt
	*u = Unsaved{Sequence: s.sequence, Queues: u.Queues[:0], Sessions: u.Sessions[:0], Windows: u.Windows[:0],
		SessionsGone: append(u.SessionsGone[:0], d.sessionsGone...), ProducersGone: append(u.ProducersGone[:0], d.producersGone...)}
	for _, q := range d.queues {
		q.dirty = false
		if s.stored[q.id] == q {
			u.Queues = append(u.Queues, q)
		}
	}
	for _, sess := range d.sessions {
		sess.dirty = false
		if s.sessions[sess.ID] == sess {
			sess.stored = true
			u.Sessions = append(u.Sessions, sess)
		}
	}
	for _, p := range d.producers {
		if s.producers[p.name] == p {
			u.Windows = p.unsaved(u.Windows)
		}
		p.dirty = false
	}
	clear(d.queues)
	clear(d.sessions)
	clear(d.producers)
	*d = dirt{d.queues[:0], d.sessions[:0], d.sessionsGone[:0], d.producers[:0], d.producersGone[:0]}
}

// changed notes that a session has to be stored anew. Sessions are kept so that
// a restart is a blip to their clients.
func (s *State) changed(sess *Session) {
	if s.limits.DurableAvailable && !sess.dirty {
		sess.dirty = true
		s.dirt.sessions = append(s.dirt.sessions, sess)
	}
}

// counted notes that the counts of a durable queue have to be stored anew.
func (s *State) counted(q *Queue) {
	if !q.dirty {
		q.dirty = true
		s.dirt.queues = append(s.dirt.queues, q)
	}
}

// Synced says that everything is on disk that was applied when the last
// sequence was Through: those messages may be delivered.
type Synced struct{ Through uint64 }

func (op *Synced) apply(s *State, fx *Effects) error {
	s.synced = max(s.synced, op.Through)
	s.publishSynced(fx)
	s.deliverBegun(fx)
	s.unsynced, s.looked = s.looked, s.unsynced
	for _, q := range s.looked {
		if q.waitsSync = max(q.last, q.erased) > s.synced && s.stored[q.id] == q; q.waitsSync {
			s.unsynced = append(s.unsynced, q)
		}
		if s.stored[q.id] == q {
			s.dispatch(q, fx)
		}
	}
	clear(s.looked)
	s.looked = s.looked[:0]
	return nil
}

// awaitSync has Synced look at q.
func (s *State) awaitSync(q *Queue) {
	if !q.waitsSync {
		q.waitsSync = true
		s.unsynced = append(s.unsynced, q)
	}
}

// store notes a new message of a durable queue.
func (s *State) store(m *Message, fx *Effects) {
	q := m.queue
	q.last = m.ID.Sequence
	m.request = m.caller != nil || m.requireConsumer || m.keyed != nil || m.startBy != 0
	if m.Expires != 0 && (q.earliest == 0 || m.Expires < q.earliest) {
		q.earliest = m.Expires
	}
	fx.Changes = append(fx.Changes, Change{Kind: MessageStored, Queue: q, Message: m})
	s.counted(q)
	s.awaitSync(q)
}

// unstore notes that a message has left its queue, if that is durable.
func (s *State) unstore(m *Message, fx *Effects) {
	q := m.queue
	if q.id == 0 || s.stored[q.id] != q {
		return
	}
	fx.Changes = append(fx.Changes, Change{Kind: MessageGone, Queue: q, Message: m})
	s.uncounted(q)
}

// uncounted notes that q has fewer messages.
func (s *State) uncounted(q *Queue) {
	s.counted(q)
	if q.count() == 0 {
		q.earliest = 0
	}
}
