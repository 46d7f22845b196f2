package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

// Timeout bounds a call, as a deadline of its context does and as well as that: the
// earlier one counts. It costs less, because calls with the same timeout share a
// timer. Zero or less has passed already.
func Timeout(d time.Duration) CallOption { return timeout(d) }

type timeout time.Duration

func (d timeout) applyToCall(m *client.Message) { m.Timeout = max(time.Duration(d), 1) }

// alarms ends calls whose timeout has passed. Calls with the same timeout end in
// the order in which they began, so they stand in a line with one timer, which is
// for the first of them. The zero value is ready.
type alarms struct {
	mu    sync.Mutex
	lines map[time.Duration]*line
}

// A line is the calls with one timeout, oldest first.
type line struct {
	after       time.Duration
	first, last *waiter
	timer       *time.Timer // runs while the line is in alarms.lines
}

// set has w told of the timeout, unless it is unset before.
func (a *alarms) set(w *waiter, inbox *client.Inbox, id string, due time.Time, after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lines[after]
	if l == nil {
		l = &line{after: after}
		if a.lines == nil {
			a.lines = map[time.Duration]*line{}
		}
		a.lines[after] = l
		l.timer = time.AfterFunc(time.Until(due), func() { a.ring(l) })
	}
	w.line, w.inbox, w.id, w.due = l, inbox, id, due
	w.before = l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.behind = w
	}
	l.last = w
}

// unset takes w out of its line. Afterwards w is not told any more.
func (a *alarms) unset(w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.leaveLine()
}

// leaveLine takes w out of its line, if it is in one.
func (w *waiter) leaveLine() {
	l := w.line
	if l == nil {
		return
	}
	if w.before == nil {
		l.first = w.behind
	} else {
		w.before.behind = w.behind
	}
	if w.behind == nil {
		l.last = w.before
	} else {
		w.behind.before = w.before
	}
	w.line, w.inbox, w.before, w.behind = nil, nil, nil, nil
}

// ring tells the calls whose time is over. It runs on the timer's goroutine. The
// timer is not moved for each call that ends in time: it rings early, and looks.
func (a *alarms) ring(l *line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for l.first != nil && !l.first.due.After(now) {
		w := l.first
		inbox := w.inbox
		w.leaveLine()
		if inbox.Cancel(w.id) {
			w.tell(outcome{err: errAlarm}) // it has room: nobody else tells it now
		}
	}
	if l.first == nil {
		delete(a.lines, l.after)
		return
	}
	l.timer.Reset(l.first.due.Sub(now))
}

// errAlarm has a call end that had no reply within its Timeout.
var errAlarm = errors.New("no reply in time")

// errTimedOut is for a call that had no reply within its Timeout.
func errTimedOut(queue string, after time.Duration) *Error {
	return &Error{Origin: OriginLocal, Queue: queue, code: codes.DeadlineExceeded,
		cause: fmt.Errorf("no reply within %v: %w", after, context.DeadlineExceeded)}
}
