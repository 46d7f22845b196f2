package client_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

const (
	stormCallers = 64
	stormCalls   = 60 // of each caller
	// stormBytes is the average between two cuts. A request or a reply with what
	// belongs to it takes about 60 bytes, so this is some 300 frames.
	stormBytes = 20_000
)

// newStorm makes a storm of a seed; n tells those of one test apart.
func newStorm(seed, n uint64) *storm {
	s := &storm{random: rand.New(rand.NewPCG(seed, n)), every: stormBytes}
	s.left = 1 + s.random.IntN(s.every)
	return s
}

// stormSeed is SWITCH_SEED, or a new one. It is printed.
func stormSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64N(1 << 32)
	if s := os.Getenv("SWITCH_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SWITCH_SEED=%d", seed)
	return seed
}

// TestReconnectStorm has 64 callers call while the connections of both sides
// break every few hundred frames, anywhere: within frames, messages and logins.
func TestReconnectStorm(t *testing.T) {
	seed := stormSeed(t)
	r := newRig(t)
	r.create("q")
	runs, stop := r.serve(func(string) {}, rpc.Concurrency(stormCallers))
	far := newProxy(t, r.sw.Addr())
	callers := r.dial(client.Config{Addr: far.addr(), Name: "callers"})
	caller := r.caller(callers)
	r.call(caller, "first")

	storms := []*storm{newStorm(seed, 1), newStorm(seed, 2)}
	r.proxy.unleash(storms[0])
	far.unleash(storms[1])
	var all sync.WaitGroup
	for i := range stormCallers {
		all.Go(func() {
			for j := range stormCalls {
				r.call(caller, fmt.Sprintf("%d.%d", i, j))
			}
		})
	}
	all.Wait()
	r.proxy.unleash(nil)
	far.unleash(nil)

	const n = stormCallers*stormCalls + 1
	r.settle()
	runs.once(t, "runs", n)
	r.counts("q", client.QueueCounters{Sent: n, Delivered: n, Acked: n})
	for i, s := range storms {
		if t.Logf("storm %d: %d cuts", i, s.cuts); s.cuts < 5 {
			t.Errorf("%d cuts: too few to prove anything", s.cuts)
		}
	}
	stop()
	r.must(caller.Close())
	r.must(callers.Close())
	far.close()
	r.over()
}

// TestReconnectStormOfRequests is the same with a reply queue of its own, because
// an inbox would hide a reply that comes twice, and with a consumer that acks.
func TestReconnectStormOfRequests(t *testing.T) {
	seed := stormSeed(t)
	r := newRig(t)
	r.create("q")
	runs := r.respond()
	var receipts tally
	replyTo, replies := r.replyQueue()
	work := r.consumeWork()
	s := newStorm(seed, 3)
	r.proxy.unleash(s)
	const n = 1000
	for i := range n {
		id := strconv.Itoa(i)
		_, err := r.c.Send(r.ctx, "q", client.Message{CorrelationID: id, ReplyTo: replyTo, Body: []byte(id)})
		r.must(err)
		receipt, err := r.c.Send(r.ctx, "work", client.Message{Body: []byte(id)})
		if err != nil || receipt.Duplicate {
			r.Fatalf("receipt %+v, error %v", receipt, err)
		}
		receipts.note(receipt.MessageID)
	}
	r.await("all replies", func() bool { return replies.len() == n && work.len() == n })
	r.proxy.unleash(nil)
	r.settle()
	runs.once(t, "runs", n)
	replies.once(t, "replies", n)
	receipts.once(t, "receipts", n)
	work.once(t, "deliveries", n)
	r.counts("q", client.QueueCounters{Sent: n, Delivered: n, Acked: n})
	r.counts("work", client.QueueCounters{Sent: n, Delivered: n, Acked: n})
	if t.Logf("%d cuts", s.cuts); s.cuts < 5 {
		t.Errorf("%d cuts: too few to prove anything", s.cuts)
	}
	r.over()
}

// TestReconnectStormOfSendAsync breaks the connection again and again while
// messages are under way: each is enqueued once, in order, and told once.
func TestReconnectStormOfSendAsync(t *testing.T) {
	seed := stormSeed(t)
	r := newRig(t)
	r.create("q")
	s := newStorm(seed, 4)
	r.proxy.unleash(s)
	var told outcomes
	n := 0
	for ; n < 5000 || r.proxy.cuts() < 5 && n < 100_000; n++ { // how many cuts there are is up to how much is written at once
		r.must(r.c.SendAsync(r.ctx, "q", client.Message{Body: []byte(strconv.Itoa(n))}, told.of(n)))
		if n%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	r.await("all to be told", func() bool {
		told.mu.Lock()
		defer told.mu.Unlock()
		return len(told.all) == n
	})
	r.proxy.unleash(nil)
	for i, err := range told.once(t, n) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	r.counts("q", client.QueueCounters{Sent: uint64(n)})
	next := 0
	for d, err := range r.c.Consume(r.ctx, "q", client.ConsumeOptions{}) {
		r.must(err)
		if string(d.Body) != strconv.Itoa(next) {
			t.Fatalf("message %s came in the place of %d", d.Body, next)
		}
		r.must(d.Ack())
		if next++; next == n {
			break
		}
	}
	if t.Logf("%d cuts", s.cuts); s.cuts < 5 {
		t.Errorf("%d cuts: too few to prove anything", s.cuts)
	}
	r.over()
}

// replyQueue is a temporary queue and the replies that come to it.
func (r *rig) replyQueue() (string, *tally) {
	r.Helper()
	replies := &tally{}
	queue, err := r.c.CreateTemporary(r.ctx)
	r.must(err)
	_, err = r.c.Subscribe(r.ctx, queue, client.ConsumeOptions{Credit: 1000}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			replies.note(d.CorrelationID + " " + string(d.Body))
			if err := d.Ack(); err != nil {
				r.Errorf("ack %s: %v", d.CorrelationID, err)
			}
		},
	})
	r.must(err)
	return queue, replies
}

// consumeWork has the client ack what comes on another queue.
func (r *rig) consumeWork() *tally {
	r.Helper()
	got := &tally{}
	_, err := r.c.Subscribe(r.ctx, "work", client.ConsumeOptions{Create: &client.QueueOptions{}}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			got.note(string(d.Body))
			if err := d.Ack(); err != nil {
				r.Errorf("ack: %v", err)
			}
		},
	})
	r.must(err)
	return got
}

// TestReconnectWhileHandlersRun breaks the server's connection while its handlers
// run: once or often, as long as the grace and the leases hold.
func TestReconnectWhileHandlersRun(t *testing.T) {
	for _, how := range []breakage{byReset, byClose, bySilence, byHalf} {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v/%d", how, times), func(t *testing.T) {
				t.Parallel()
				newRig(t).whileHandlersRun(how, times)
			})
		}
	}
}

func (r *rig) whileHandlersRun(how breakage, times int) {
	const n = 8
	r.create("q")
	goOn := make(chan struct{})
	runs, stop := r.serve(func(string) { <-goOn })
	caller := r.caller(r.peer)
	called := r.spawn(func() {
		var calls sync.WaitGroup
		for i := range n {
			calls.Go(func() { r.call(caller, strconv.Itoa(i)) })
		}
		calls.Wait()
	})
	r.await("the handlers", func() bool { return runs.len() == n })
	for i := range times {
		r.proxy.breakAll(how)
		r.await("the server to be back", func() bool { logins, _ := r.proxy.seen(); return logins == i+2 })
	}
	close(goOn)
	called()
	r.settle()
	stop()
	runs.once(r, "runs", n)
	r.counts("q", client.QueueCounters{Sent: n, Delivered: n, Acked: n})
	r.over()
}
