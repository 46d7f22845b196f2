package queue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// How much the random test does: so many operations in all configurations
// together, each state living for a run. States stay small that way, and Check
// after each operation cheap.
const (
	operations    = 2_000_000
	operationsRun = 2_000
)

// A setting is a kind of switch to try. Rates are out of a hundred.
type setting struct {
	name     string
	limits   queue.Limits
	queues   int
	sessions int
	messages int // in a queue, at most
	bytes    int // in a queue, at most; zero: no limit
	body     int // largest
	credit   int // largest
	dropping int // rate of queues that drop their oldest
	maxAge   int // rate of queues with a max age
	deadline int // rate of messages with a timeout
	hurry    time.Duration
	pulls    int // rate of consumers that are pulled, not pushed to
	durable  int // rate of queues that are durable
}

// small are limits that a random run meets again and again.
var small = queue.Limits{PayloadBytes: 200, Queues: 12, Sessions: 6, Consumers: 4, TemporaryQueues: 3,
	Producers: 3, MemoryBytes: 500, TraceEvents: 8, ProducerSilence: 2 * time.Second}

// roomy are limits that are not met.
var roomy = queue.Limits{PayloadBytes: 1 << 20, Queues: 100, Sessions: 20, Consumers: 20, TemporaryQueues: 10,
	Producers: 100, MemoryBytes: 1 << 30, TraceEvents: 64, ProducerSilence: time.Hour}

var settings = []setting{
	{name: "plain", limits: roomy, queues: 4, sessions: 4, messages: 20, body: 100, credit: 4, deadline: 20, hurry: time.Second, pulls: 30},
	{name: "tiny limits", limits: small, queues: 3, sessions: 7, messages: 3, bytes: 150, body: 220, credit: 2, dropping: 30, deadline: 30, hurry: time.Second, pulls: 30},
	{name: "drop-oldest", limits: small, queues: 3, sessions: 4, messages: 4, bytes: 200, body: 100, credit: 2, dropping: 100, deadline: 20, hurry: time.Second, pulls: 20},
	{name: "tiny credit", limits: roomy, queues: 2, sessions: 4, messages: 12, body: 100, credit: 1, deadline: 10, hurry: time.Second, pulls: 20},
	{name: "large credit", limits: roomy, queues: 3, sessions: 3, messages: 20, body: 50, credit: 12, deadline: 10, hurry: time.Second, pulls: 20},
	{name: "short deadlines", limits: roomy, queues: 3, sessions: 4, messages: 12, body: 50, credit: 3, maxAge: 40, deadline: 80, hurry: 20 * time.Millisecond, pulls: 30},
	{name: "pulled", limits: roomy, queues: 4, sessions: 3, messages: 15, body: 100, credit: 5, deadline: 20, hurry: time.Second, pulls: 100},
	{name: "one queue", limits: small, queues: 1, sessions: 3, messages: 8, body: 60, credit: 3, dropping: 50, maxAge: 20, deadline: 30, hurry: 200 * time.Millisecond, pulls: 40},
}

// TestRandomOperations compares the core with the model, operation by
// operation. SWITCH_SEED repeats one run in every setting.
func TestRandomOperations(t *testing.T) {
	seed, each := rand.Uint64(), operations/len(settings)
	if testing.Short() {
		each /= 20
	} else if raced { // the core has one goroutine
		each /= 10
	}
	whole := !testing.Short()
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		var err error
		if seed, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatalf("SWITCH_SEED=%s: %v", env, err)
		}
		each, whole = 1, false
	}
	met := make([]map[error]int, len(settings))
	t.Run("all", func(t *testing.T) {
		for i, set := range settings {
			met[i] = map[error]int{}
			t.Run(set.name, func(t *testing.T) {
				t.Parallel()
				set.playAll(t, seed, each, met[i])
			})
		}
	})
	for _, err := range everyError {
		sum := 0
		for _, m := range met {
			sum += m[err]
		}
		if sum == 0 && whole && !t.Failed() {
			t.Errorf("no operation met %q: the test is blind there", err)
		}
		t.Logf("%8d × %v", sum, err)
	}
}

// everyError is what operations, replies and streams are told here. The rest
// belongs to the layers above.
var everyError = []error{
	queue.ErrInvalid, queue.ErrQueueNotFound, queue.ErrQueueExists, queue.ErrQueueFull, queue.ErrQueueNotYours, queue.ErrLeaseGone,
	queue.ErrLeaseNotYours, queue.ErrSessionEnded, queue.ErrNoConsumer, queue.ErrSequenceTooOld, queue.ErrConsumerNotFound,
	queue.ErrMessageNotFound, queue.ErrPayloadTooLarge, queue.ErrLimitReached, queue.ErrShuttingDown, queue.ErrNotDurable,
	queue.ErrCorrelationInUse, queue.ErrNoReplyTo, queue.ErrExpired, queue.ErrAttemptsExhausted, queue.ErrRejected,
	queue.ErrServerGone, queue.ErrPurged, queue.ErrQueueDestroyed, queue.ErrDropped, queue.ErrSuperseded,
}

// playAll plays one run after the other until n operations are done, and
// counts the errors that were met.
func (set setting) playAll(t *testing.T, seed uint64, n int, met map[error]int) {
	cut, done := 0, 0
	for ; done < n; seed++ {
		g := newGame(set, seed)
		g.met = met
		if err := g.play(operationsRun); err != nil {
			t.Fatalf("%v\nrepeat with SWITCH_SEED=%d; the last operations were:\n%s", err, seed, g.history())
		}
		done += g.step
		if g.model.tie {
			cut++
		}
	}
	t.Logf("%d operations; %d runs were cut short by equal deadlines", done, cut)
}

// A game plays one run: the same operations on the core and on the model.
type game struct {
	setting
	seed  uint64
	rand  *rand.Rand
	state *queue.State
	model *model
	fx    queue.Effects
	now   queue.Instant
	step  int
	sinks int
	stale []queue.Lease // some that have ended
	past  [30]played    // the last operations
	met   map[error]int // how often each error was told
	disks *disks        // with durable queues
}

func newGame(set setting, seed uint64) *game {
	const epoch = 1 << 20
	g := &game{setting: set, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), now: 1e9, stale: []queue.Lease{1}}
	g.state, g.model = queue.New(epoch, set.limits), newModel(epoch, set.limits)
	return g
}

// play does n operations, fewer when two deadlines meet whose order shows: the
// core promises none then.
func (g *game) play(n int) error {
	for g.step < n {
		g.pass()
		if g.disks != nil {
			if err := g.engine(); err != nil {
				return fmt.Errorf("step %d: %w", g.step, err)
			}
			if g.model.tie {
				return nil
			}
		}
		op := g.next(n)
		if err := g.apply(op); err != nil {
			return fmt.Errorf("step %d, %T: %w", g.step, op, err)
		}
		if g.model.tie {
			return nil
		}
		if err := g.spread(); err != nil {
			return fmt.Errorf("step %d, after %T: %w", g.step, op, err)
		}
	}
	return nil
}

// pass lets time pass: mostly a little.
func (g *game) pass() {
	longest := 200 * time.Microsecond
	switch p := g.rand.IntN(1000); {
	case p < 3:
		longest = 3 * time.Second
	case p < 40:
		longest = 300 * time.Millisecond
	case p < 250:
		longest = 20 * time.Millisecond
	}
	g.now = g.now.Add(1 + time.Duration(g.rand.Int64N(int64(longest))))
}

// next is the next operation: a Tick when one is due, but not always at once.
func (g *game) next(n int) queue.Op {
	if due := g.state.NextDeadline(); due != 0 && due <= g.now && g.rate(70) {
		return &queue.Tick{}
	}
	if g.seed%8 == 0 && g.step == n-200 {
		return &queue.Drain{}
	}
	if op := g.relief(); op != nil {
		return op
	}
	if g.disks != nil && g.rate(25) {
		return g.send()
	}
	for {
		if op := g.choose(); op != nil {
			return op
		}
	}
}

func (g *game) apply(op queue.Op) error {
	g.past[g.step%len(g.past)] = played{g.now, op}
	g.step++
	err := g.state.Apply(g.now, op, &g.fx)
	want, wantErr := g.model.apply(g.now, op)
	if g.model.tie {
		return nil
	}
	if err := sameOutcome(g.now, &g.fx, err, want, wantErr); err != nil {
		return err
	}
	if err := g.state.Check(); err != nil {
		return fmt.Errorf("Check: %w", err)
	}
	if g.disks != nil {
		if err := g.look(); err != nil {
			return err
		}
	}
	for _, d := range want.deliveries {
		if g.rate(5) {
			g.stale[g.rand.IntN(len(g.stale))] = d.lease
		}
	}
	g.count(want, wantErr)
	return g.sameState(g.step%16 == 0)
}

func (g *game) count(out outcome, err error) {
	g.met[err]++
	for _, d := range out.deliveries {
		g.met[d.message.fail]++
	}
	for _, e := range out.sessionsEnded {
		g.met[e.Err]++
	}
}

// spread moves leases apart that began at the same instant, because the order
// in which equal deadlines are handled is nobody's promise.
func (g *game) spread() error {
	last := g.model.out.deliveries
	for i, d := range last {
		if i == 0 || d.message.lease != d.lease {
			continue
		}
		lease := 100*time.Millisecond + time.Duration(g.rand.Int64N(int64(500*time.Millisecond)))
		op := &queue.Extend{Session: d.message.holder.session.id, Leases: []queue.Lease{d.lease}, Lease: lease}
		g.now++
		if err := g.apply(op); err != nil {
			return fmt.Errorf("Extend: %w", err)
		}
	}
	return nil
}

type played struct {
	at queue.Instant
	op queue.Op
}

func (g *game) history() string {
	var b strings.Builder
	for i := range g.past {
		if p := g.past[(g.step+i)%len(g.past)]; p.op != nil {
			fmt.Fprintf(&b, "%v %s\n", time.Duration(p.at), describe(p.op))
		}
	}
	return b.String()
}

// describe prints an operation without its zero fields, and a body by its size.
func describe(op any) string {
	v := reflect.Indirect(reflect.ValueOf(op))
	s := v.Type().Name()
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case f.IsZero():
		case name == "Messages" && f.Kind() == reflect.Slice, name == "Stored": // of a Fetched, or a Purge
			var at []uint64
			for _, st := range f.Interface().([]queue.Stored) {
				at = append(at, st.Sequence)
			}
			s += fmt.Sprintf(" %s:%v", name, at)
		case name == "Body":
			s += fmt.Sprintf(" Body:%dB", f.Len())
		case f.Kind() == reflect.Struct:
			s += fmt.Sprintf(" %s:{%s}", name, describe(f.Interface()))
		default:
			s += fmt.Sprintf(" %s:%v", name, f.Interface())
		}
	}
	return s
}

func (g *game) rate(percent int) bool { return g.rand.IntN(100) < percent }

// one is any of list; the zero value of an empty one.
func one[T any](g *game, list []T) (x T) {
	if len(list) > 0 {
		x = list[g.rand.IntN(len(list))]
	}
	return x
}

// span is a duration from lo to hi, to the nanosecond.
func (g *game) span(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(g.rand.Int64N(int64(hi-lo)))
}

func (g *game) sink() any {
	g.sinks++
	return g.sinks
}
