package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// A node is a call of a forest. The forest's lock guards its fields.
type node struct {
	id      string // 3.0.2 is the third call that the first call of root 3 has made
	made    *run   // the handler that made it; nil: a root
	message string // its request's id, once it was delivered
	done    bool   // its caller knows how it ended
}

// A run is a handler at work.
type run struct {
	node     *node
	attempt  int
	ctx      context.Context
	returned bool // guarded by the forest's lock
	left     bool // the same: it had nothing more to do, and nobody had told it to end
}

const (
	forestDepth  = 4
	forestFanOut = 3
	// deadHeat is how short of its deadline a handler is left to that (job.go).
	deadHeat = 10 * time.Millisecond
)

// call makes a call and waits for its end.
func (f *forest) call(ctx context.Context, caller *rpc.Caller, made *run, id string) {
	r := f.source("call " + id)
	n := &node{id: id, made: made}
	f.mu.Lock()
	f.nodes[id] = n
	f.tally.Calls++
	f.mu.Unlock()

	deadline := time.Duration(200+r.IntN(15_000)) * time.Millisecond
	opts := []rpc.CallOption{rpc.WithMaxAttempts(1 + r.IntN(3))}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.IntN(2) == 0 {
		opts = append(opts, rpc.Timeout(deadline))
	} else {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, deadline)
		defer stop()
	}
	if r.IntN(5) == 0 {
		opts = append(opts, rpc.StartWithin(time.Duration(1+r.IntN(3000))*time.Millisecond))
	}
	if r.IntN(4) == 0 {
		f.busy.Add(1)
		time.AfterFunc(time.Duration(r.IntN(5000))*time.Millisecond, func() {
			defer f.busy.Done()
			f.cancel(n, cancel)
		})
	}
	began := time.Now()
	reply, err := caller.Call(ctx, fmt.Sprint("q", r.IntN(forestQueues)), []byte(id), opts...)
	took := time.Since(began)

	f.mu.Lock()
	defer f.mu.Unlock()
	n.done = true
	switch {
	case err != nil:
		f.tally.Failed++
	case string(reply) != "re: "+id:
		f.errorf("the reply to %s is %q", id, reply)
	default:
		f.tally.Replied++
	}
	if took > deadline+time.Second {
		f.errorf("call %s ended after %v, with a deadline of %v: %v", id, took, deadline, err)
	}
}

// cancel cancels a call, if it is still under way.
func (f *forest) cancel(n *node, cancel context.CancelFunc) {
	is := func(other *node) bool { return other == n }
	below := f.below(func(other *node) bool { return is(other) && !n.done })
	cancel()
	f.ended(below, is, "the cancel of "+n.id)
}

// ended says that handlers which were at work on a call, and on what belongs to it,
// are told that it is over, before any time passes. Unless who has called them was
// done in the same instant, and quicker: then they may go on.
func (f *forest) ended(below []*run, is func(*node) bool, why string) {
	time.Sleep(time.Nanosecond) // everybody has done what there is to do
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.disturbed.IsZero() && time.Since(f.disturbed) < calm {
		return
	}
	f.tally.Checks++
	for _, r := range below {
		deadline, has := r.ctx.Deadline()
		if r.ctx.Err() == nil && !r.returned && !r.outlives(is) && (!has || time.Until(deadline) > deadHeat) {
			f.errorf("%s has not reached the handler of %s, attempt %d", why, r.node.id, r.attempt)
		}
		f.tally.Cut++
	}
}

// outlives says that a handler between r and a node was done by itself.
func (r *run) outlives(is func(*node) bool) bool {
	for n := r.node; n.made != nil && !is(n); n = n.made.node {
		if n.made.left {
			return true
		}
	}
	return false
}

// below are the handlers at work on a call, and on those that belong to it: whose
// makers have not returned.
func (f *forest) below(is func(*node) bool) (all []*run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.runs {
		for n := r.node; n != nil; n = n.made.node {
			if is(n) {
				all = append(all, r)
			}
			if n.made == nil || n.made.returned {
				break
			}
		}
	}
	return all
}

// handler answers what it is called with, after some time and some calls.
func (f *forest) handler(h *host) rpc.Handler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		id := string(req.Body)
		f.mu.Lock()
		n := f.nodes[id]
		n.message = req.MessageID
		r := &run{node: n, attempt: req.Attempt, ctx: ctx}
		f.runs[r] = true
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			r.returned = true
			delete(f.runs, r)
		}()
		err := f.work(ctx, h, r)
		f.mu.Lock()
		r.left = ctx.Err() == nil
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return []byte("re: " + id), nil
	}
}

// work is what a handler does before it answers.
func (f *forest) work(ctx context.Context, h *host, r *run) error {
	random := f.source(fmt.Sprintf("work %s %d", r.node.id, r.attempt))
	children := 0
	if strings.Count(r.node.id, ".") < forestDepth {
		children = random.IntN(forestFanOut + 1)
	}
	var together sync.WaitGroup
	for i := range children {
		if !sleep(ctx, time.Duration(random.IntN(500))*time.Millisecond) {
			break
		}
		id := fmt.Sprintf("%s.%d-%d", r.node.id, r.attempt, i)
		switch random.IntN(4) {
		case 0: // it may outlive the handler, whose context is not its own
			f.busy.Go(func() { f.call(context.WithoutCancel(ctx), h.caller, r, id) })
		case 1:
			together.Go(func() { f.call(ctx, h.caller, r, id) })
		default:
			f.call(ctx, h.caller, r, id)
		}
	}
	together.Wait()
	if !sleep(ctx, time.Duration(random.IntN(3000))*time.Millisecond) {
		return context.Cause(ctx)
	}
	if random.IntN(10) == 0 {
		return status.Error(codes.Aborted, "not today")
	}
	return nil
}
