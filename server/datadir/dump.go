package datadir

import (
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// A Queue is a durable queue as it is stored.
type Queue struct {
	Name            string        `json:"queue"`
	Made            time.Time     `json:"made"`
	Messages        int           `json:"messages"`
	Bytes           int           `json:"bytes"` // of their bodies
	MaxMessages     int           `json:"max_messages"`
	MaxBytes        int           `json:"max_bytes"`
	MaxAge          time.Duration `json:"-"` // zero: for ever
	MaxAttempts     int           `json:"max_attempts"`
	DeadLetterQueue string        `json:"dead_letter_queue,omitempty"`
	Lease           time.Duration `json:"-"`
}

// MarshalJSON writes durations as numbers of milliseconds.
func (q Queue) MarshalJSON() ([]byte, error) {
	type plain Queue
	return json.Marshal(struct {
		plain
		MaxAgeMS int64 `json:"max_age_ms,omitempty"`
		LeaseMS  int64 `json:"lease_ms"`
	}{plain(q), q.MaxAge.Milliseconds(), q.Lease.Milliseconds()})
}

// A Message is one as it is stored. Who held it is not: leases end with the
// switch.
type Message struct {
	Queue         string            `json:"queue"`
	MessageID     string            `json:"message_id"`
	Sent          time.Time         `json:"sent"`
	Expires       time.Time         `json:"expires,omitzero"`
	Attempts      int               `json:"attempts"` // that count so far
	Sender        string            `json:"sender"`   // the name of its session
	CorrelationID string            `json:"correlation_id,omitempty"`
	ReplyTo       string            `json:"reply_to,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	Body          []byte            `json:"body"`
}

// A Call is a call with an idempotency key as it is stored. While it is not
// answered, its request is among the messages.
type Call struct {
	Queue     string            `json:"queue"`
	Key       string            `json:"key"`
	MessageID string            `json:"message_id"` // of the request
	Principal string            `json:"principal,omitempty"`
	Detached  bool              `json:"detached,omitempty"`
	Answered  bool              `json:"answered"`
	Expires   time.Time         `json:"expires,omitzero"` // when the reply is forgotten
	Sender    string            `json:"sender,omitempty"` // the name of the session that answered
	Failed    bool              `json:"failed,omitempty"` // the reply is a handler's failure
	Headers   map[string]string `json:"headers,omitempty"`
	Body      []byte            `json:"body,omitempty"` // of the reply
}

// A Record is one thing in a data directory: one of its fields is not nil.
type Record struct {
	Queue   *Queue
	Message *Message
	Call    *Call
}

// Dump reads a data directory: its queues by name, then the messages, queue by
// queue in their order, and the calls with keys. A record that can't be read is an
// error of its own, and the others follow; a directory that can't be opened is the only one. What
// an operator does not need, such as sessions, is left out.
func Dump(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		d := dump{queues: map[uint64]*Queue{}, attempts: map[store.Place]int{}, yield: yield}
		for r, err := range store.Dump(dir, store.Options{}) {
			if err != nil {
				if !d.tell() || !yield(Record{}, err) {
					return
				}
				continue
			}
			if !d.record(r.Value) {
				return
			}
		}
		d.tell()
	}
}

// dump collects what comes before the messages.
type dump struct {
	epochs   []store.Epoch
	queues   map[uint64]*Queue
	told     bool // of the queues
	attempts map[store.Place]int
	yield    func(Record, error) bool
}

// record takes a record; false when the reader has enough.
func (d *dump) record(v any) bool {
	switch v := v.(type) {
	case store.Epoch:
		d.epochs = append(d.epochs, v)
	case store.Queue:
		d.queues[v.ID] = &Queue{Name: v.Name, Made: time.Unix(0, v.Made), MaxMessages: v.MaxMessages, MaxBytes: v.MaxBytes, MaxAge: v.MaxAge,
			MaxAttempts: v.MaxAttempts, DeadLetterQueue: v.DeadLetterQueue, Lease: v.Lease}
	case store.QueueStat:
		if q := d.queues[v.Queue]; q != nil {
			q.Messages, q.Bytes = v.Messages, v.Bytes
		}
	case store.PlaceAttempts:
		d.attempts[v.Place] = v.Attempts
	case *store.Message:
		return d.tell() && d.yield(Record{Message: d.message(v)}, nil)
	case *store.Keyed:
		return d.tell() && d.yield(Record{Call: d.call(v)}, nil)
	}
	return true
}

// tell gives the queues, once.
func (d *dump) tell() bool {
	if d.told {
		return true
	}
	d.told = true
	qs := make([]*Queue, 0, len(d.queues))
	for _, q := range d.queues {
		qs = append(qs, q)
	}
	slices.SortFunc(qs, func(a, b *Queue) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for _, q := range qs {
		if !d.yield(Record{Queue: q}, nil) {
			return false
		}
	}
	return true
}

func (d *dump) message(m *store.Message) *Message {
	out := &Message{MessageID: d.id(m.Sequence).String(), Sent: time.Unix(0, m.Sent), Sender: m.Sender, CorrelationID: m.CorrelationID,
		ReplyTo: m.ReplyTo, Body: append([]byte{}, m.Body...), Attempts: d.attempts[store.Place{Queue: m.Queue, Sequence: m.Sequence}]}
	if q := d.queues[m.Queue]; q != nil {
		out.Queue = q.Name
	}
	if m.Expires != 0 {
		out.Expires = time.Unix(0, m.Expires)
	}
	out.Headers = headers(m.Headers)
	return out
}

func (d *dump) call(k *store.Keyed) *Call {
	out := &Call{Key: k.Key, MessageID: d.id(k.Request).String(), Principal: k.Principal, Detached: k.Detached, Answered: k.Answered,
		Sender: k.Sender, Failed: len(k.Failure) > 0, Headers: headers(k.Headers), Body: k.Body}
	if q := d.queues[k.Queue]; q != nil {
		out.Queue = q.Name
	}
	if k.Expires != 0 {
		out.Expires = time.Unix(0, k.Expires)
	}
	return out
}

func headers(hs []store.Header) map[string]string {
	if len(hs) == 0 {
		return nil
	}
	m := make(map[string]string, len(hs))
	for _, h := range hs {
		m[h.Key] = h.Value
	}
	return m
}

// id is a message's name: its sequence, and the start of the switch in which it
// was given.
func (d *dump) id(sequence uint64) queue.ID {
	id := queue.ID{Sequence: sequence}
	for _, e := range d.epochs {
		if e.First <= sequence {
			id.Epoch = e.Epoch
		}
	}
	return id
}
