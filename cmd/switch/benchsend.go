package main

import (
	"context"
	"fmt"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A sendLoad is messages that are sent, and read back when all have been.
type sendLoad struct {
	b      *benchRun
	ledger ledger
}

func (l *sendLoad) open(context.Context) error { return nil }

func (l *sendLoad) once(ctx context.Context, h *benchHand, n uint64, since time.Duration) error {
	if err := l.send(ctx, h, n, since); err != nil {
		return err
	}
	l.b.tally.done(h.shard, since)
	return nil
}

// send sends a number and notes its receipt.
func (l *sendLoad) send(ctx context.Context, h *benchHand, n uint64, since time.Duration) error {
	l.b.cargo.fill(h.body, n, since)
	r, err := h.client.Send(ctx, l.b.plan.Queue, client.Message{Body: h.body})
	if err != nil {
		return err
	}
	if r.Durability != l.b.plan.Durability {
		l.b.tally.mismatches.Add(1)
	}
	l.ledger.receipt(n)
	return nil
}

// settle reads the queue back; not after an interrupt, when nobody waits for it.
func (l *sendLoad) settle(ctx context.Context, res *benchResult) error {
	defer func() { res.Numbers = l.ledger.sum() }()
	q, err := l.b.clients[0].Admin().Describe(context.WithoutCancel(ctx), l.b.plan.Queue)
	if err != nil {
		return fmt.Errorf("describe the queue of the bench: %w", err)
	}
	res.Dropped = q.Counters.Dropped
	if ctx.Err() != nil {
		return nil
	}
	deliver := func(d *client.Delivery, ok bool, n uint64, _ time.Duration) {
		if ok {
			l.ledger.arrive(n, d.Attempt)
		}
	}
	sub, err := l.b.consume(ctx, l.b.others[0], deliver)
	if err != nil {
		return err
	}
	missing := l.b.await(ctx, &l.ledger, res.Dropped, "read back")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutPatience)
	defer cancel()
	_ = sub.Stop(stopping) // the queue is destroyed next
	if ctx.Err() == nil {
		res.ReadBack = true
		res.Lost = missing
	}
	return nil
}

func (l *sendLoad) close() {}
