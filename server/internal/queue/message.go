package queue

import (
	"bytes"
	"time"
)

// Header is one header of a message.
type Header struct{ Key, Value string }

// A Failure is the reply to a request that failed.
type Failure struct {
	Err     error  // the switch speaks: an *Error
	Handler []byte // the handler speaks: its failure, opaque
}

// Message is one message in one queue. Its exported fields never change while
// it is in the queue, but for Attempts. After that its memory is used again, and
// that of its Body may be: see KeepBody.
type Message struct {
	ID            ID
	Body          []byte
	Headers       []Header
	CorrelationID string
	ReplyTo       string // the reply queue's name; empty: no reply wanted
	Failure       *Failure
	Sender        string // the name of the session that sent it
	Sent          Instant
	Expires       Instant // zero: never
	Attempts      int     // deliveries that count so far
	Part          uint64  // its number in its half of a stream; zero: it is no part
	End           bool    // with Part: the last one
	Stream        bool    // a request that may have parts (stream.go)

	queue           *Queue
	caller          *Queue // the temporary reply queue in whose pending it is
	keyed           *Keyed // of a request with a key: who waits for it stands there
	maxAttempts     int
	requireConsumer bool
	callerGone      bool // it had a caller, who waits no more
	untold          bool // its holder does not know that yet
	seated          bool // it has been in queue.waiting; it returns to queue.returned
	request         bool // it is stored as one that is to be in memory at once
	attemptsStored  bool // so are its Attempts, beside it
	repeated        bool // its lease was delivered again, to who asked for it
	state           messageState
	startBy         Instant // it expires then, unless an attempt has begun; zero: it may wait
	kin             *kin    // its place in the tree of calls; nil: it is alone

	room       []byte   // memory for a Body that is lent
	buffer     Buffer   // that Body lies in, if it is to be freed
	passing    bool     // Body ends with the message
	next, prev *Message // in queue.waiting, while waiting
	place      int32    // in queue.returned, from 1, while waiting there
	timer      timer    // expiry while waiting, delay, lease deadline

	// While leased.
	lease              Lease
	holder             *Consumer
	leasedAt           Instant
	leasedTo           Instant
	heldNext, heldPrev *Message // in holder.held
}

type messageState uint8

const (
	gone     messageState = iota // not in any queue
	waiting                      // in queue.waiting or queue.returned
	delayed                      // its timer brings it back
	leased                       // a consumer holds it
	messages                     // how many states there are
)

// clear makes m, which is gone, an empty message, and keeps what the next one may use.
func (m *Message) clear() {
	room, place := m.room, m.timer.place
	if cap(room) > LentBytes {
		room = nil
	}
	*m = Message{} // what it held is garbage now
	m.room, m.timer.place = room, place
}

// LentBytes is how large a body should be at most to be lent: the memory of its
// copy is kept for the next message.
const LentBytes = 1 << 10

// setBody gives m its body: a copy, if it is lent.
func (m *Message) setBody(body []byte, lent bool, buffer Buffer) {
	m.buffer, m.passing = buffer, lent || buffer != nil
	if lent && len(body) > 0 {
		if cap(m.room) < len(body) {
			m.room = make([]byte, 0, len(body)) // not a byte too many: it may wait for long
		}
		body = append(m.room[:0], body...)
	}
	m.Body = body
}

// Buffer is what the Op said that Body lies in.
func (m *Message) Buffer() Buffer { return m.buffer }

// KeepBody is Body for whoever keeps it longer than the message lives.
func (m *Message) KeepBody() []byte {
	if m.passing {
		return bytes.Clone(m.Body)
	}
	return m.Body
}

// Attempt is the number of the delivery that is under way.
func (m *Message) Attempt() int { return m.Attempts }

// TimeLeft is how long until the message expires; zero when it does not. A
// message that is expired has a nanosecond.
func (m *Message) TimeLeft(now Instant) time.Duration {
	if m.Expires == 0 {
		return 0
	}
	return max(1, m.Expires.Sub(now))
}

// heldUntil is when something is due of m, which is leased: its lease ends, or the
// time of the caller who waits in person does, and is told so.
func (m *Message) heldUntil() Instant {
	if m.caller != nil && m.Expires != 0 {
		return min(m.leasedTo, m.Expires)
	}
	return m.leasedTo
}

// LeaseLeft is how long the lease lasts from now.
func (m *Message) LeaseLeft(now Instant) time.Duration { return m.leasedTo.until(now) }

func (m *Message) expired(now Instant) bool { return m.Expires != 0 && m.Expires <= now }

// overdue reports whether m, which waits, has waited too long.
func (m *Message) overdue(now Instant) bool {
	at := m.waitsUntil()
	return at != 0 && at <= now
}

// waitsUntil is when m, if it still waits, ends; zero: never. An attempt that did
// not count was none.
func (m *Message) waitsUntil() Instant {
	if m.startBy != 0 && m.Attempts == 0 && (m.Expires == 0 || m.startBy < m.Expires) {
		return m.startBy
	}
	return m.Expires
}

// StartLeft is how long m may wait for its first attempt; zero: as long as it
// lives, or it has begun.
func (m *Message) StartLeft(now Instant) time.Duration {
	if m.startBy == 0 || m.Attempts > 0 {
		return 0
	}
	return max(1, m.startBy.Sub(now))
}

// MaxAttempts is how often m may be delivered.
func (m *Message) MaxAttempts() int { return m.maxAttempts }

// chain is a doubly linked list of waiting messages, oldest first.
type chain struct{ head, tail *Message }

func (c *chain) push(m *Message) {
	m.prev = c.tail
	if c.tail == nil {
		c.head = m
	} else {
		c.tail.next = m
	}
	c.tail = m
}

// insert puts m behind after; nil means first.
func (c *chain) insert(after, m *Message) {
	if after == c.tail {
		c.push(m)
		return
	}
	m.prev, m.next = after, c.head
	if after == nil {
		c.head = m
	} else {
		m.next, after.next = after.next, m
	}
	m.next.prev = m
}

func (c *chain) remove(m *Message) {
	if m.prev == nil {
		c.head = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		c.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.next, m.prev = nil, nil
}

// returned is a heap of messages that came back, oldest first. All of them are
// older than the chain's head, because the chain is only taken from its head.
type returned []*Message

func (r returned) less(i, j int) bool { return r[i].ID.Before(r[j].ID) }

func (r returned) swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].place, r[j].place = int32(i+1), int32(j+1)
}

func (r *returned) push(m *Message) {
	*r = append(*r, m)
	m.place = int32(len(*r))
	r.up(len(*r) - 1)
}

func (r *returned) remove(m *Message) {
	i, last := int(m.place)-1, len(*r)-1
	r.swap(i, last)
	(*r)[last] = nil
	*r = (*r)[:last]
	m.place = 0
	if i < last {
		r.down(i)
		r.up(i)
	}
}

func (r returned) up(i int) {
	for i > 0 && r.less(i, (i-1)/2) {
		r.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (r returned) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(r) {
			return
		}
		if c+1 < len(r) && r.less(c+1, c) {
			c++
		}
		if !r.less(c, i) {
			return
		}
		r.swap(i, c)
		i = c
	}
}
