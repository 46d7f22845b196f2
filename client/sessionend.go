package client

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// orphanage is how long after an attempt that was given up its Login may still
// be on the way, to take the session from a later stream of our own.
const orphanage = time.Minute

// lost takes the end of a stream, or of an attempt. It is false when the client
// is to end.
func (l *loop) lost(err error) bool {
	c := l.c
	c.mu.Lock()
	session, grace, closing := c.token != "", c.limits.grace, c.shut != nil
	c.stream = nil
	c.mu.Unlock()
	l.orphans = nil
	switch {
	case closing || c.ctx.Err() != nil:
		return false
	case errors.Is(err, ErrSuperseded) && (l.orphaned.IsZero() || time.Since(l.orphaned) > orphanage):
		c.log.Error("another stream has taken the session", "err", err)
		c.mu.Lock()
		c.shutLocked(err)
		c.mu.Unlock()
		return false
	case !session:
		c.log.Warn("no session", "err", err)
		l.endSession(err, false)
		return true
	case errors.Is(err, ErrSessionEnded) || errors.Is(err, ErrTokenInvalid) || errors.Is(err, ErrSessionNotYours):
		c.log.Warn("the session has ended; beginning another", "err", err)
		l.endSession(err, true)
		return true
	case hopeless(err):
		c.log.Error("the session can't go on", "err", err)
		l.endSession(err, false)
		return true
	}
	if l.loggedIn {
		l.until = time.Now().Add(grace)
		c.log.Warn("connection lost; resuming", "err", err, "grace", grace)
	}
	return l.pauseToResume(err)
}

// pauseToResume waits for the next attempt, or gives the session up.
func (l *loop) pauseToResume(err error) bool {
	left := time.Until(l.until)
	if left <= 0 {
		l.c.log.Warn("the grace has passed; the session is given up", "err", err)
		l.endSession(err, false)
		return true
	}
	timer := time.NewTimer(min(l.pause(), left))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.c.ctx.Done():
		return false
	}
}

// hopeless reports whether trying the same again must end the same: the switch
// refused the stream, or what was on it.
func hopeless(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated,
		codes.Unimplemented, codes.NotFound, codes.ResourceExhausted, codes.OutOfRange:
		return !errors.Is(err, ErrLimitReached)
	default:
		return false
	}
}

// endSession forgets the session. With again, what can be done in a new session
// waits for that; all else fails with why.
func (l *loop) endSession(why error, again bool) {
	c := l.c
	var failed []*call
	c.mu.Lock()
	if c.token != "" {
		why = sessionLost(why)
	}
	c.token = ""
	c.epoch++
	calls, lost := c.out.reset()
	if again {
		failed = c.redoLocked(calls)
	} else {
		failed = append(calls, c.logins...)
		c.logins = nil
	}
	for _, s := range c.subs {
		s.consumer = 0
	}
	broken := c.sendersLocked(func(half) bool { return true })
	c.makeRoomLocked()
	subs, inboxes := c.subs, slices.Clone(c.inboxes)
	c.subs = nil
	for _, s := range subs {
		if s.inbox == nil && !s.stopped {
			c.subs = append(c.subs, s)
		}
	}
	c.mu.Unlock()
	clear(l.consumers)
	clear(l.holders)
	l.orphans, l.answers, l.resent = nil, 0, 0
	for _, k := range failed {
		c.finish(k, answer{err: why, lost: true})
	}
	for _, told := range lost {
		told(why)
	}
	for _, s := range broken {
		s.fail(why)
	}
	for _, i := range inboxes {
		i.lost(why)
	}
}

// redoLocked says once more what can be done again, and returns the rest.
func (c *Client) redoLocked(calls []*call) (rest []*call) {
	for _, k := range calls {
		if !k.redo || k.left || c.out.add(k) != nil {
			rest = append(rest, k)
		}
	}
	return rest
}

// sessionLost is why as an error of everything that the session took with it.
func sessionLost(why error) error {
	if errors.Is(why, ErrSessionLost) || errors.Is(why, ErrClosed) {
		return why
	}
	return &Error{Code: codes.Unavailable, Reason: ReasonOf(why), Message: "the session was lost: " + why.Error(), cause: errors.Join(ErrSessionLost, why)}
}

// over ends everything for good.
func (l *loop) over(why error) {
	l.endSession(why, false)
	c := l.c
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	for _, s := range subs {
		s.end(why)
	}
}
