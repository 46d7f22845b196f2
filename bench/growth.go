package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/d3b0a776/switch/client"
)

// What grows.
const (
	growQueues    = "grow-queues"
	growConsumers = "grow-consumers"
	growBacklog   = "grow-backlog"
)

// growthWorkers send at a time, each one message and then takes one.
const growthWorkers = 64

// activeQueues is how many of the queues carry the load, however many there are.
const activeQueues = 10

// growthCredit is what all consumers together may hold: a thousand of them have
// one each.
const growthCredit = 1000

// A grower sends and consumes on a switch so that what waits stays as it is: for
// each message that goes in, one is taken out.
type grower struct {
	sending, consuming *client.Client
	queues             []string
	next               atomic.Int64          // the number of the next message
	taken              chan *client.Delivery // has room for all credit; never closed
	got                ledger
	durability         client.Durability
}

// growRole makes the switch as large as the job says, and measures what a message
// costs there.
func growRole(ctx context.Context, c *child, j job) error {
	g := &grower{taken: make(chan *client.Delivery, growthCredit), durability: client.Memory}
	var err error
	if g.sending, err = dialSwitch(ctx, j.Addr); err != nil {
		return err
	}
	if g.consuming, err = dialSwitch(ctx, j.Addr); err != nil {
		return err
	}
	if err := g.grow(ctx, j); err != nil {
		return err
	}
	pids, err := c.begin(cpuCaller)
	if err != nil {
		return err
	}
	operations := make([]operation, growthWorkers)
	for i := range operations {
		body := newPayload(i, j.BodyBytes)
		operations[i] = func(ctx context.Context, _ uint64) error { return g.pass(ctx, body) }
	}
	s, err := runLoop(ctx, j, pids, operations)
	if err != nil {
		return err
	}
	if err := g.check(j); err != nil {
		return err
	}
	return c.report(s)
}

// grow makes queues, messages and consumers.
func (g *grower) grow(ctx context.Context, j job) error {
	consumers := 1
	switch j.Growing {
	case growQueues:
		if err := g.makeQueues(ctx, j.Count); err != nil {
			return err
		}
	case growConsumers:
		g.queues, consumers = []string{target}, j.Count
	case growBacklog:
		g.queues, g.durability = []string{target}, client.Durable
		if err := g.fill(ctx, j); err != nil {
			return err
		}
	default:
		return fmt.Errorf("nothing grows by %q", j.Growing)
	}
	credit := max(growthCredit/(consumers*len(g.queues)), 1)
	return spread(ctx, 1, consumers*len(g.queues), func(ctx context.Context, n int) error {
		return g.subscribe(ctx, g.queues[n%len(g.queues)], credit)
	})
}

// makeQueues makes count queues, and chooses some that are far apart.
func (g *grower) makeQueues(ctx context.Context, count int) error {
	for i := range activeQueues {
		g.queues = append(g.queues, queueName(i*count/activeQueues))
	}
	return spread(ctx, makers, count, func(ctx context.Context, n int) error {
		_, err := g.sending.Create(ctx, queueName(n), client.QueueOptions{})
		return err
	})
}

// fillers is how many sends of a backlog are under way.
const fillers = 1024

// fill leaves messages in the queue.
func (g *grower) fill(ctx context.Context, j job) error {
	if _, err := g.sending.Create(ctx, target, roomy); err != nil {
		return err
	}
	return spread(ctx, fillers, j.Count, func(ctx context.Context, _ int) error {
		return g.send(ctx, newPayload(0, j.BodyBytes))
	})
}

func (g *grower) subscribe(ctx context.Context, queue string, credit int) error {
	options := client.ConsumeOptions{Credit: credit, Create: &roomy}
	if queue != target {
		options.Create = nil // it is there, as it was made
	}
	_, err := g.consuming.Subscribe(ctx, queue, options, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) { g.taken <- d }, // it has room
	})
	return err
}

func (g *grower) send(ctx context.Context, body payload) error {
	number := g.next.Add(1) - 1
	body.number(uint64(number))
	return switchSend(ctx, g.sending, g.queues[number%int64(len(g.queues))], body, g.durability)
}

// pass sends a message, and takes one.
func (g *grower) pass(ctx context.Context, body payload) error {
	if err := g.send(ctx, body); err != nil {
		return err
	}
	late := time.NewTimer(callTimeout)
	defer late.Stop()
	select {
	case d := <-g.taken:
		g.got.arrive(d.Body)
		return d.Ack()
	case <-late.C:
		return fmt.Errorf("no message came out for %v after one went in", callTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// check says whether what came out had gone in, and nothing came twice. Without
// a backlog all has come out.
func (g *grower) check(j job) error {
	sent := g.next.Load()
	if j.Growing == growBacklog {
		sent -= int64(j.Count)
	}
	if arrived := g.got.arrived.Load(); arrived != sent {
		return mismatch("%d messages went in and %d came out", sent, arrived)
	}
	if j.Growing != growBacklog {
		return g.got.check(sent)
	}
	stays, err := switchMessages(context.Background(), g.sending)
	if err != nil {
		return err
	}
	if stays < int64(j.Count) { // it is more while acks are on their way
		return mismatch("of a backlog of %d messages %d are left", j.Count, stays)
	}
	return g.got.fault()
}

// measureGrowth runs the one process that sends and consumes.
func measureGrowth(j job) measurement {
	return func(ctx context.Context, s *stage) (*sample, error) {
		j := j
		j.Role = "grow"
		grown, err := s.child(ctx, cpuCaller, j)
		if err != nil {
			return nil, err
		}
		return s.run(ctx, grown, nil)
	}
}
