package queue_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// streamed are operations that begin a stream: session a's request, which b holds
// under the first lease and accepts.
func (in *tape) streamed() []queue.Op {
	a, b := in.sessions[0], in.sessions[1]
	in.made = 3
	return []queue.Op{
		&queue.Attach{Session: a, Sink: 1}, &queue.Attach{Session: b, Sink: 2},
		&queue.Create{Session: a, Queue: "tmp.2", Temporary: true, Options: queue.Options{MaxBytes: 60}},
		&queue.Create{Session: b, Queue: "tmp.3", Temporary: true, Options: queue.Options{MaxBytes: 60}},
		&queue.Subscribe{Session: a, Queue: "tmp.2", Credit: 4, Sink: 1}, &queue.Subscribe{Session: b, Queue: "tmp.3", Credit: 4, Sink: 2},
		&queue.Subscribe{Session: b, Queue: "q", Consumer: 1, Credit: 4, Sink: 2},
		&queue.Send{Session: a, Queue: "q", ReplyTo: "tmp.2", CorrelationID: "1", Stream: true},
		&queue.Part{Session: b, Lease: 1, Inbox: "tmp.3"},
	}
}

// part is one of that stream, of either side.
func (in *tape) part() queue.Op {
	op := &queue.Part{Session: in.sessions[1], Lease: 1, Body: in.body(), Headers: in.headers(), End: in.seldom(), Ask: in.seldom()}
	if in.bool() {
		op.Session, op.Lease, op.ReplyTo, op.CorrelationID = in.sessions[0], 0, "tmp.2", "1"
	}
	if in.seldom() {
		op.Number = uint64(in.number())
	}
	return op
}

// TestRandomStreamsAmongOthers lets streams meet every other operation: Check holds,
// errors have no effects, and the caller of a stream hears how it ended.
func TestRandomStreamsAmongOthers(t *testing.T) {
	first, parts, held, broken := rand.Uint64(), 0, 0, 0
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		first, _ = strconv.ParseUint(env, 10, 64)
	}
	for seed := first; seed < first+300; seed++ {
		rng := rand.New(rand.NewPCG(seed, 3))
		input := make([]byte, 3000)
		for i := range input {
			input[i] = byte(rng.Uint32())
		}
		// Each second time the requests are on a disk, which is synced now and then.
		durable := seed%2 == 1
		s := queue.New(0, queue.Limits{PayloadBytes: 300, TemporaryQueues: 4, MemoryBytes: 1000, TraceEvents: 4, DurableAvailable: durable})
		var fx queue.Effects
		synced := func() queue.Op {
			var u queue.Unsaved
			s.TakeUnsaved(&u)
			return &queue.Synced{Through: u.Sequence}
		}
		in, now := &tape{rest: input, state: s}, queue.Instant(1e9)
		ops := append(in.prelude(), in.streamed()...)
		if durable {
			ops[2].(*queue.Create).Options.Durability = queue.Durable
		}
		for len(ops) > 0 || len(in.rest) > 0 {
			if len(ops) == 0 {
				now = now.Add(max(0, in.duration()) % 1e9)
				ops = []queue.Op{in.operation()}
				switch {
				case in.bool():
					ops[0] = in.part()
				case durable && in.bool():
					ops[0] = synced()
				}
			}
			op := ops[0]
			ops = ops[1:]
			err := s.Apply(now, op, &fx)
			if _, is := op.(*queue.Send); is && durable && len(ops) == 1 { // the stream's: only now is it delivered
				ops = slices.Insert(ops, 0, synced())
			}
			if _, is := op.(*queue.Part); is && err == nil {
				parts++
				if fx.Sync && len(fx.Deliveries) == 0 {
					held++
				}
			}
			for _, d := range fx.Deliveries {
				in.last = max(in.last, d.Lease)
				if f := d.Message.Failure; f != nil && errors.Is(f.Err, queue.ErrStreamBroken) {
					broken++
				}
			}
			if err := fuzzed(s, &fx, err); err != nil {
				t.Fatalf("%s: %v; repeat with SWITCH_SEED=%d", describe(op), err, seed)
			}
		}
	}
	if parts < 1000 || held < 100 || broken == 0 {
		t.Errorf("%d parts were sent, %d held for the disk, and %d callers told of broken streams: the test looks at less than it says", parts, held, broken)
	}
	t.Logf("%d parts, %d held for the disk, %d callers told of broken streams", parts, held, broken)
}
