package main

import (
	"context"
	"fmt"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A benchLoad is what is measured.
type benchLoad interface {
	// open readies the other end.
	open(ctx context.Context) error
	// once does one operation and checks what comes back; it tells the tally of its
	// success, unless that is seen elsewhere.
	once(ctx context.Context, h *benchHand, n uint64, since time.Duration) error
	// settle waits for what is still to come, or what may be waited for if ctx has
	// ended, and fills in what the load has counted.
	settle(ctx context.Context, res *benchResult) error
	// close ends the other end; also when open has failed, or was never called.
	close()
}

// A benchHand does one operation at a time.
type benchHand struct {
	client *client.Client
	shard  int // of the tally
	body   []byte
}

// newLoad makes the load that the plan names, and what counts it.
func (b *benchRun) newLoad() {
	b.pace = newPace(b.plan)
	b.tally = newTally(b.pace)
	switch b.plan.Bench {
	case benchRPC:
		b.load = &rpcLoad{b: b}
	case benchSend:
		b.load = &sendLoad{b: b}
	default:
		b.load = newPipeLoad(b)
	}
}

const (
	// benchCredit is how many deliveries a consumer holds; it acks at once.
	benchCredit = 1024
	// glance is how often a wait is looked at: a person takes it for at once.
	glance = 10 * time.Millisecond
)

// consume acks every message of the queue, and hands on what the cargo makes of
// it. The handler runs on the client's receive loop.
func (b *benchRun) consume(ctx context.Context, cl *client.Client, then func(d *client.Delivery, ok bool, n uint64, since time.Duration)) (*client.Subscription, error) {
	return cl.Subscribe(ctx, b.plan.Queue, client.ConsumeOptions{Credit: benchCredit}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			n, since, ok := b.cargo.read(d.Body)
			if !ok || n > b.pace.taken.Load() {
				b.tally.mismatches.Add(1)
				ok = false
			}
			then(d, ok, n, since)
			_ = d.Ack() // without it the message comes again, and is counted
		},
		Ended: func(err error) { b.tally.failed(fmt.Errorf("the consumer: %w", err)) },
	})
}

// await waits until all numbers but those that the queue dropped have arrived,
// until none has for the timeout, or for a moment after the end of ctx. It gives
// the numbers that are missing.
func (b *benchRun) await(ctx context.Context, l *ledger, dropped uint64, what string) uint64 {
	p := &progress{sh: b.sh}
	defer p.end()
	begun, shown := time.Now(), time.Now()
	var cut time.Time
	for {
		open, silent := l.missing()
		missing := open - min(dropped, open)
		if missing == 0 || min(silent, time.Since(begun)) > b.plan.Timeout {
			return missing
		}
		if ctx.Err() != nil {
			if cut.IsZero() {
				cut = time.Now()
			}
			if time.Since(cut) > cutPatience {
				return missing
			}
		}
		if b.sh.errTerm && time.Since(shown) > time.Second {
			shown = time.Now()
			p.show(fmt.Sprintf("bench %s: %s %d, %d to come", b.plan.Bench, what, l.sum().Arrived, missing))
		}
		time.Sleep(glance)
	}
}
