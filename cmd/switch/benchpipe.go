package main

import (
	"context"
	"fmt"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A pipeLoad is messages that are sent and consumed at the same time.
type pipeLoad struct {
	sendLoad
	under chan struct{} // one for each message on its way; never closed
	subs  []*client.Subscription
}

func newPipeLoad(b *benchRun) *pipeLoad {
	return &pipeLoad{sendLoad: sendLoad{b: b}, under: make(chan struct{}, b.plan.kept())}
}

// open starts a consumer on each of its connections.
func (l *pipeLoad) open(ctx context.Context) error {
	for i, cl := range l.b.others {
		sub, err := l.b.consume(ctx, cl, func(d *client.Delivery, ok bool, n uint64, since time.Duration) {
			if ok && l.ledger.arrive(n, d.Attempt) {
				l.b.tally.done(i, since)
				l.release()
			}
		})
		if err != nil {
			return err
		}
		l.subs = append(l.subs, sub)
	}
	return nil
}

// once sends a message. It waits while too many are on their way: what they wait
// there is no property of the switch's, unless a rate says when they were due.
func (l *pipeLoad) once(ctx context.Context, h *benchHand, n uint64, since time.Duration) error {
	select {
	case l.under <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%d messages are on their way and none arrives: %w", cap(l.under), ctx.Err())
	}
	if l.b.plan.Rate == 0 && n > 0 {
		since = l.b.pace.now()
	}
	err := l.send(ctx, h, n, since)
	if err != nil {
		l.release() // if it arrives all the same, that finds nothing to release
	}
	return err
}

func (l *pipeLoad) release() {
	select {
	case <-l.under:
	default:
	}
}

// settle waits for what is still on its way.
func (l *pipeLoad) settle(ctx context.Context, res *benchResult) error {
	missing := l.b.await(ctx, &l.ledger, 0, "arrived")
	if ctx.Err() != nil {
		l.b.tally.unfinished.Add(missing)
	} else {
		res.Lost = missing
	}
	res.Numbers = l.ledger.sum()
	return nil
}

func (l *pipeLoad) close() {
	ctx, cancel := context.WithTimeout(context.Background(), cutPatience)
	defer cancel()
	for _, s := range l.subs {
		_ = s.Stop(ctx) // the queue is destroyed next
	}
}
