package queue_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// FuzzApply reads the input as a list of operations: whatever they are, Apply
// does not panic, Check holds, an error leaves no effects, and every text can
// be put on the wire.
func FuzzApply(f *testing.F) {
	for seed := range 40 {
		input := make([]byte, 4000-seed%2)
		_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(input) // it never fails
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		s := queue.New(0, queue.Limits{PayloadBytes: 300, Queues: 8, Sessions: 4, Consumers: 4, TemporaryQueues: 3, Producers: 3,
			MemoryBytes: 1000 + len(input)%2*9000, Keys: 2, TraceEvents: 4}) // keys need the larger one
		var fx queue.Effects
		in, now := &tape{rest: input[:min(len(input), 4000)], state: s}, queue.Instant(1e9)
		ops := in.prelude()
		for len(ops) > 0 || len(in.rest) > 0 {
			if len(ops) == 0 {
				now = now.Add(max(0, in.duration()) % time.Minute)
				ops = []queue.Op{in.operation()}
			}
			op := ops[0]
			ops = ops[1:]
			err := s.Apply(now, op, &fx)
			for _, d := range fx.Deliveries {
				in.last = max(in.last, d.Lease)
			}
			if err := fuzzed(s, &fx, err); err != nil {
				t.Fatalf("%s: %v", describe(op), err)
			}
		}
	})
}

// fuzzed says what is wrong after an operation, if anything is.
func fuzzed(s *queue.State, fx *queue.Effects, err error) error {
	if wrong := s.Check(); wrong != nil {
		return fmt.Errorf("Check: %w", wrong)
	}
	if err != nil && (len(fx.Deliveries)+len(fx.ConsumersEnded)+len(fx.SessionsEnded)+len(fx.Refused)+len(fx.Cancelled)+fx.Count > 0 ||
		fx.ID != queue.ID{} || fx.Half != nil || len(fx.Taken) > 0 || fx.Duplicate || fx.Joined || fx.Answered || fx.Queue != nil || fx.Created || fx.Consumer != nil || fx.ReplyQueueGone || fx.Broken != nil || fx.Cancel != 0) {
		return fmt.Errorf("an error with effects: %w, %+v", err, fx)
	}
	if wrong := wellSaid(err); wrong != nil {
		return wrong
	}
	for _, d := range fx.Deliveries {
		if d.Message.Failure == nil {
			continue
		}
		if wrong := wellSaid(d.Message.Failure.Err); wrong != nil {
			return wrong
		}
	}
	return nil
}

// wellSaid checks that an error is an *Error of a kind, short, and UTF-8, as
// the wire wants.
func wellSaid(err error) error {
	if err == nil {
		return nil
	}
	e := new(queue.Error)
	if !errors.As(err, &e) || e.Kind == nil || !strings.HasPrefix(fmt.Sprintf("%T", e.Kind), "*errors.") {
		return fmt.Errorf("the error %w is of no kind", err)
	}
	if len(e.Text) > 2000 || len(e.Meta)%2 != 0 {
		return fmt.Errorf("the error is not short, or its details are no pairs: %w", err)
	}
	for _, text := range append(e.Meta, e.Text) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%q is not UTF-8", text)
		}
	}
	return nil
}

// A tape is the fuzzer's input, taken byte by byte; zeros after its end.
type tape struct {
	rest     []byte
	state    *queue.State
	sessions []queue.SessionID
	last     queue.Lease
	made     int // temporary queues so far: their names never repeat
}

// prelude brings a switch to life: two sessions, of which one serves a queue
// and the other waits for replies.
func (in *tape) prelude() []queue.Op {
	in.sessions, in.made = []queue.SessionID{in.state.NewSessionID(), in.state.NewSessionID()}, 1
	a, b := in.sessions[0], in.sessions[1]
	return []queue.Op{
		&queue.Login{Session: a, Producer: "a"}, &queue.Login{Session: b},
		&queue.Create{Session: a, Queue: "q"}, &queue.Create{Session: a, Queue: "tmp.1", Temporary: true},
		&queue.Subscribe{Session: a, Queue: "tmp.1", Credit: 2, Sink: 1}, &queue.Subscribe{Session: b, Queue: "q", Credit: 2},
	}
}

func (in *tape) byte() byte {
	if len(in.rest) == 0 {
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}

// from is any of list.
func from[T any](in *tape, list ...T) T { return list[int(in.byte())%len(list)] }

func (in *tape) bool() bool { return in.byte()%2 == 1 }

// seldom makes what is wrong rare, so that most operations have an effect.
func (in *tape) seldom() bool { return in.byte() >= 245 }

func (in *tape) duration() time.Duration {
	if in.seldom() {
		return from(in, 1, time.Hour, 25*time.Hour, -1, math.MaxInt64, math.MinInt64)
	}
	return from(in, 0, 0, 0, 100*time.Millisecond, time.Second, 10*time.Second)
}

func (in *tape) number() int {
	if in.seldom() {
		return from(in, 1000, 5000, 70_000, -1, math.MaxInt, math.MinInt)
	}
	return from(in, 0, 0, 0, 1, 2, 3, 10, 100)
}

func (in *tape) session() queue.SessionID {
	if in.seldom() {
		return 0
	}
	return from(in, in.sessions...)
}

func (in *tape) consumer() queue.ConsumerID { return queue.ConsumerID(in.byte() % 6) }

// lease is one of the last few, or the next.
func (in *tape) lease() queue.Lease { return in.last + 1 - queue.Lease(in.byte()%6) }

func (in *tape) leases() (all []queue.Lease) {
	for range in.byte() % 4 {
		all = append(all, in.lease())
	}
	return all
}

func (in *tape) sink() any {
	if in.bool() {
		return nil
	}
	return in.byte() % 8
}

func (in *tape) name() string {
	if in.seldom() {
		return from(in, "", "tmp.", strings.Repeat("€", 80), strings.Repeat("n", 255), "bad\xff", "bad\x00", strings.Repeat("x", 300))
	}
	return from(in, "q", "q", "q", "p", "q.dead", "r", fmt.Sprintf("tmp.%d", 1+int(in.byte())%in.made))
}

func (in *tape) options() queue.Options {
	return queue.Options{Durability: queue.Durability(in.byte() % 3), MaxMessages: in.number(), MaxBytes: in.number(), MaxAge: in.duration(),
		Overflow: queue.Overflow(in.byte() % 3), MaxAttempts: in.number(), DeadLetterQueue: in.name(), NoDeadLetter: in.bool(), Lease: in.duration()}
}

func (in *tape) body() []byte { return make([]byte, from(in, 0, 1, 20, 50, 100, 400)) }

func (in *tape) headers() []queue.Header {
	return from(in, nil, nil, nil, nil, nil, []queue.Header{{Key: "k", Value: "v"}}, []queue.Header{{}}, make([]queue.Header, 65))
}

func (in *tape) operation() queue.Op {
	switch in.byte() % 18 {
	case 0:
		id := in.state.NewSessionID()
		in.sessions = append(in.sessions, id)
		return &queue.Login{Session: id, Name: in.name(), TTL: in.duration(), Grace: in.duration(), Producer: from(in, "", "a", strings.Repeat("b", 65))}
	case 1:
		return &queue.Attach{Session: in.session(), Sink: in.byte() % 8}
	case 2:
		return &queue.Detach{Session: in.session(), Sink: in.byte() % 8}
	case 3:
		if in.seldom() {
			return from[queue.Op](in, &queue.Renew{Session: in.session()}, &queue.Logout{Session: in.session()}, &queue.Drain{})
		}
		return &queue.Tick{}
	case 4:
		if in.bool() {
			in.made++
			return &queue.Create{Session: in.session(), Queue: fmt.Sprintf("tmp.%d", in.made), Temporary: true,
				Options: queue.Options{MaxMessages: in.number(), MaxBytes: in.number()}}
		}
		return &queue.Create{Session: in.session(), Queue: in.name(), Options: in.options()}
	case 5:
		if !in.seldom() {
			return in.send()
		}
		return &queue.Destroy{Session: in.session(), Queue: in.name()}
	case 6, 7:
		return in.send()
	case 8:
		return &queue.Subscribe{Session: in.session(), Queue: in.name(), Consumer: from(in, 0, 0, in.consumer()), Credit: in.number(), CreditBytes: in.number(),
			Lease: in.duration(), Create: in.bool(), CreateOptions: in.options(), AfterLease: in.lease(), Sink: in.sink(),
			Service: from(in, "", "", "s", "\n")}
	case 9:
		return &queue.Unsubscribe{Session: in.session(), Consumer: in.consumer()}
	case 10:
		return &queue.Pull{Session: in.session(), Consumers: from(in, nil, []queue.ConsumerID{in.consumer()}), Messages: in.number(), Bytes: in.number(),
			AfterLease: in.lease(), Sink: in.byte() % 8}
	case 11:
		return &queue.ClosePull{Session: in.session(), Sink: in.byte() % 8}
	case 12:
		return &queue.Ack{Session: in.session(), Leases: in.leases(), Consumer: in.consumer(), Through: in.lease()}
	case 13:
		return &queue.Nack{Session: in.session(), Leases: in.leases(), Kind: queue.NackKind(in.byte() % 3), Delay: in.duration(), Cause: from(in, "", "boom", strings.Repeat("c", 1025))}
	case 14:
		return &queue.Reply{Session: in.session(), Lease: in.lease(), Body: in.body(), Headers: in.headers(), Failure: from(in, nil, []byte("f"), make([]byte, 30_000)),
			Parts: from(in, 0, 0, uint64(in.byte()))}
	case 15, 16:
		if in.bool() {
			return &queue.Part{Session: in.session(), Lease: in.lease(), Inbox: from(in, "", "", "", in.name()), Number: uint64(in.number()), Body: in.body(),
				Headers: in.headers(), End: in.seldom(), Ask: in.seldom()}
		}
		return &queue.Part{Session: in.session(), ReplyTo: from(in, "tmp.1", in.name()), CorrelationID: from(in, "1", "2", "3"), Number: uint64(in.number()),
			Body: in.body(), Headers: in.headers(), End: in.seldom(), Ask: in.seldom()}
	default:
		return from[queue.Op](in, &queue.Extend{Session: in.session(), Leases: in.leases(), Lease: in.duration()},
			&queue.Cancel{Session: in.session(), ReplyTo: in.name(), CorrelationID: from(in, "1", "2", "3")},
			&queue.Join{Session: in.session(), Queue: in.name(), Key: from(in, "k", "l", ""), ID: from(in, queue.ID{}, queue.ID{}, queue.ID{Sequence: uint64(in.byte())}),
				ReplyTo: in.name(), CorrelationID: from(in, "1", "2", "3", "")},
			&queue.Purge{Queue: in.name(), IDs: from(in, nil, []queue.ID{{Sequence: uint64(in.byte())}, {Sequence: uint64(in.byte())}})})
	}
}

func (in *tape) send() queue.Op {
	op := &queue.Send{Session: in.session(), Queue: in.name(), Body: in.body(), Headers: in.headers(), CorrelationID: from(in, "1", "2", "3", "4", "", "bad\xff"),
		ReplyTo: from(in, "", "tmp.1", "tmp.1", in.name()), Timeout: in.duration(), Producer: from(in, "", "a", "c", "d"),
		Sequence: from[uint64](in, 0, 0, 0, 1, 2, 3, 10, 4096, 4097, 10_000, math.MaxUint64, math.MaxUint64-1, math.MaxUint64-20),
		Create:   in.bool(), CreateOptions: in.options(), RequireConsumer: in.bool(), MaxAttempts: in.number(), Stream: in.byte()%4 == 0,
		Key: from(in, "", "", "", "k", "k", "k", "k", "l", "bad\n"), KeyTTL: from(in, 0, 0, 0, 0, 0, time.Second, -1)}
	op.Digest = queue.DigestOf(op.Body)
	return op
}

// FuzzParseID: what String wrote is read back, and nothing else is read.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "0-0-1", "0-mh34-3w5e11264sgsf", "zzz-1-1", "0--1", "0-0-0", "0-1-01", "0-1-A", "0-1-1-", "1ekf-zz-zz"} {
		f.Add(s, uint16(0), uint64(1), uint64(1))
	}
	f.Add("", uint16(math.MaxUint16), uint64(math.MaxUint64), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, s string, shard uint16, epoch, sequence uint64) {
		switch id, err := queue.ParseID(s); {
		case err == nil && id.String() != s:
			t.Errorf("%q reads as %+v, which is %q", s, id, id)
		case err != nil && (!errors.Is(err, queue.ErrInvalid) || id != queue.ID{}):
			t.Errorf("%q: %v with %+v", s, err, id)
		}
		id := queue.ID{Shard: shard, Epoch: epoch, Sequence: sequence}
		back, err := queue.ParseID(id.String())
		if (err == nil) == id.IsZero() || err == nil && back != id {
			t.Errorf("%+v is %q, and reads as %+v, %v", id, id, back, err)
		}
	})
}
