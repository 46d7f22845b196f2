package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// overrun is how long a producer goes on after the window, which begins later
// than it does: with the first message that arrives.
const overrun = 250 * time.Millisecond

// lingering is how long a consumer waits, when all has arrived, for what comes
// twice.
const lingering = 100 * time.Millisecond

// drainTime is how long a consumer may take for what its producer left.
const drainTime = 30 * time.Second

// A tally is how many messages were sent.
type tally struct{ Sent int64 }

// consumeRole consumes, measures what arrives, and accounts for every message.
func consumeRole(ctx context.Context, c *child, j job) error {
	var got ledger
	if err := peerNamed(j.Peer).consumer(ctx, j.Addr, got.arrive); err != nil {
		return err
	}
	pids, err := c.begin(cpuResponder)
	if err != nil {
		return err
	}
	s, err := consumeWindow(ctx, j, pids, &got)
	if err != nil {
		return err
	}
	var all tally
	if err := c.hear(&all); err != nil {
		return err
	}
	if err := await(ctx, drainTime, func() bool { return got.arrived.Load() >= all.Sent }); err != nil {
		return mismatch("%d messages were sent, and %d have arrived after %v", all.Sent, got.arrived.Load(), drainTime)
	}
	if err := sleep(ctx, lingering); err != nil {
		return err
	}
	if err := got.check(all.Sent); err != nil {
		return err
	}
	return c.report(s)
}

// consumeWindow measures from the first message on.
func consumeWindow(ctx context.Context, j job, pids map[string]int, got *ledger) (*sample, error) {
	if err := await(ctx, drainTime, func() bool { return got.arrived.Load() > 0 }); err != nil {
		return nil, fmt.Errorf("no message has arrived: %w", err)
	}
	if err := sleep(ctx, j.Warm); err != nil {
		return nil, err
	}
	m, err := startMeter(pids)
	if err != nil {
		return nil, err
	}
	before := got.arrived.Load()
	if err := sleep(ctx, j.Window); err != nil {
		return nil, err
	}
	s := &sample{Bytes: j.BodyBytes, Operations: got.arrived.Load() - before}
	if s.Operations == 0 {
		return nil, errors.New("nothing arrived in the window")
	}
	return s, m.stop(s)
}

// await looks every millisecond whether something is true.
func await(ctx context.Context, bound time.Duration, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for !done() {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// produceRole sends as fast as it can for as long as the window may be.
func produceRole(ctx context.Context, c *child, j job) error {
	p, err := peerNamed(j.Peer).producer(ctx, j.Addr)
	if err != nil {
		return err
	}
	if _, err := c.begin(""); err != nil {
		return err
	}
	until := time.Now().Add(j.Warm + j.Window + overrun)
	var next atomic.Int64
	err = spread(ctx, p.workers, p.workers, func(ctx context.Context, worker int) error {
		body := newPayload(worker, j.BodyBytes)
		for time.Now().Before(until) {
			body.number(uint64(next.Add(1) - 1))
			if err := p.publish(ctx, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	return c.report(&sample{Operations: next.Load()})
}

// trickleInterval is how often each connection sends.
const trickleInterval = time.Second

// trickleRole sends from many connections, a message a second from each, evenly
// spread over the second.
func trickleRole(ctx context.Context, c *child, j job) error {
	producers := make([]*producer, j.Connections)
	err := spread(ctx, makers, len(producers), func(ctx context.Context, n int) error {
		var err error
		producers[n], err = peerNamed(j.Peer).producer(context.WithoutCancel(ctx), j.Addr)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := c.begin(""); err != nil {
		return err
	}
	began := time.Now()
	length := j.Warm + j.Window + overrun
	var next atomic.Int64
	err = spread(ctx, len(producers), len(producers), func(ctx context.Context, n int) error {
		body := newPayload(n, j.BodyBytes)
		due := trickleInterval * time.Duration(n) / time.Duration(len(producers))
		for ; due < length; due += trickleInterval {
			if err := sleep(ctx, time.Until(began.Add(due))); err != nil {
				return err
			}
			body.number(uint64(next.Add(1) - 1))
			if err := producers[n].publish(ctx, body); err != nil {
				return err
			}
			if push := producers[n].push; push != nil {
				if err := push(); err != nil {
					return err
				}
			}
		}
		return producers[n].flush(ctx)
	})
	if err != nil {
		return err
	}
	return c.report(&sample{Operations: next.Load()})
}

// measurePipe runs a consumer, and then a producer, beside the broker.
func measurePipe(producing string, j job) measurement {
	return func(ctx context.Context, s *stage) (*sample, error) {
		if s.peer.consumer == nil {
			return nil, errors.New("it has no pipeline")
		}
		j := j
		j.Role = "consume"
		consumer, err := s.child(ctx, cpuResponder, j)
		if err != nil {
			return nil, err
		}
		j.Role = producing
		producer, err := s.child(ctx, cpuCaller, j)
		if err != nil {
			return nil, err
		}
		pids := map[string]int{cpuBroker: s.pid, cpuCaller: producer.cmd.Process.Pid}
		if err := errors.Join(consumer.tell(pids), producer.tell(pids)); err != nil {
			return nil, err
		}
		sent, err := producer.sample(ctx)
		if err != nil {
			return nil, err
		}
		if err := consumer.tell(tally{Sent: sent.Operations}); err != nil {
			return nil, err
		}
		return consumer.sample(ctx)
	}
}
