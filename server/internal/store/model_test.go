package store_test

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/d3b0a776/switch/server/internal/store"
)

// A model is what a store should hold, and makes random batches.
type model struct {
	rng      *rand.Rand
	last     uint64
	nextID   uint64
	queues   map[uint64]store.Queue
	stats    map[uint64]store.Stat
	messages map[store.Place]store.Message
	sent     []store.Place // the messages, and some that were deleted
	sessions map[uint64]store.Session
	windows  map[string]store.Window // by producer and slot
}

func newModel(rng *rand.Rand) *model {
	return &model{
		rng: rng, queues: map[uint64]store.Queue{}, stats: map[uint64]store.Stat{},
		messages: map[store.Place]store.Message{}, sessions: map[uint64]store.Session{}, windows: map[string]store.Window{},
	}
}

// pick takes a thing out of a sorted list at random.
func pick[K any](m *model, from []K) (k K, ok bool) {
	if len(from) == 0 {
		return k, false
	}
	return from[m.rng.IntN(len(from))], true
}

// pickMessage takes a message at random.
func (m *model) pickMessage() (store.Place, bool) {
	for len(m.sent) > 0 {
		i := m.rng.IntN(len(m.sent))
		at := m.sent[i]
		if _, ok := m.messages[at]; ok {
			return at, true
		}
		m.sent[i] = m.sent[len(m.sent)-1]
		m.sent = m.sent[:len(m.sent)-1]
	}
	return store.Place{}, false
}

func (m *model) pickQueue() (uint64, bool) { return pick(m, slices.Sorted(maps.Keys(m.queues))) }

// batch fills a batch at random, and does the same to the model. Within a batch
// later changes go over earlier ones, so all kinds are mixed.
func (m *model) batch(b *store.Batch) {
	for range 1 + m.rng.IntN(12) {
		m.change(b)
	}
	if m.rng.IntN(60) == 0 {
		m.send(b, 40<<10) // larger than a memtable of the tests
	}
	b.PutSequence(m.last)
}

func (m *model) change(b *store.Batch) {
	at, ok := m.pickMessage()
	switch n := m.rng.IntN(20); {
	case n < 8:
		m.send(b, 4000)
	case n < 12 && ok:
		old := m.messages[at]
		b.DeleteMessage(&old)
		delete(m.messages, at)
	case n < 14 && ok:
		old := m.messages[at]
		old.Attempts++
		b.PutAttempts(at.Queue, at.Sequence, old.Attempts)
		m.messages[at] = old
	case n < 15 && ok:
		to := at.Sequence + m.rng.Uint64N(20)
		b.DeleteMessages(at.Queue, at.Sequence, to)
		m.drop(at.Queue, at.Sequence, to)
	case n < 17:
		m.queue(b)
	case n < 18:
		m.session(b)
	default:
		m.window(b)
	}
}

func (m *model) send(b *store.Batch, size int) {
	queue, ok := m.pickQueue()
	if !ok {
		return
	}
	m.last++
	msg := store.Message{
		Queue: queue, Sequence: m.last, Sent: int64(m.last), Request: m.rng.IntN(4) == 0,
		Sender: fmt.Sprint("sender", m.rng.IntN(9)),
	}
	if n := m.rng.IntN(size); n > 0 {
		msg.Body = make([]byte, n)
		for i := range msg.Body {
			msg.Body[i] = byte(m.rng.Uint32())
		}
	}
	b.PutMessage(&msg)
	at := store.Place{Queue: queue, Sequence: m.last}
	m.messages[at] = msg
	m.sent = append(m.sent, at)
	s := m.stats[queue]
	s.Messages++
	s.Bytes += len(msg.Body)
	b.PutStat(queue, s, 0)
	m.stats[queue] = s
}

func (m *model) drop(queue, from, to uint64) {
	maps.DeleteFunc(m.messages, func(at store.Place, _ store.Message) bool {
		return at.Queue == queue && from <= at.Sequence && at.Sequence <= to
	})
}

func (m *model) queue(b *store.Batch) {
	if id, ok := m.pickQueue(); ok && len(m.queues) > 3 {
		b.DeleteQueue(id)
		delete(m.queues, id)
		delete(m.stats, id)
		m.drop(id, 0, 1<<64-1)
		return
	}
	m.nextID++
	q := store.Queue{ID: m.nextID, Name: fmt.Sprint("queue", m.nextID), MaxMessages: m.rng.IntN(100)}
	b.PutQueue(&q)
	m.queues[q.ID] = q
}

func (m *model) session(b *store.Batch) {
	if id, ok := pick(m, slices.Sorted(maps.Keys(m.sessions))); ok && m.rng.IntN(2) == 0 {
		b.DeleteSession(id)
		delete(m.sessions, id)
		return
	}
	s := store.Session{ID: m.rng.Uint64N(9), Name: "session", Began: m.rng.Int64(), Temporary: []string{"t"}}
	b.PutSession(&s)
	m.sessions[s.ID] = s
}

func (m *model) window(b *store.Batch) {
	producer := string(rune('a' + m.rng.IntN(5)))
	if m.rng.IntN(6) == 0 {
		b.DeleteProducer(producer)
		maps.DeleteFunc(m.windows, func(_ string, w store.Window) bool { return w.Producer == producer })
		return
	}
	w := store.Window{Producer: producer, Part: m.rng.Uint64N(64), Seen: m.rng.Int64()}
	for i := range m.rng.IntN(store.WindowSlots) {
		w.Messages[i] = m.rng.Uint64()
	}
	b.PutWindow(&w)
	m.windows[fmt.Sprint(producer, w.Part)] = w
}

var hashSeed = maphash.MakeSeed()

func hash(v ...any) uint64 { return maphash.String(hashSeed, fmt.Sprint(v...)) }

// state is a hash of all that the model holds.
func (m *model) state() uint64 {
	sum := hash(m.last, m.stats)
	for _, q := range m.queues {
		sum += hash(q)
	}
	for _, msg := range m.messages {
		sum += maphash.Bytes(hashSeed, msg.Body) * (msg.Sequence<<20 + msg.Queue<<8 + uint64(msg.Attempts)<<1 + 1)
		if msg.Request {
			sum += msg.Sequence
		}
	}
	for _, s := range m.sessions {
		sum += hash(s)
	}
	for _, w := range m.windows {
		sum += hash(w)
	}
	return sum
}

// recovered reads a store into a model: requests through Start, and each queue in
// pages.
func recovered(d *store.Disk) (*model, error) {
	s, err := d.Start(noon)
	if err != nil {
		return nil, err
	}
	m := newModel(nil)
	m.last = s.Sequence
	for _, q := range s.Queues {
		m.queues[q.ID] = q
	}
	m.stats = s.Stats
	for _, session := range s.Sessions {
		m.sessions[session.ID] = session
	}
	for _, w := range s.Windows {
		m.windows[fmt.Sprint(w.Producer, w.Part)] = w
	}
	for _, r := range s.Requests {
		if _, ok := m.queues[r.Queue]; !ok {
			return nil, fmt.Errorf("request %d is in queue %d, which is not there", r.Sequence, r.Queue)
		}
		m.messages[store.Place{Queue: r.Queue, Sequence: r.Sequence}] = r
	}
	for id := range m.queues {
		for from := uint64(0); from != 1<<63; {
			var differ error
			through, err := d.Messages(id, from, 1<<63-1, 7, 9000, func(msg *store.Message) {
				if msg.Request {
					differ = fmt.Errorf("request %d is among the messages of queue %d", msg.Sequence, id)
				}
				m.messages[store.Place{Queue: id, Sequence: msg.Sequence}] = *msg
			})
			if err := errors.Join(err, differ); err != nil {
				return nil, err
			}
			from = through + 1
		}
	}
	return m, nil
}
