package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// An rpcLoad is calls that are compared with their replies.
type rpcLoad struct {
	b       *benchRun
	callers map[*client.Client]*rpc.Caller
	stop    context.CancelFunc // ends the responder; nil when there is none
	served  chan error         // capacity 1: how the responder ended
}

// open starts the responder, and makes a caller for each connection.
func (l *rpcLoad) open(ctx context.Context) error {
	b := l.b
	l.callers = map[*client.Client]*rpc.Caller{}
	for _, cl := range b.clients {
		l.callers[cl] = rpc.NewCaller(cl)
	}
	if !b.made {
		return nil
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.served = make(chan error, 1)
	go func() { // the responder; close waits for it
		l.served <- rpc.Serve(ctx, b.others[0], b.plan.Queue, echo, rpc.NoCreate(), rpc.Drain(cutPatience))
	}()
	return nil
}

func (l *rpcLoad) once(ctx context.Context, h *benchHand, n uint64, since time.Duration) error {
	l.b.cargo.fill(h.body, n, since)
	var opts []rpc.CallOption
	if n == 0 && !l.b.made { // the first one is not to wait for somebody to serve the queue
		opts = append(opts, rpc.RequireServer())
	}
	reply, err := l.callers[h.client].Call(ctx, l.b.plan.Queue, h.body, opts...)
	if err != nil {
		return err
	}
	if !bytes.Equal(reply, h.body) {
		l.b.tally.mismatches.Add(1)
	}
	l.b.tally.done(h.shard, since)
	return nil
}

// settle has nothing to wait for: each call had its reply.
func (l *rpcLoad) settle(context.Context, *benchResult) error {
	if l.stop == nil {
		return nil
	}
	l.stop()
	err := <-l.served
	l.stop = nil
	if err != nil {
		l.b.tally.failed(fmt.Errorf("the responder: %w", err))
	}
	return nil
}

func (l *rpcLoad) close() {
	_ = l.settle(context.Background(), nil) // it never fails
	for _, c := range l.callers {
		_ = c.Close() // its replies have come, or nobody waits for them
	}
}
