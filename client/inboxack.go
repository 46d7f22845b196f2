package client

import (
	"time"

	"github.com/d3b0a776/switch/proto/frames"
)

// Replies are acked with the next stream message that goes out, or by one of
// their own: after so many, so many body bytes, or so much time.
const (
	inboxAckReplies = 1024
	inboxAckBytes   = 64 << 10
	inboxAckDelay   = 50 * time.Millisecond
)

// note takes a reply. The session loop settles it at the end of the stream
// message, so that many replies meet under one hold of the lock.
func (i *Inbox) note(l *loop, a arrival) {
	if len(i.fresh) == 0 {
		l.touched = append(l.touched, i)
	}
	i.fresh = append(i.fresh, a)
}

// An answered request is one whose Pending is about to be told.
type answered struct {
	told  Pending
	reply Reply
}

// settleLocked finds out who waits for what came in one stream message. A reply
// that nobody waits for is only acked: its request was cancelled, or its first
// ack was lost in a crash of the switch.
func (i *Inbox) settleLocked(out []answered) []answered {
	if len(i.fresh) == 0 {
		return out
	}
	for n := range i.fresh {
		a := &i.fresh[n]
		if r, waits := i.waiting[a.id]; waits {
			delete(i.waiting, a.id)
			out = append(out, answered{r.told, a.reply})
		}
		i.through = a.lease
		i.bytes += len(a.reply.Body)
	}
	i.unacked += len(i.fresh)
	clear(i.fresh)
	i.fresh = i.fresh[:0]
	if i.unacked >= inboxAckReplies || i.bytes >= inboxAckBytes {
		i.client.out.due = true
	} else if !i.armed && !i.closed {
		i.armLocked()
	}
	return out
}

// armLocked sets the timer that acks what nothing else has acked. It runs
// through: a reply in its time costs nothing.
func (i *Inbox) armLocked() {
	i.armed, i.seen = true, true
	if i.timer == nil {
		i.timer = time.AfterFunc(inboxAckDelay, i.overdue)
	} else {
		i.timer.Reset(inboxAckDelay)
	}
}

// overdue is the timer's function. It does not block.
func (i *Inbox) overdue() {
	c := i.client
	c.mu.Lock()
	i.armed = false
	switch {
	case i.closed || i.unacked == 0 || c.shut != nil:
	case i.seen: // what was there then is still there
		c.out.due = true
	default:
		i.armLocked()
	}
	c.mu.Unlock()
	c.flush()
}

// putAckLocked adds the inbox's ack to the stream message that is about to go
// out.
func (i *Inbox) putAckLocked() {
	if i.unacked == 0 || i.queue == "" || i.sub.consumer == 0 {
		return
	}
	c := i.client
	k, tag := c.out.begin(sendOverhead)
	ack := frames.Ack{Through: i.through, Consumer: i.sub.consumer}
	k.buf = ack.Append(k.buf, tag, true)
	c.out.commit(k, slot{})
	i.unacked, i.bytes, i.seen = 0, 0, false
}
