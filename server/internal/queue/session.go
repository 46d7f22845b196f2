package queue

import (
	"slices"
	"time"
)

// Session is one client: it owns temporary queues, consumers and leases. While
// a stream is attached or a Pull is open it lives; without one it lives for its
// TTL after the last call, or for its grace after a stream was lost.
type Session struct {
	ID        SessionID
	Name      string
	Principal string
	TTL       time.Duration
	Grace     time.Duration
	Began     Instant

	producer     string // of Sends that name none
	sendsTo      *Queue // the last one, and the one for its reply; they may be gone
	repliesTo    *Queue
	attached     bool
	sink         any        // the stream's
	lost         bool       // its stream was lost, and it has not called since
	pulls        int        // open ones
	pulled       ConsumerID // that was last given a delivery by one
	seen         Instant
	timer        timer // when it ends, if it is not seen again
	temporary    []*Queue
	consumers    []*Consumer // by ID
	ending       []*Consumer // ended, but still holding leases
	lastConsumer ConsumerID
	leases       int
	dirty        bool // it is in State.dirt
	stored       bool // a store knows it
}

// Connected reports whether a stream or a Pull is open, or its TTL runs.
func (sess *Session) Connected() bool { return !sess.lost }

// Expires is when it ends if it stays silent; zero while connected by a stream
// or a Pull.
func (sess *Session) Expires() Instant {
	switch {
	case sess.attached || sess.pulls > 0:
		return 0
	case sess.lost:
		return sess.seen.Add(sess.Grace)
	default:
		return sess.seen.Add(sess.TTL)
	}
}

// schedule sets the timer. A timer that is early only asks again, so a session
// that calls often does not move it each time.
func (sess *Session) schedule(s *State) {
	at := sess.Expires()
	if at != 0 && sess.timer.at != 0 && sess.timer.at <= at {
		return
	}
	s.timers.set(&sess.timer, at, sess)
}

// due ends a session that stayed silent.
func (sess *Session) due(s *State, fx *Effects) {
	if at := sess.Expires(); at == 0 || at > sess.timer.at {
		s.timers.stop(&sess.timer)
		sess.schedule(s)
		return
	}
	s.endSession(sess, errSessionEnded(), false, fx)
}

func errSessionEnded() *Error {
	return errorf(ErrSessionEnded, "the session has ended; log in again")
}

// session finds a live session, and renews it.
func (s *State) session(id SessionID) (*Session, error) {
	sess := s.lately
	if sess == nil || sess.ID != id {
		if sess = s.sessions[id]; sess == nil {
			return nil, errSessionEnded()
		}
		s.lately = sess
	}
	if !sess.attached {
		sess.seen, sess.lost = s.now, false
		sess.schedule(s)
	}
	return sess, nil
}

// Session is a live session by id, for reading; nil when it has ended.
func (s *State) Session(id SessionID) *Session { return s.sessions[id] }

// consumer finds a consumer of the session.
func (sess *Session) consumer(id ConsumerID) (*Consumer, error) {
	for _, c := range sess.consumers {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, errorf(ErrConsumerNotFound, "the session has no consumer %d; subscribe first", id)
}

func (sess *Session) disown(q *Queue) {
	i := slices.Index(sess.temporary, q)
	sess.temporary = slices.Delete(sess.temporary, i, i+1)
}

func (op *Login) apply(s *State, _ *Effects) error {
	for _, err := range []error{
		checkName("client name", op.Name),
		inRange("ttl_ms", op.TTL, MinTTL, MaxTTL),
		inRange("grace_ms", op.Grace, time.Millisecond, MaxTTL),
		checkProducer(op.Producer),
	} {
		if err != nil {
			return err
		}
	}
	if s.draining {
		return errShuttingDown()
	}
	if n := len(s.sessions); n >= s.limits.Sessions {
		return errorf(ErrLimitReached, "there are %d sessions, as many as the switch may have; log out some", n).with("limit", "sessions")
	}
	sess := &Session{ID: op.Session, Name: op.Name, Principal: op.Principal, TTL: op.TTL, Grace: op.Grace,
		Began: s.now, seen: s.now, producer: op.Producer}
	if sess.Name == "" {
		sess.Name = "anonymous"
	}
	if sess.TTL == 0 {
		sess.TTL = DefaultTTL
	}
	if sess.Grace == 0 {
		sess.Grace = DefaultGrace
	}
	s.sessions[op.Session] = sess
	sess.schedule(s)
	s.changed(sess)
	s.record(Event{Kind: SessionBegan, Sender: sess.Name})
	return nil
}

func (op *Renew) apply(s *State, _ *Effects) error {
	_, err := s.session(op.Session)
	return err
}

func (op *Attach) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	if sess.sink != nil && sess.sink != op.Sink {
		fx.SessionsEnded = append(fx.SessionsEnded, SessionEnded{sess.sink, sess.ID,
			errorf(ErrSuperseded, "another stream has attached the session; use one at a time")})
		s.unbind(sess)
	}
	sess.attached, sess.sink, sess.lost = true, op.Sink, false
	sess.schedule(s)
	return nil
}

func (op *Retell) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	for _, c := range sess.ending {
		s.retell(c, true, fx)
	}
	return nil
}

func (op *Detach) apply(s *State, _ *Effects) error {
	sess := s.sessions[op.Session]
	if sess == nil || sess.sink != op.Sink {
		return nil // it ended, or another stream took over
	}
	s.unbind(sess)
	sess.attached, sess.sink = false, nil
	sess.lost, sess.seen = true, s.now
	sess.schedule(s)
	return nil
}

// unbind stops deliveries to the session's stream until its consumers are
// resumed.
func (s *State) unbind(sess *Session) {
	for _, c := range sess.consumers {
		if c.push {
			c.push, c.sink = false, nil
			c.Queue.ready.remove(c)
		}
	}
}

func (op *Logout) apply(s *State, fx *Effects) error {
	sess, err := s.session(op.Session)
	if err != nil {
		return err
	}
	s.endSession(sess, errorf(ErrSessionEnded, "the session has logged out; log in again"), true, fx)
	return nil
}

// endSession is one step: deliveries return, consumers and temporary queues go,
// streams are told.
func (s *State) endSession(sess *Session, why error, clean bool, fx *Effects) {
	delete(s.sessions, sess.ID)
	if s.lately == sess {
		s.lately = nil
	}
	if sess.stored {
		s.dirt.sessionsGone = append(s.dirt.sessionsGone, sess.ID)
	}
	s.timers.drop(&sess.timer)
	fx.SessionsEnded = append(fx.SessionsEnded, SessionEnded{sess.sink, sess.ID, why})
	for _, c := range sess.consumers {
		if c.pull != nil {
			fx.ConsumersEnded = append(fx.ConsumersEnded, ConsumerEnded{c.pull.sink, c.ID, why})
		}
	}
	s.record(Event{Kind: SessionOver, Sender: sess.Name})
	// Consumers first: nothing that the rest causes may be delivered to them.
	served := make([]*Queue, 0, len(sess.consumers))
	for len(sess.consumers) > 0 {
		c := sess.consumers[len(sess.consumers)-1]
		served = append(served, c.Queue)
		s.end(c)
	}
	for len(sess.temporary) > 0 {
		s.destroy(sess.temporary[len(sess.temporary)-1], sess.Name, fx)
	}
	for len(sess.ending) > 0 {
		m := sess.ending[0].held.head
		s.giveBack(m, comeback{counts: !clean, why: errServerGone(m), kind: ErrServerGone}, fx)
	}
	for _, q := range served {
		s.checkServed(q, fx)
	}
}
