package queue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// How much the random test of durable queues does. It reads its disk from the
// start each time, and so does less than that of memory queues.
const (
	durableOperations    = 120_000
	durableOperationsRun = 1_500
)

// tight has room for a few messages in memory, so that most are spilled.
var tight = queue.Limits{PayloadBytes: 200, Queues: 14, Sessions: 6, Consumers: 4, TemporaryQueues: 3, Producers: 3,
	MemoryBytes: 24_000, TraceEvents: 8, ProducerSilence: 2 * time.Second, DurableAvailable: true}

var durableSettings = []setting{
	{name: "spilling", limits: tight, durable: 90, queues: 3, sessions: 5, messages: 60, body: 150, credit: 6, deadline: 20, hurry: time.Second, pulls: 30},
	{name: "mixed", limits: tight, durable: 50, queues: 5, sessions: 5, messages: 30, body: 150, credit: 4, dropping: 20, deadline: 20, hurry: time.Second, pulls: 30},
	{name: "dropping", limits: tight, durable: 90, queues: 2, sessions: 3, messages: 25, bytes: 2000, body: 150, credit: 2, dropping: 100, deadline: 10, hurry: time.Second, pulls: 20},
	{name: "expiring", limits: tight, durable: 90, queues: 2, sessions: 4, messages: 80, body: 100, credit: 3, maxAge: 50, deadline: 80, hurry: 300 * time.Millisecond, pulls: 30},
	{name: "unserved", limits: tight, durable: 90, queues: 2, sessions: 3, messages: 100, body: 100, credit: 1, dropping: 30, deadline: 40, hurry: time.Second, pulls: 100},
}

// TestRandomDurable compares the core with the model as TestRandomOperations
// does, on durable queues: batches are committed late, Loads are answered late,
// and at times all but the disk is lost. SWITCH_SEED repeats one run.
func TestRandomDurable(t *testing.T) {
	seed, each := rand.Uint64(), durableOperations/len(durableSettings)
	switch {
	case testing.Short():
		each /= 20
	case os.Getenv("SWITCH_SLOW") != "":
		each *= 20
	}
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		var err error
		if seed, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatalf("SWITCH_SEED=%s: %v", env, err)
		}
		each = 1
	}
	for _, set := range durableSettings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			set.playDurable(t, seed, each)
		})
	}
}

func (set setting) playDurable(t *testing.T, seed uint64, n int) {
	var sum tallies
	cut := 0
	for done := 0; done < n; seed++ {
		g := newGame(set, seed)
		g.met = map[error]int{}
		g.disks = newDisks(g)
		if err := g.play(durableOperationsRun); err != nil {
			t.Fatalf("%v\nrepeat with SWITCH_SEED=%d; the last operations were:\n%s", err, seed, g.history())
		}
		done += g.step
		sum.add(g.disks.tallies)
		if g.model.tie {
			cut++
		}
	}
	t.Logf("%+v; %d runs were cut short by equal deadlines", sum, cut)
	if n > 10_000 && (sum.commits == 0 || sum.crashes == 0 || sum.loaded == 0 || sum.rebuilt == 0 || sum.spilled == 0 || sum.swept == 0 || sum.settled == 0) {
		t.Errorf("the test is blind somewhere: %+v", sum)
	}
}

// disks is what stands between a core and its disk, and what the test knows of
// it.
type disks struct {
	shadow    *disk // with all batches that are closed
	committed *disk
	open      *batch
	closed    []*batch         // on their way to the disk
	synced    []queue.Synced   // of those that are there
	loads     []queue.Load     // asked for
	read      []*queue.Fetched // read, on their way back
	purges    []*queue.Purge   // with what was read for them
	unsaved   queue.Unsaved
	lag       int // how late everything is: a rate
	first     map[uint64]uint64
	seen      map[queue.ID]bool
	tallies
}

// tallies say what the test came to see.
type tallies struct{ commits, crashes, loaded, swept, spilled, rebuilt, purged, settled int }

func (t *tallies) add(o tallies) {
	t.commits, t.crashes, t.loaded, t.swept = t.commits+o.commits, t.crashes+o.crashes, t.loaded+o.loaded, t.swept+o.swept
	t.spilled, t.rebuilt, t.purged, t.settled = t.spilled+o.spilled, t.rebuilt+o.rebuilt, t.purged+o.purged, t.settled+o.settled
}

func newDisks(g *game) *disks {
	d := &disks{lag: []int{10, 40, 80}[g.rand.IntN(3)]}
	d.begin(newDisk(g.model.epoch))
	g.model.spills = g.spills
	return d
}

// begin starts a life with what a disk holds.
func (d *disks) begin(of *disk) {
	*d = disks{committed: of, shadow: of.clone(), open: new(batch), lag: d.lag, tallies: d.tallies,
		first: map[uint64]uint64{}, seen: map[queue.ID]bool{}}
}

// spills lets the model ask the core what it spilled. That is checked by itself.
func (g *game) spills(name string, sequence uint64) bool {
	q, err := g.state.QueueNamed(name)
	return err == nil && q.SpilledAt(sequence)
}

// look takes what an operation changed to the open batch, and looks at what
// it promised.
func (g *game) look() error {
	d := g.disks
	for _, c := range g.fx.Changes {
		d.open.change(c, g.model.stored)
		if c.Kind == queue.MessageStored {
			if err := g.spilledRightly(c); err != nil {
				return err
			}
		}
	}
	for _, l := range g.fx.Loads {
		if l.From > l.To || l.To > g.state.SyncedTo() || l.Messages < 1 || l.Bytes < 1 || d.pending(l.Queue) {
			return fmt.Errorf("the Load %+v is not as it should be", l)
		}
		d.loads = append(d.loads, l)
	}
	for _, x := range g.fx.Deliveries {
		if err := d.delivered(x); err != nil {
			return err
		}
	}
	if bytes, limit := g.state.Window(); bytes > limit+(g.queues+6)*(g.body+512) {
		return fmt.Errorf("first deliveries take %d bytes, and may take %d", bytes, limit)
	}
	return nil
}

// spilledRightly looks at a new message: requests stay in memory, and behind a
// spilled message nothing else does.
func (g *game) spilledRightly(c queue.Change) error {
	x := g.model.stored(c.Message.ID.Sequence)
	if x == nil {
		return nil // it is gone again
	}
	behind := false
	for _, o := range x.queue.msgs {
		behind = behind || o.spilled && o.id.Before(x.id)
	}
	if x.spilled {
		g.disks.spilled++
	}
	switch {
	case x.spilled && x.request:
		return fmt.Errorf("request %v is on disk alone", x.id)
	case !x.spilled && !x.request && behind:
		return fmt.Errorf("message %v is in memory, behind some that are not", x.id)
	case x.spilled && !behind && len(g.fx.Changes) == 1 && len(g.fx.Loads) == 0 && g.state.Fits(c.Queue, len(x.body)):
		return fmt.Errorf("message %v was spilled, and there is room for it", x.id)
	}
	return nil
}

func (d *disks) pending(id uint64) bool {
	for _, l := range d.loads {
		if l.Queue == id {
			return true
		}
	}
	for _, f := range d.read {
		if f.Load.Queue == id {
			return true
		}
	}
	return false
}

// delivered looks at a delivery: the message is on disk, and first ones come in
// order.
func (d *disks) delivered(x queue.Delivery) error {
	id, sequence := x.Consumer.Queue.Kept().ID, x.Message.ID.Sequence
	if id == 0 {
		return nil
	}
	if _, ok := d.committed.messages[place{id, sequence}]; !ok {
		return fmt.Errorf("message %v is delivered before it is on disk", x.Message.ID)
	}
	if !d.seen[x.Message.ID] {
		if sequence < d.first[id] {
			return fmt.Errorf("message %d is delivered the first time after %d", sequence, d.first[id])
		}
		d.seen[x.Message.ID], d.first[id] = true, sequence
	}
	return nil
}

// stored is the message of a sequence on a durable queue.
func (m *model) stored(sequence uint64) *mMessage {
	for _, q := range m.queues {
		for _, x := range q.msgs {
			if q.id != 0 && x.id.Sequence == sequence {
				return x
			}
		}
	}
	return nil
}

// engine does some of what is under way between core and disk.
func (g *game) engine() error {
	d := g.disks
	late := func() bool { return g.rate(d.lag) }
	if (len(d.open.writes) > 0 || g.rate(10)) && !late() {
		if err := g.close(); err != nil {
			return err
		}
	}
	if len(d.closed) > 0 && !late() {
		if err := g.commit(); err != nil {
			return err
		}
	}
	if len(d.synced) > 0 && !late() {
		if err := g.sync(); err != nil {
			return err
		}
	}
	if len(d.loads) > 0 && !late() {
		g.read()
	}
	if len(d.read) > 0 && !late() {
		if err := g.fetch(); err != nil {
			return err
		}
	}
	if len(d.purges) > 0 && !late() {
		op := d.purges[0]
		d.purges = d.purges[1:]
		d.purged += len(op.Stored)
		if err := g.applyNow(op); err != nil {
			return err
		}
	}
	switch {
	case g.rand.IntN(500) == 0:
		return g.crash()
	case g.rand.IntN(1000) == 0:
		return g.settle()
	}
	return nil
}

// applyNow is apply, a moment later.
func (g *game) applyNow(op queue.Op) error {
	if g.model.tie {
		return nil
	}
	g.now++
	if err := g.apply(op); err != nil {
		return fmt.Errorf("%T: %w", op, err)
	}
	return g.spread()
}

// close ends the open batch, and compares the disk that it makes with the
// model, and with the core.
func (g *game) close() error {
	d := g.disks
	if g.model.tie {
		return nil // the core went another way
	}
	b := d.open
	b.close(g.state, &d.unsaved)
	if g.state.HasUnsaved() {
		return fmt.Errorf("something is unsaved after TakeUnsaved")
	}
	d.open = new(batch)
	d.closed = append(d.closed, b)
	if err := d.shadow.write(b); err != nil {
		return err
	}
	if !testing.Short() && g.rate(80) {
		return nil // it takes time; in short runs each is compared
	}
	if disk, want := d.shadow.durable(), g.model.durable(); disk != want {
		return fmt.Errorf("the disk (<) is not what the model says (>):\n%s", difference(disk, want))
	}
	if err := d.shadow.windowsKnow(g.model); err != nil {
		return err
	}
	if g.rate(20) || testing.Short() {
		return g.rebuild()
	}
	return nil
}

// rebuild makes a state of the disk, and compares its durable half with that of
// the live one.
func (g *game) rebuild() error {
	d := g.disks
	from := d.shadow.clone()
	of := func(id uint64) (all []queue.Stored) {
		for _, st := range from.sorted(id) {
			all = append(all, st.Stored)
		}
		return all
	}
	epoch := g.model.epoch + 1
	var fx queue.Effects
	s, err := queue.Restore(epoch, g.limits, g.now, from.begin(epoch), &fx)
	if err != nil {
		return fmt.Errorf("Restore: %w", err)
	}
	live, rebuilt := g.state.DurableHalf(of), s.DurableHalf(of)
	if live != "" && len(fx.Changes) == 0 {
		d.rebuilt++
		if live != rebuilt {
			return fmt.Errorf("the durable half (<) is not what is built of the disk (>):\n%s", difference(live, rebuilt))
		}
	}
	return nil
}

// difference is the lines that one text has and the other has not.
func difference(a, b string) string {
	var out strings.Builder
	as, bs := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for _, line := range as {
		if !slices.Contains(bs, line) {
			out.WriteString("< " + line)
		}
	}
	for _, line := range bs {
		if !slices.Contains(as, line) {
			out.WriteString("> " + line)
		}
	}
	return out.String()
}

func (g *game) commit() error {
	d := g.disks
	b := d.closed[0]
	d.closed = d.closed[1:]
	d.synced = append(d.synced, queue.Synced{Through: b.through})
	d.commits++
	return d.committed.write(b)
}

func (g *game) sync() error {
	d := g.disks
	op := d.synced[0]
	d.synced = d.synced[1:]
	return g.applyNow(&op)
}

func (g *game) read() {
	d := g.disks
	i := g.rand.IntN(len(d.loads))
	less := d.loads[i]
	if g.rate(40) { // a store may bring less than it was asked for
		less.Messages = min(less.Messages, 1+g.rand.IntN(3))
	}
	f := d.committed.read(less)
	f.Load = d.loads[i]
	d.read = append(d.read, f)
	d.loads = append(d.loads[:i], d.loads[i+1:]...)
}

func (g *game) fetch() error {
	d := g.disks
	i := g.rand.IntN(len(d.read))
	op := d.read[i]
	d.read = append(d.read[:i], d.read[i+1:]...)
	if op.Load.Expired == 0 {
		d.loaded += len(op.Messages)
	} else {
		d.swept += len(op.Messages)
	}
	return g.applyNow(op)
}

// crash loses all but the disk, and begins anew with it.
func (g *game) crash() error {
	d := g.disks
	d.crashes++
	d.begin(d.committed)
	g.now = g.now.Add(g.span(1, time.Second))
	epoch := g.model.epoch + 1 + uint64(g.rand.IntN(2))
	k := d.committed.begin(epoch)
	d.shadow = d.committed.clone()
	var err error
	if g.state, err = queue.Restore(epoch, g.limits, g.now, k, &g.fx); err != nil {
		return fmt.Errorf("Restore: %w", err)
	}
	g.model = d.committed.restored(g.limits, g.now, g.spills)
	if err := g.state.Check(); err != nil {
		return fmt.Errorf("Check of what was restored: %w", err)
	}
	if err := g.sameState(true); err != nil {
		return fmt.Errorf("what was restored: %w", err)
	}
	if err := g.look(); err != nil {
		return err
	}
	// Their deadlines would be equal.
	for i, s := range g.state.Sessions() {
		if i > 0 {
			if err := g.applyNow(&queue.Renew{Session: s.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle brings everything that is under way to its end, and lets some time
// pass. Then no expired message is left on disk alone.
func (g *game) settle() error {
	begin := g.now
	for range 4 {
		if err := g.calm(); err != nil || g.model.tie {
			return err
		}
		g.now = g.now.Add(1100*time.Millisecond + time.Duration(g.rand.IntN(1000)))
	}
	g.disks.settled++
	for _, q := range g.model.queues {
		for _, x := range q.msgs {
			if x.spilled && x.expired(begin) {
				return fmt.Errorf("message %v expired at %d and is on disk alone at %d", x.id, x.expires, g.now)
			}
		}
	}
	return nil
}

// calm does what there is to do at this instant.
func (g *game) calm() error {
	d := g.disks
	for range 500 {
		due := g.state.NextDeadline()
		tick := due != 0 && due <= g.now
		if !tick && len(d.open.writes)+len(d.closed)+len(d.synced)+len(d.loads)+len(d.read) == 0 && g.state.SyncedTo() == g.model.lastID {
			return nil
		}
		if tick {
			if err := g.applyNow(&queue.Tick{}); err != nil {
				return err
			}
		}
		if err := g.close(); err != nil {
			return err
		}
		for len(d.closed) > 0 {
			if err := g.commit(); err != nil {
				return err
			}
		}
		for len(d.synced) > 0 {
			if err := g.sync(); err != nil {
				return err
			}
		}
		for len(d.loads) > 0 {
			g.read()
		}
		for len(d.read) > 0 {
			if err := g.fetch(); err != nil {
				return err
			}
		}
		if g.model.tie {
			return nil
		}
	}
	return fmt.Errorf("there is no end of what is to do: %+v", d.loads)
}
