package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

const (
	// within is how long anything may take. Nothing does that goes well.
	within = 20 * time.Second
	// look is how often a condition is looked at.
	look = 2 * time.Millisecond
)

// A rig is a switch on a real socket, a client that reaches it through a proxy,
// and a peer that reaches it past the proxy and so is never cut off.
type rig struct {
	*testing.T
	ctx   context.Context
	stop  context.CancelFunc // ends ctx
	sw    *servertest.Switch
	proxy *proxy
	c     *client.Client // named "cut"
	peer  *client.Client
	trial trial
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), within)
	t.Cleanup(stop)
	r := &rig{T: t, ctx: ctx, stop: stop, sw: servertest.Listen(t, server.Config{Listen: []string{"127.0.0.1:0"}})}
	r.proxy = newProxy(t, r.sw.Addr())
	r.peer = r.dial(client.Config{Conn: r.sw.Conn(), Name: "peer"})
	r.c = r.dial(client.Config{})
	return r
}

// dial makes a client, through the proxy unless told otherwise.
func (r *rig) dial(cfg client.Config) *client.Client {
	r.Helper()
	if cfg.Conn == nil && cfg.Addr == "" {
		cfg.Addr = r.proxy.addr()
	}
	if cfg.Name == "" {
		cfg.Name = "cut"
	}
	c, err := client.New(cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	return c
}

// spawn does f in the background. The test ends after it.
func (r *rig) spawn(f func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	r.Cleanup(func() { r.stop(); wg.Wait() })
	return wg.Wait
}

// try runs a trial, and checks what must be true after each.
func (r *rig) try(c trial) {
	r.trial = c
	r.create("q")
	c.run(r)
	r.await("the cuts", r.proxy.done)
	r.over()
}

// over closes the clients. Then the switch must hold nothing of theirs.
func (r *rig) over() {
	r.Helper()
	began := time.Now()
	r.must(r.c.Close())
	if took := time.Since(began); took > 5*time.Second {
		r.Errorf("Close took %v", took)
	}
	admin := r.dial(client.Config{Conn: r.sw.Conn()}).Admin()
	r.must(r.peer.Close())
	r.proxy.close()
	var left string
	for deadline := time.Now().Add(within); ; {
		d, err := admin.Diagnostics(r.ctx, 0)
		r.must(err)
		if left = remains(d); left == "" {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("after Close the switch still holds %s", left)
		}
		tick()
	}
}

// remains is what a switch holds on behalf of sessions; empty: nothing.
func remains(d client.Diagnostics) string {
	if len(d.Sessions) > 0 {
		return fmt.Sprintf("sessions: %+v", d.Sessions)
	}
	for _, q := range d.Queues {
		if q.Summary.Temporary || q.Summary.Leased > 0 || q.Summary.Consumers > 0 {
			return fmt.Sprintf("queue %+v", q.Summary)
		}
	}
	return ""
}

// tick lets a little time pass between two looks.
func tick() { <-time.After(look) }

// await waits for a condition.
func (r *rig) await(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(within); !ok(); tick() {
		if time.Now().After(deadline) {
			d, err := r.peer.Admin().Describe(context.Background(), "q")
			r.Fatalf("waited in vain for %s; queue q: %+v, %v", what, d, err)
		}
	}
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// arm lets the cuts of the trial come.
func (r *rig) arm() { r.proxy.arm(r.trial.plan...) }

func (r *rig) connect() {
	r.Helper()
	r.must(r.c.Connect(r.ctx))
}

func (r *rig) create(queue string) {
	r.Helper()
	_, err := r.peer.Create(r.ctx, queue, client.QueueOptions{})
	r.must(err)
}

// send has the peer send.
func (r *rig) send(bodies ...string) {
	r.Helper()
	for _, b := range bodies {
		_, err := r.peer.Send(r.ctx, "q", client.Message{Body: []byte(b)})
		r.must(err)
	}
}

// settle waits until the client has resumed its session and got all that it
// missed. The first Send makes the switch say something, should a cut wait for
// that; the last comes after the Subscribes that follow the last Login.
func (r *rig) settle() {
	r.Helper()
	for i := range 3 {
		_, err := r.c.Send(r.ctx, "settle", client.Message{Create: &client.QueueOptions{}})
		r.must(err)
		if i == 0 {
			r.await("the cuts", r.proxy.done)
		}
	}
}

// describe is what the switch says about a queue.
func (r *rig) describe(queue string) client.QueueDescription {
	r.Helper()
	d, err := r.peer.Admin().Describe(r.ctx, queue)
	r.must(err)
	return d
}

// counts waits until the counters of a queue are these, all of them.
func (r *rig) counts(queue string, want client.QueueCounters) {
	r.Helper()
	var got client.QueueCounters
	for deadline := time.Now().Add(within / 4); time.Now().Before(deadline); tick() {
		if got = r.describe(queue).Counters; got == want {
			return
		}
	}
	r.Fatalf("counters of %s:\n got %+v\nwant %+v", queue, got, want)
}

// session is what the switch says about the client's session.
func (r *rig) session() client.SessionInfo {
	r.Helper()
	d, err := r.peer.Admin().Diagnostics(r.ctx, 0)
	r.must(err)
	i := slices.IndexFunc(d.Sessions, func(s client.SessionInfo) bool { return s.Name == "cut" })
	if i < 0 {
		return client.SessionInfo{}
	}
	return d.Sessions[i]
}

// A tally counts, by body or correlation id.
type tally struct {
	mu  sync.Mutex
	all map[string]int
}

// note counts one more.
func (y *tally) note(what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.all == nil {
		y.all = map[string]int{}
	}
	y.all[what]++
}

// len is how many different ones there are.
func (y *tally) len() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.all)
}

// once fails the test unless there are n, each once.
func (y *tally) once(t testing.TB, what string, n int) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.all) != n {
		t.Errorf("%s: %d, want %d", what, len(y.all), n)
	}
	for k, v := range y.all {
		if v != 1 {
			t.Errorf("%s: %s came %d times", what, k, v)
		}
	}
}

// A post is a subscription of the client to q, with what came.
type post struct {
	r    *rig
	sub  *client.Subscription
	came chan *client.Delivery
	seen tally // by body and attempt
	over chan error
}

// subscribe has the client consume q.
func (r *rig) subscribe() *post {
	r.Helper()
	p := &post{r: r, came: make(chan *client.Delivery, 1000), over: make(chan error, 1)}
	sub, err := r.c.Subscribe(r.ctx, "q", client.ConsumeOptions{Create: &client.QueueOptions{}}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			p.seen.note(fmt.Sprintf("%s, attempt %d", d.Body, d.Attempt))
			p.came <- d
		},
		Ended: func(err error) { p.over <- err },
	})
	r.must(err)
	p.sub = sub
	return p
}

// next waits for a delivery.
func (p *post) next() *client.Delivery {
	p.r.Helper()
	select {
	case d := <-p.came:
		return d
	case err := <-p.over:
		p.r.Fatalf("the subscription ended: %v", err)
	case <-p.r.ctx.Done():
		p.r.Fatal("no delivery came")
	}
	return nil
}

// respond has the peer answer every request on q with "re:" and its body.
func (r *rig) respond() *tally {
	r.Helper()
	runs := &tally{}
	_, err := r.peer.Subscribe(r.ctx, "q", client.ConsumeOptions{}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			runs.note(string(d.Body))
			if err := d.Reply(append([]byte("re:"), d.Body...), nil); err != nil {
				r.Errorf("reply to %s: %v", d.Body, err)
			}
		},
	})
	r.must(err)
	return runs
}

// caller is for calls of a client; it closes with the test.
func (r *rig) caller(c *client.Client) *rpc.Caller {
	caller := rpc.NewCaller(c)
	r.Cleanup(func() { caller.Close() })
	return caller
}

// call calls q, and fails the test unless the reply is the body's own.
func (r *rig) call(c *rpc.Caller, body string) {
	r.Helper()
	reply, err := c.Call(r.ctx, "q", []byte(body))
	if err != nil || string(reply) != "re:"+body {
		r.Errorf("call %s: reply %q, error %v", body, reply, err)
	}
}

// lostAtOnce fails the test unless err says that the session was lost.
func (r *rig) lostAtOnce(what string, err error) {
	r.Helper()
	if !errors.Is(err, client.ErrSessionLost) {
		r.Errorf("%s: %v, want %v", what, err, client.ErrSessionLost)
	}
}
