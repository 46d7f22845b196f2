package client_test

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/d3b0a776/switch/client"
)

// The first connection has no session that could be resumed, so Connect may
// fail; the next one must not.
func stepLogin(r *rig) {
	r.c = r.dial(client.Config{Grace: time.Second}) // also of a session whose Login was not answered
	r.arm()
	err := r.c.Connect(r.ctx)
	if err == nil && r.trial.plan[0].place != afterIt {
		r.Error("Connect succeeds without an answer")
	}
	if err != nil && !errors.Is(err, client.ErrUnreachable) {
		r.Errorf("Connect: %v, want %v", err, client.ErrUnreachable)
	}
	r.connect()
	_, err = r.c.Send(r.ctx, "q", client.Message{})
	r.must(err)
	r.counts("q", client.QueueCounters{Sent: 1})
}

func stepCreate(r *rig) {
	r.connect()
	r.arm()
	created, err := r.c.Create(r.ctx, "made", client.QueueOptions{MaxMessages: 7})
	if err != nil || !created {
		r.Errorf("created %v, error %v", created, err)
	}
	if d := r.describe("made"); d.Options.MaxMessages != 7 {
		r.Errorf("options %+v", d.Options)
	}
	r.settle()
}

func stepCreateTemporary(r *rig) {
	r.connect()
	r.arm()
	queue, err := r.c.CreateTemporary(r.ctx)
	r.must(err)
	if d := r.describe(queue); d.Owner != "cut" {
		r.Errorf("%s belongs to %q", queue, d.Owner)
	}
	r.settle()
	if n := r.session().TemporaryQueues; n != 1 {
		r.Errorf("%d temporary queues, want 1", n)
	}
}

func stepSend(r *rig) {
	first := r.trial.plan[0].frame == "login"
	if first {
		r.arm()
	}
	r.connect()
	if !first {
		r.arm()
	}
	receipt, err := r.c.Send(r.ctx, "q", client.Message{Body: []byte("one")})
	if err != nil || receipt.Duplicate {
		r.Fatalf("receipt %+v, error %v", receipt, err)
	}
	r.settle()
	r.counts("q", client.QueueCounters{Sent: 1})
	held, err := r.peer.Admin().Peek(r.ctx, "q", 0)
	if err != nil || len(held) != 1 || held[0].MessageID != receipt.MessageID {
		r.Errorf("the queue holds %+v, error %v, want %s", held, err, receipt.MessageID)
	}
}

// Bodies that take several frames of HTTP/2, and stream messages, each.
func stepSendMuch(r *rig) {
	r.connect()
	r.arm()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			_, err := r.c.Send(r.ctx, "q", client.Message{Body: make([]byte, 40_000+i)})
			if err != nil {
				r.Error(err)
			}
		})
	}
	all.Wait()
	r.settle()
	r.counts("q", client.QueueCounters{Sent: 4})
	if n := r.describe("q").Summary.Bytes; n != 160_006 {
		r.Errorf("%d bytes in the queue, want 160006", n)
	}
}

func stepSendTogether(r *rig) {
	r.connect()
	r.arm()
	const n = 50
	var all sync.WaitGroup
	var ids, bodies tally
	for i := range n {
		all.Go(func() {
			receipt, err := r.c.Send(r.ctx, "q", client.Message{Body: fmt.Append(nil, i)})
			if err != nil || receipt.Duplicate {
				r.Errorf("receipt %+v, error %v", receipt, err)
			}
			ids.note(receipt.MessageID)
		})
	}
	all.Wait()
	r.settle()
	r.counts("q", client.QueueCounters{Sent: n})
	held, err := r.peer.Admin().Peek(r.ctx, "q", 2*n)
	r.must(err)
	for _, m := range held {
		bodies.note(string(m.Body))
		ids.note(m.MessageID + " is held")
	}
	bodies.once(r, "bodies", n)
	ids.once(r, "ids", 2*n)
}

func stepSendNowhere(r *rig) {
	r.connect()
	r.arm()
	if _, err := r.c.Send(r.ctx, "nowhere", client.Message{}); !errors.Is(err, client.ErrQueueNotFound) {
		r.Errorf("Send: %v, want %v", err, client.ErrQueueNotFound)
	}
	r.settle()
}

func stepDestroy(r *rig) {
	r.send("one", "two")
	r.connect()
	r.arm()
	n, err := r.c.Destroy(r.ctx, "q")
	if err != nil || n != 2 {
		r.Errorf("destroyed %d messages, error %v", n, err)
	}
	if _, err := r.peer.Admin().Describe(r.ctx, "q"); !errors.Is(err, client.ErrQueueNotFound) {
		r.Errorf("describe a destroyed queue: %v", err)
	}
	r.settle()
}

// What the session holds goes back: at once if the Logout arrived, and otherwise
// with the grace.
func stepClose(r *rig) {
	r.c = r.dial(client.Config{Grace: 100 * time.Millisecond})
	r.connect()
	_, err := r.c.CreateTemporary(r.ctx)
	r.must(err)
	p := r.subscribe()
	r.send("one")
	p.next()
	r.arm()
	r.must(r.c.Close())
	select {
	case err := <-p.over:
		if !errors.Is(err, client.ErrClosed) {
			r.Errorf("the subscription ended: %v, want %v", err, client.ErrClosed)
		}
	default:
		r.Error("the subscription did not end")
	}
	if _, err := r.c.Send(r.ctx, "q", client.Message{}); !errors.Is(err, client.ErrClosed) {
		r.Errorf("Send after Close: %v", err)
	}
	r.proxy.breakAll(byReset) // what is half open
	r.await("the message to return", func() bool { return r.describe("q").Summary.Waiting == 1 })
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1})
}

func stepSubscribe(r *rig) {
	r.connect()
	r.arm()
	p := r.subscribe()
	if d := r.describe("q"); len(d.Consumers) != 1 {
		r.Errorf("consumers: %+v", d.Consumers)
	}
	r.send("one")
	r.must(p.next().AckWait(r.ctx))
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}

// What waits already comes before the answer, in a stream message of its own if
// it is much.
func stepSubscribeMuch(r *rig) {
	const n = 4
	for i := range n {
		r.send(fmt.Sprintf("%040000d", i))
	}
	r.connect()
	r.arm()
	p := r.subscribe()
	for range n {
		r.must(p.next().Ack())
	}
	r.settle()
	p.seen.once(r, "deliveries", n)
	r.counts("q", client.QueueCounters{Sent: n, Delivered: n, Acked: n})
}

func stepReceive(r *rig) {
	p := r.subscribe()
	r.arm()
	r.send("one", "two", "three")
	for _, body := range []string{"one", "two", "three"} {
		d := p.next()
		if string(d.Body) != body || d.Attempt != 1 {
			r.Errorf("got %s, attempt %d, want the first of %s", d.Body, d.Attempt, body)
		}
		r.must(d.Ack())
	}
	r.settle()
	p.seen.once(r, "deliveries", 3)
	r.counts("q", client.QueueCounters{Sent: 3, Delivered: 3, Acked: 3})
}

func stepAck(r *rig) {
	p := r.subscribe()
	r.send("one", "two")
	one, two := p.next(), p.next()
	r.arm()
	r.must(one.Ack())
	r.must(two.Ack())
	r.settle()
	p.seen.once(r, "deliveries", 2)
	r.counts("q", client.QueueCounters{Sent: 2, Delivered: 2, Acked: 2})
}

// hold has the client get one message, and arms the cuts.
func (r *rig) hold() (*post, *client.Delivery) {
	r.Helper()
	p := r.subscribe()
	r.send("one")
	d := p.next()
	r.arm()
	return p, d
}

func stepAckWait(r *rig) {
	p, d := r.hold()
	r.must(d.AckWait(r.ctx))
	if err := d.AckWait(r.ctx); !errors.Is(err, client.ErrLeaseGone) {
		r.Errorf("second ack: %v, want %v", err, client.ErrLeaseGone)
	}
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}

func stepRetry(r *rig) {
	p, d := r.hold()
	r.must(d.Retry(r.ctx, 0, "try again"))
	if d = p.next(); d.Attempt != 2 {
		r.Errorf("attempt %d, want 2", d.Attempt)
	}
	r.must(d.AckWait(r.ctx))
	r.settle()
	p.seen.once(r, "deliveries", 2)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 2, Acked: 1, Redelivered: 1})
}

func stepRelease(r *rig) {
	p, d := r.hold()
	r.must(d.Release(r.ctx))
	if d = p.next(); d.Attempt != 1 {
		r.Errorf("attempt %d, want 1: a release does not count", d.Attempt)
	}
	r.must(d.AckWait(r.ctx))
	r.settle()
	if n := len(p.came); n != 0 {
		r.Errorf("%d more deliveries", n)
	}
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 2, Acked: 1})
}

func stepReject(r *rig) {
	p, d := r.hold()
	r.must(d.Reject(r.ctx, "never again"))
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Dead: 1})
	r.counts("q.dead", client.QueueCounters{Sent: 1})
}

func stepExtend(r *rig) {
	p, d := r.hold()
	r.must(d.Extend(r.ctx, time.Hour))
	held, err := r.peer.Admin().Peek(r.ctx, "q", 0)
	if err != nil || len(held) != 1 || held[0].Lease < 30*time.Minute {
		r.Errorf("the queue holds %+v, error %v, want a lease of an hour", held, err)
	}
	r.must(d.AckWait(r.ctx))
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}

func stepUnsubscribe(r *rig) {
	p, d := r.hold()
	r.must(p.sub.Stop(r.ctx))
	r.send("two")
	r.must(d.AckWait(r.ctx)) // its lease outlives the consumer
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 2, Delivered: 1, Acked: 1})
	if d := r.describe("q"); len(d.Consumers) != 0 || d.Summary.Waiting != 1 {
		r.Errorf("after Stop: %+v", d)
	}
}
