package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/d3b0a776/switch/client"
)

const (
	// keptBytes is how much a bench leaves in the memory of a switch: a quarter of
	// what a switch has by default, for all its queues.
	keptBytes = 64 << 20
	// keptMost is the same as a number of messages.
	keptMost = 65_536
	// keptCost is about what the switch needs for a message beside its body.
	keptCost = 512
	// mostMessages and mostBytes are the highest limits that a queue can have
	// (protocol).
	mostMessages, mostBytes = 1 << 40, 1 << 50
	// benchAttempts is more than a message of a bench is ever tried: none may
	// become a dead letter.
	benchAttempts = 1000
	// destroyPatience is how long the queue may take to be destroyed: it may hold
	// millions of messages.
	destroyPatience = 30 * time.Second
)

// createQueue makes a queue of our own, unless somebody else's is to be called.
func (b *benchRun) createQueue(ctx context.Context) error {
	if b.plan.Queue != "" {
		return nil
	}
	b.plan.Queue = "bench." + strings.ToLower(rand.Text()[:10])
	b.made = true // also if the answer gets lost
	_, err := b.clients[0].Create(ctx, b.plan.Queue, b.queueOptions())
	switch {
	case errors.Is(err, client.ErrDurabilityUnavailable):
		b.made = false
		return &worded{err, fmt.Sprintf("--durable: the switch at %s has no data directory, so nothing it keeps is durable\n"+
			"to start one that has, type: %s serve --data-dir DIR", b.sh.addr, b.sh.name)}
	case errors.Is(err, client.ErrUnreachable):
		b.made = false
	}
	return err
}

// kept is how many messages may wait in the memory of the switch.
func (p *benchPlan) kept() uint64 { return min(keptMost, max(2, keptBytes/(p.Size+keptCost))) }

// queueOptions are those of our own queue: nothing is refused and nothing dies.
// What send leaves in memory is bounded by dropping the oldest; on disk there is
// room.
func (b *benchRun) queueOptions() client.QueueOptions {
	o := client.QueueOptions{
		Durability: b.plan.Durability, MaxMessages: mostMessages, MaxBytes: mostBytes,
		MaxAttempts: benchAttempts, NoDeadLetter: true,
	}
	if b.plan.Bench == benchSend && b.plan.Durability == client.Memory {
		o.MaxMessages, o.Overflow = b.plan.kept(), client.DropOldest
	}
	return o
}

// destroyQueue removes the queue, if it is ours. The error says that it is left
// behind.
func (b *benchRun) destroyQueue(ctx context.Context) error {
	if !b.made {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyPatience)
	defer cancel()
	_, err := b.clients[0].Destroy(ctx, b.plan.Queue)
	if err == nil || errors.Is(err, client.ErrQueueNotFound) {
		return nil
	}
	return fmt.Errorf("queue %s is left behind: %v\nwhen the switch is back, type: %s destroy %s",
		b.plan.Queue, err, b.sh.name, b.plan.Queue) //nolint:errorlint // it is no refusal, but a local failure
}
