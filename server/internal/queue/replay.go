package queue

import (
	"cmp"
	"slices"
	"strings"
)

// Replay gives dead letters another try: each becomes a new message of the queue
// where it died, or of To, and leaves this one, all in one step. A letter that
// can't be moved is left alone and counted, with the first reason.
//
// The new message has a new id and no attempts behind it, and none of the
// switch's own headers. It counts as sent there, and the letter as acked here.
// Nothing is dropped to make room for it.
type Replay struct {
	Queue string
	To    string // empty: each to where it died
	// IDs are the letters. Empty: all that wait, and came after the sequence
	// After and up to Through (zero: the newest), oldest first, until Limit of
	// them were moved or left alone, or their bodies are large.
	IDs            []ID
	After, Through uint64
	Limit          int      // zero: MaxReplay
	Stored         []Stored // those that were on disk alone; what they hold is kept
}

const (
	// MaxReplay is how many letters one Replay looks at: the lock is held for it.
	MaxReplay = 1000
	// ReplayBytes is when a Replay without IDs stops: all it moves is one batch.
	ReplayBytes = 8 << 20
)

// letter is a message that may be replayed, in memory or on disk alone.
type letter struct {
	sequence uint64
	m        *Message // nil: it is stored
	st       *Stored
}

func (op *Replay) apply(s *State, fx *Effects) error {
	q, err := s.queue(op.Queue)
	switch {
	case err != nil:
		return err
	case q.Owner != nil:
		return errorf(ErrQueueNotYours, "queue %s is temporary: its replies are its owner's", quote(q.Name)).with("queue", q.Name)
	case len(op.IDs) > MaxReplay:
		return errorf(ErrInvalid, "%d messages in one request: at most %d", len(op.IDs), MaxReplay)
	case s.draining:
		return errShuttingDown()
	}
	if op.To != "" {
		if _, err := s.replayTo(q, op.To); err != nil {
			return err
		}
	}
	if len(op.IDs) > 0 {
		op.named(s, q, fx)
	} else {
		op.oldest(s, q, fx)
	}
	if q.id != 0 && fx.Count > 0 {
		fx.Sync = true
		s.unspilled(q)
		s.dispatch(q, fx) // what lies behind those that were spilled may be next
	}
	return nil
}

// named replays the letters of IDs.
func (op *Replay) named(s *State, q *Queue, fx *Effects) {
	letters := map[uint64]letter{}
	for _, l := range op.letters(q) {
		letters[l.sequence] = l
	}
	for _, id := range op.IDs {
		l, found := letters[id.Sequence]
		if !found || s.idOf(id.Sequence) != id && l.st != nil || l.m != nil && (l.m.ID != id || l.m.state == gone) {
			fx.leave(errorf(ErrMessageNotFound, "queue %s holds no message %s; it may be done", quote(q.Name), id).with("queue", q.Name))
			continue
		}
		op.replay(s, q, l, id, fx)
		delete(letters, id.Sequence) // it may be named twice
	}
}

// oldest replays those that wait.
func (op *Replay) oldest(s *State, q *Queue, fx *Effects) {
	limit, bytes := op.Limit, 0
	if limit <= 0 || limit > MaxReplay {
		limit = MaxReplay
	}
	through := op.Through
	if through == 0 {
		through = s.sequence
	}
	for _, l := range op.letters(q) {
		switch {
		case l.sequence <= op.After || l.m != nil && (l.m.state == leased || l.m.state == gone):
			continue
		case l.sequence > through:
			fx.Through = through
			return
		case fx.Count+fx.Left == limit || bytes >= ReplayBytes:
			fx.Through = l.sequence - 1
			return
		}
		bytes += l.size()
		op.replay(s, q, l, s.idOf(l.sequence), fx)
	}
	fx.Through = through
}

// letters are the messages of q that are in memory or in Stored, oldest first.
func (op *Replay) letters(q *Queue) []letter {
	var all []letter
	for _, m := range q.messages(q.count()) {
		all = append(all, letter{sequence: m.ID.Sequence, m: m})
	}
	for i := range op.Stored {
		if st := &op.Stored[i]; q.spilledAt(st.Sequence) {
			all = append(all, letter{sequence: st.Sequence, st: st})
		}
	}
	slices.SortFunc(all, func(a, b letter) int { return cmp.Compare(a.sequence, b.sequence) })
	return all
}

func (l *letter) size() int {
	if l.m != nil {
		return len(l.m.Body)
	}
	return len(l.st.Body)
}

// look is what a letter holds, wherever it is.
func (l *letter) look() Message {
	if l.m != nil {
		return Message{Body: l.m.Body, Headers: l.m.Headers, CorrelationID: l.m.CorrelationID, ReplyTo: l.m.ReplyTo,
			Sender: l.m.Sender, Expires: l.m.Expires, Failure: l.m.Failure}
	}
	return Message{Body: l.st.Body, Headers: l.st.Headers, CorrelationID: l.st.CorrelationID, ReplyTo: l.st.ReplyTo,
		Sender: l.st.Sender, Expires: l.st.Expires, Failure: failureOf(l.st.Failure)}
}

// replay moves one letter, or leaves it alone.
func (op *Replay) replay(s *State, q *Queue, l letter, id ID, fx *Effects) {
	m := l.look()
	if l.st != nil && m.expired(s.now) {
		return // the sweep ends it; what was read of the disk may be older than that
	}
	to, err := op.admit(s, q, l, &m, id)
	if err != nil {
		fx.leave(err)
		return
	}
	letter := l.m
	if letter == nil {
		letter = s.pick(q, l.st)
		q.cut(l.sequence)
	} else {
		m.Body = letter.KeepBody()
	}
	own := func(h Header) bool { return strings.HasPrefix(h.Key, HeaderPrefix) }
	m.Headers = slices.DeleteFunc(slices.Clone(m.Headers), own)
	m.ID, m.Sent, m.Expires, m.maxAttempts = s.newID(), s.now, expiry(s.now, 0, to.Options.MaxAge), to.Options.MaxAttempts
	to.counters.Sent++
	fx.Sync = fx.Sync || to.id != 0
	fx.Count++
	s.enqueue(s.message(m), to, fx)
	s.done(letter, MessageAcked, fx)
}

// admit finds the queue that takes the letter, or says why none does.
func (op *Replay) admit(s *State, q *Queue, l letter, m *Message, id ID) (*Queue, error) {
	switch {
	case l.m != nil && l.m.state == leased:
		return nil, errorf(ErrLeaseNotYours, "message %s is held by a consumer of queue %s; replay it when it is back", id, quote(q.Name)).with("queue", q.Name)
	case m.ReplyTo != "":
		return nil, errorf(ErrInvalid, "message %s is a request, whose caller waits for queue %s; only what needs no reply can be moved", id, quote(q.Name)).with("queue", q.Name)
	}
	name := op.To
	for _, h := range m.Headers {
		if op.To == "" && h.Key == HeaderDeadQueue {
			name = h.Value
		}
	}
	if name == "" {
		return nil, errorf(ErrInvalid, "message %s does not say where it died: it has no header %s; name the queue that it is for", id, HeaderDeadQueue).with("queue", q.Name)
	}
	to, err := s.replayTo(q, name)
	if err != nil {
		return nil, err
	}
	if err := (&Send{Body: m.Body}).admit(s, to, false); err != nil {
		return nil, err
	}
	if to.count()+1 > to.Options.MaxMessages || to.bytes+len(m.Body) > to.Options.MaxBytes {
		return nil, errorf(ErrQueueFull, "queue %s is full, and would drop its oldest message; take some off first", quote(to.Name)).with("queue", to.Name)
	}
	return to, nil
}

// replayTo is the queue of that name, if letters of q may go there.
func (s *State) replayTo(q *Queue, name string) (*Queue, error) {
	to, err := s.queue(name)
	switch {
	case err != nil:
		return nil, err
	case to == q:
		return nil, errorf(ErrInvalid, "queue %s is where the messages are; name another one", quote(name)).with("queue", to.Name)
	case to.Owner != nil:
		return nil, errorf(ErrQueueNotYours, "queue %s is temporary; name one that is not", quote(name)).with("queue", to.Name)
	}
	return to, nil
}

// leave counts a letter that was left alone.
func (e *Effects) leave(why error) {
	e.Left++
	if e.LeftErr == nil {
		e.LeftErr = why
	}
}
