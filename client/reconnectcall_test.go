package client_test

import (
	"context"
	"errors"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// answered fails the test unless n calls of the client were made, served once
// each, and nothing of them is left.
func (r *rig) answered(runs *tally, n int) {
	r.Helper()
	r.settle()
	runs.once(r, "runs", n)
	r.counts("q", client.QueueCounters{Sent: uint64(n), Delivered: uint64(n), Acked: uint64(n)})
	r.await("the replies to be acked", func() bool { s := r.session(); return s.Leases == 0 && s.PendingRequests == 0 })
}

// The first call makes the reply queue, and subscribes to it.
func stepFirstCall(r *rig) {
	runs, caller := r.respond(), r.caller(r.c)
	r.connect()
	r.arm()
	r.call(caller, "one")
	r.call(caller, "two")
	r.answered(runs, 2)
	if n := r.session().TemporaryQueues; n != 1 {
		r.Errorf("%d reply queues, want 1", n)
	}
}

func stepCall(r *rig) {
	runs, caller := r.respond(), r.caller(r.c)
	r.call(caller, "first")
	r.arm()
	r.call(caller, "one")
	r.call(caller, "two")
	r.answered(runs, 3)
}

// Replies are acked with whatever goes up next.
func stepReplyAcked(r *rig) {
	runs, caller := r.respond(), r.caller(r.c)
	r.call(caller, "first")
	r.arm()
	r.call(caller, "one")
	r.call(caller, "two")
	r.await("the ack", func() bool { return r.session().Leases == 0 })
	r.answered(runs, 3)
}

// openInbox has the client collect replies, and losses if they are wanted.
func (r *rig) openInbox(lost func(id string, err error)) (request func(queue, id string), replies *tally, inbox *client.Inbox) {
	r.Helper()
	replies = &tally{}
	if lost == nil {
		lost = func(id string, err error) { r.Errorf("request %s: %v", id, err) }
	}
	inbox, err := r.c.OpenInbox()
	r.must(err)
	return func(queue, id string) {
		r.Helper()
		r.must(inbox.Request(r.ctx, queue, client.Message{CorrelationID: id, Body: []byte(id)}, pendingFuncs{
			id, func(id string, r client.Reply) { replies.note(id + " " + string(r.Body)) }, lost,
		}))
	}, replies, inbox
}

func stepRequests(r *rig) {
	runs := r.respond()
	request, replies, inbox := r.openInbox(nil)
	bodies := []string{"one", "two", "three", "four", "five"}
	for i, body := range bodies {
		if i == 1 {
			r.await("the first reply", func() bool { return replies.len() == 1 })
			r.arm()
		}
		request("q", body)
	}
	r.await("all replies", func() bool { return replies.len() == len(bodies) })
	r.answered(runs, len(bodies))
	replies.once(r, "replies", len(bodies))
	for _, body := range bodies {
		if replies.all[body+" re:"+body] != 1 {
			r.Errorf("replies: %v", replies.all)
		}
	}
	r.must(inbox.Close())
}

// A request is quiet: the switch says only if it refuses it.
func stepRequestNowhere(r *rig) {
	runs := r.respond()
	var refusals tally
	request, replies, inbox := r.openInbox(func(id string, err error) {
		if refusals.note(id); !errors.Is(err, client.ErrQueueNotFound) {
			r.Errorf("request %s: %v, want %v", id, err, client.ErrQueueNotFound)
		}
	})
	request("q", "first")
	r.await("the reply", func() bool { return replies.len() == 1 })
	r.arm()
	request("nowhere", "lost")
	r.await("the refusal", func() bool { return refusals.len() == 1 })
	r.answered(runs, 1)
	refusals.once(r, "refusals", 1)
	replies.once(r, "replies", 1)
	r.must(inbox.Close())
}

// A request that nobody serves is withdrawn, also when the connection breaks.
func stepCancel(r *rig) {
	caller := r.caller(r.c)
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan error, 1)
	go func() { // ends with the call, whose error is waited for
		_, err := caller.Call(ctx, "q", []byte("one"))
		done <- err
	}()
	r.counts("q", client.QueueCounters{Sent: 1})
	r.arm()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		r.Errorf("call: %v, want %v", err, context.Canceled)
	}
	r.settle()
	r.await("the request to be withdrawn", func() bool {
		return r.describe("q").Summary.Waiting == 0 && r.session().PendingRequests == 0
	})
	runs := r.respond()
	r.call(caller, "two")
	r.settle()
	runs.once(r, "runs", 1)
	r.counts("q", client.QueueCounters{Sent: 2, Delivered: 1, Acked: 1})
}

// holdRequest has the peer call, and the client get the request.
func (r *rig) holdRequest() (p *post, d *client.Delivery, called func()) {
	r.Helper()
	caller := r.caller(r.peer)
	p = r.subscribe()
	called = r.spawn(func() { r.call(caller, "one") })
	d = p.next()
	r.arm()
	return p, d, called
}

func stepReply(r *rig) {
	p, d, called := r.holdRequest()
	r.must(d.Reply([]byte("re:one"), nil))
	called()
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}

func stepReplyWait(r *rig) {
	p, d, called := r.holdRequest()
	r.must(d.ReplyWait(r.ctx, []byte("re:one"), nil))
	called()
	if err := d.ReplyWait(r.ctx, nil, nil); !errors.Is(err, client.ErrLeaseGone) {
		r.Errorf("second reply: %v, want %v", err, client.ErrLeaseGone)
	}
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}

// serve has the client serve q in the background, as respond has the peer.
func (r *rig) serve(h func(body string), opts ...rpc.ServeOption) (runs *tally, stop func()) {
	r.Helper()
	runs = &tally{}
	ctx, cancel := context.WithCancel(r.ctx)
	ended := r.spawn(func() { // ends with ctx
		err := rpc.Serve(ctx, r.c, "q", func(_ context.Context, req *rpc.Request) ([]byte, error) {
			runs.note(string(req.Body))
			h(string(req.Body))
			return append([]byte("re:"), req.Body...), nil
		}, append(opts, rpc.OnError(func(err error) { r.Errorf("Serve: %v", err) }))...)
		if err != nil {
			r.Errorf("Serve: %v", err)
		}
	})
	r.await("the server", func() bool { return len(r.describe("q").Consumers) == 1 })
	return runs, func() { cancel(); ended() }
}

func stepServe(r *rig) {
	runs, stop := r.serve(func(string) {})
	caller := r.caller(r.peer)
	r.call(caller, "first")
	r.arm()
	var called []func()
	for _, body := range []string{"one", "two", "three"} {
		called = append(called, r.spawn(func() { r.call(caller, body) }))
	}
	for _, wait := range called {
		wait()
	}
	r.call(caller, "last")
	r.settle()
	stop()
	runs.once(r, "runs", 5)
	r.counts("q", client.QueueCounters{Sent: 5, Delivered: 5, Acked: 5})
}

// A handler whose lease is extended while it works.
func stepWorkLong(r *rig) {
	p, d, called := r.holdRequest()
	r.must(d.Extend(r.ctx, time.Hour))
	r.settle()
	r.must(d.Reply([]byte("re:one"), nil))
	called()
	r.settle()
	p.seen.once(r, "deliveries", 1)
	r.counts("q", client.QueueCounters{Sent: 1, Delivered: 1, Acked: 1})
}
