package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// TestCrash lets a switch work on a disk, and at many of its calls of the file
// system takes what a crash would leave: with none, some, or all of what was not
// synced. A new switch starts on each, and what it has must agree with what was
// answered before.
//
// SWITCH_SLOW crashes at every call; SWITCH_SEED chooses the work and the data
// that survives.
func TestCrash(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SWITCH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	rounds, every := 4, 3
	if raced {
		rounds, every = 1, 16
	}
	if os.Getenv("SWITCH_SLOW") != "" {
		rounds, every = 8, 1
	}
	t.Logf("SWITCH_SEED=%d", seed)
	var crashes, recovered atomic.Int64
	for round := range rounds {
		w := newWork(t, seed+uint64(round), every)
		w.run(600)
		crashes.Add(int64(w.crashes))
		recovered.Add(int64(w.recovered))
	}
	t.Logf("%d crashes, %d recoveries", crashes.Load(), recovered.Load())
	if recovered.Load() < 50 {
		t.Error("too few recoveries to say anything")
	}
}

// A fate is what was done to one message, by what its sender and its consumer
// know.
type fate struct {
	queue           string
	begun, answered bool // its Send
	ackBegun, acked bool // its Ack; acked: answered after the sync
	queueDestroyed  bool // its queue's Destroy has begun
}

// work is a switch at work in a file system that crashes.
type work struct {
	*testing.T
	rng       *rand.Rand
	every     int
	fs        *vfs.MemFS
	calls     atomic.Int64
	crashes   int
	recovered int
	off       atomic.Bool

	mu       sync.Mutex // held while a crash is taken, and when a fate changes
	survival *rand.Rand
	fates    map[string]*fate
	left     chan crash
}

// crash is what one leaves.
type crash struct {
	fs    *vfs.MemFS
	how   string
	fates map[string]fate
}

func newWork(t *testing.T, seed uint64, every int) *work {
	return &work{T: t, rng: rand.New(rand.NewPCG(seed, 1)), every: every, fs: vfs.NewCrashableMem(),
		survival: rand.New(rand.NewPCG(seed, 3)),
		fates:    map[string]*fate{}, left: make(chan crash, 100_000)}
}

const producers = 4

// run works, with the queues q0, q1 … and those that come and go.
func (w *work) run(steps int) {
	hooked := errorfs.Wrap(clonedFS{w.fs}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && !w.off.Load() && w.calls.Add(1)%int64(w.every) == 0 {
			w.crash(op)
		}
		return nil
	}))
	e := w.open(hooked)
	session := login(w.T, e, "")
	for i := range 3 {
		must(w.T, e, &queue.Create{Session: session, Queue: fmt.Sprint("q", i)})
	}
	var wg sync.WaitGroup
	for p := range producers {
		rng := rand.New(rand.NewPCG(w.rng.Uint64(), 2))
		wg.Add(1)
		go func() { // waited for below
			defer wg.Done()
			a := &actor{w: w, e: e, rng: rng, name: fmt.Sprint("p", p), session: login(w.T, e, fmt.Sprint("p", p))}
			a.act(steps)
		}()
	}
	wg.Wait()
	w.off.Store(true)
	if err := e.Close(); err != nil {
		w.Error(err)
	}
	close(w.left)
	w.crashes = len(w.left)
	var checks sync.WaitGroup
	for range 2 {
		checks.Go(func() {
			for c := range w.left {
				w.recover(c)
			}
		})
	}
	checks.Wait()
	w.recovered = w.crashes
}

func (w *work) open(fs vfs.FS) *engine.Engine {
	w.Helper()
	disk, err := store.Open("dir", store.Options{FS: fs, MemTableBytes: 64 << 10})
	if err != nil {
		w.Fatal(err)
	}
	e, err := engine.New(engine.Config{Disk: disk, Limits: queue.Limits{MemoryBytes: 256 << 10}})
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// crash takes what one would leave at this call.
func (w *work) crash(op errorfs.Op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fates := make(map[string]fate, len(w.fates))
	for body, f := range w.fates {
		fates[body] = *f
	}
	for _, percent := range []int{0, 50, 100} {
		fs := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: w.survival})
		w.left <- crash{fs, fmt.Sprintf("call %d (%v %s), %d %% of what was not synced", w.calls.Load(), op.Kind, op.Path, percent), fates}
	}
}

// know changes what is known of a message.
func (w *work) know(body string, change func(*fate)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.fates[body]
	if f == nil {
		f = &fate{}
		w.fates[body] = f
	}
	change(f)
}

// An actor sends, consumes and acks, one thing at a time.
type actor struct {
	w       *work
	e       *engine.Engine
	rng     *rand.Rand
	name    string
	session queue.SessionID
	inbox   inbox
	seen    int
	n       uint64
	own     int // queues of its own that it made and destroyed
}

func (a *actor) act(steps int) {
	for i := range 3 {
		must(a.w.T, a.e, &queue.Subscribe{Session: a.session, Queue: fmt.Sprint("q", i), Credit: 4, Sink: &a.inbox})
	}
	for range steps {
		switch n := a.rng.IntN(20); {
		case n < 10:
			a.send(fmt.Sprint("q", a.rng.IntN(3)))
		case n < 18:
			a.ack(n < 12)
		case n < 19:
			a.churn()
		default:
			a.again()
		}
	}
}

// send sends the next message, and waits for its answer.
func (a *actor) send(to string) {
	a.n++
	body := a.body(a.n, to)
	a.w.know(body, func(f *fate) { f.begun, f.queue = true, to })
	must(a.w.T, a.e, &queue.Send{Session: a.session, Queue: to, Body: []byte(body), Producer: a.name, Sequence: a.n})
	a.w.know(body, func(f *fate) { f.answered = true })
}

// body names the message, and makes some of them large.
func (a *actor) body(n uint64, to string) string {
	return fmt.Sprintf("%s/%d/%s/%0*d", a.name, n, to, 1+int(n*n%7)*200, 0)
}

// again sends an old message once more: a duplicate.
func (a *actor) again() {
	if a.n == 0 {
		return
	}
	fx := must(a.w.T, a.e, &queue.Send{Session: a.session, Queue: "q0", Body: []byte("again"), Producer: a.name, Sequence: 1 + a.rng.Uint64N(a.n)})
	if !fx.Duplicate {
		a.w.Error("a repeated Send was new")
	}
}

// ack acks what came, at once or after the sync.
func (a *actor) ack(sync bool) {
	a.inbox.mu.Lock()
	leases := slices.Clone(a.inbox.leases[a.seen:])
	bodies := slices.Clone(a.inbox.bodies[a.seen:])
	a.inbox.mu.Unlock()
	a.seen += len(leases)
	if len(leases) == 0 {
		return
	}
	for _, body := range bodies {
		a.w.know(body, func(f *fate) { f.ackBegun = true })
	}
	must(a.w.T, a.e, &queue.Ack{Session: a.session, Leases: leases, Sync: sync})
	if sync {
		for _, body := range bodies {
			a.w.know(body, func(f *fate) { f.acked = true })
		}
	}
}

// churn makes a queue, fills it, and destroys it or the one before.
func (a *actor) churn() {
	a.own++
	name := fmt.Sprint(a.name, "-", a.own)
	must(a.w.T, a.e, &queue.Create{Session: a.session, Queue: name})
	var sent []string
	for range 1 + a.rng.IntN(5) {
		a.send(name)
		sent = append(sent, a.body(a.n, name))
	}
	if a.rng.IntN(4) == 0 {
		return // it stays
	}
	for _, body := range sent {
		a.w.know(body, func(f *fate) { f.queueDestroyed = true })
	}
	must(a.w.T, a.e, &queue.Destroy{Session: a.session, Queue: name})
	for _, body := range sent {
		a.w.know(body, func(f *fate) { f.acked = true }) // it must not come back
	}
}

// recover starts a switch on what a crash has left.
func (w *work) recover(c crash) {
	if w.Failed() {
		return // one is enough, and some take long to fail
	}
	fail := func(format string, args ...any) {
		w.Errorf("after a crash at %s: %s", c.how, fmt.Sprintf(format, args...))
	}
	disk, err := store.Open("dir", store.Options{FS: c.fs, MemTableBytes: 64 << 10})
	if err != nil {
		fail("%v", err)
		return
	}
	e, err := engine.New(engine.Config{Disk: disk, Limits: queue.Limits{MemoryBytes: 64 << 10}})
	if err != nil {
		fail("%v", err)
		return
	}
	defer func() {
		if err := e.Close(); err != nil {
			fail("%v", err)
		}
	}()
	r := &recovered{work: w, e: e, session: login(w.T, e, ""), fail: fail, found: map[string]queue.ID{}}
	r.check()
	r.drain()
	for body, f := range c.fates {
		r.compare(body, f)
	}
	for body := range r.found {
		if _, known := c.fates[body]; !known && body != "again" {
			fail("message %.30s was invented", body)
		}
	}
	r.retry(c)
}

// recovered is a switch after a crash.
type recovered struct {
	*work
	e       *engine.Engine
	session queue.SessionID
	fail    func(string, ...any)
	found   map[string]queue.ID
}

func (r *recovered) check() {
	var tx engine.Tx
	r.e.Begin(&tx)
	defer tx.End()
	if err := tx.State().Check(); err != nil {
		r.fail("%v", err)
	}
}

// drain takes everything from every queue.
func (r *recovered) drain() {
	var tx engine.Tx
	r.e.Begin(&tx)
	qs, _ := tx.State().Queues(queue.Query{Limit: 1 << 20})
	names, count := make([]string, len(qs)), 0
	for i, q := range qs {
		names[i] = q.Name
		sum := q.Summary(tx.Now)
		count += sum.Waiting + sum.Leased
	}
	tx.End()
	b := &inbox{}
	for _, name := range names {
		must(r.T, r.e, &queue.Subscribe{Session: r.session, Queue: name, Credit: queue.MaxCredit, Sink: b})
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Microsecond) { // the loader is at it
		if n, _ := b.got(); n == count {
			break
		} else if time.Now().After(end) {
			r.fail("%d messages are counted, %d came", count, n)
			break
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last := map[string]queue.ID{}
	for i, body := range b.bodies {
		id := b.ids[i]
		if other, twice := r.found[body]; twice {
			r.fail("message %.30s is there as %v and %v", body, other, id)
		}
		r.found[body] = id
		if q := b.queues[i]; !last[q].Before(id) {
			r.fail("queue %s delivers %v after %v", q, id, last[q])
		} else {
			last[q] = id
		}
	}
}

// compare holds what is known of a message against what is there.
func (r *recovered) compare(body string, f fate) {
	_, there := r.found[body]
	switch {
	case f.answered && !f.ackBegun && !f.queueDestroyed && !there:
		r.fail("message %.30s was answered, and is lost", body)
	case f.acked && there:
		r.fail("message %.30s was gone, and came back", body)
	}
}

// retry sends everything again, as producers do whose answers were lost.
func (r *recovered) retry(c crash) {
	var p string
	var n uint64
	for body, f := range c.fates {
		if _, err := fmt.Sscanf(body, "p%1s/%d/", &p, &n); err != nil {
			r.fail("body %.30s: %v", body, err)
		}
		var tx engine.Tx
		r.e.Begin(&tx)
		fx, err := tx.Apply(&queue.Send{Session: r.session, Queue: "q0", Body: []byte(body), Producer: "p" + p, Sequence: n})
		var duplicate bool
		var id queue.ID
		if err == nil {
			duplicate, id = fx.Duplicate, fx.ID
		}
		tx.End()
		old, there := r.found[body]
		switch {
		case errors.Is(err, queue.ErrQueueNotFound) && !f.answered: // nothing had come so far
		case err != nil:
			r.fail("a retry of %.30s: %v", body, err)
		case (f.answered || there) && !duplicate:
			r.fail("message %.30s is enqueued twice", body)
		case there && id != old:
			r.fail("a retry of %.30s names %v, not %v", body, id, old)
		}
	}
}

func login(t *testing.T, e *engine.Engine, producer string) queue.SessionID {
	var tx engine.Tx
	e.Begin(&tx)
	defer tx.End()
	id := tx.State().NewSessionID()
	if _, err := tx.Apply(&queue.Login{Session: id, Producer: producer, TTL: time.Hour}); err != nil {
		t.Error(err)
	}
	return id
}

// must does one operation, and waits until its answer may go.
func must(t *testing.T, e *engine.Engine, op queue.Op) *queue.Effects {
	t.Helper()
	var tx engine.Tx
	e.Begin(&tx)
	fx, err := tx.Apply(op)
	if err != nil {
		tx.End()
		t.Errorf("%T: %v", op, err)
		return &queue.Effects{}
	}
	copied, ticket := *fx, tx.Ticket()
	tx.End()
	if err := ticket.Wait(t.Context()); err != nil {
		t.Errorf("%T: %v", op, err)
	}
	return &copied
}
