package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// sendRole sends durably, and counts at the end what the broker has.
func sendRole(ctx context.Context, c *child, j job) error {
	to, err := peerNamed(j.Peer).sender(ctx, j.Addr)
	if err != nil {
		return err
	}
	pids, err := c.begin(cpuCaller)
	if err != nil {
		return err
	}
	var confirmed atomic.Int64
	operations := make([]operation, j.Workers)
	for i := range operations {
		body := newPayload(i, j.BodyBytes)
		operations[i] = func(ctx context.Context, n uint64) error {
			body.number(n)
			if err := to.send(ctx, body); err != nil {
				return err
			}
			confirmed.Add(1)
			return nil
		}
	}
	s, err := runLoop(ctx, j, pids, operations)
	if err != nil {
		return err
	}
	stored, err := to.stored(ctx)
	if err != nil {
		return fmt.Errorf("count what is stored: %w", err)
	}
	if stored != confirmed.Load() {
		return mismatch("%d sends were confirmed, and %d messages are stored", confirmed.Load(), stored)
	}
	return c.report(s)
}

// measureSends runs a producer beside the broker; nobody consumes.
func measureSends(j job) measurement {
	return func(ctx context.Context, s *stage) (*sample, error) {
		if s.peer.sender == nil {
			return nil, errors.New("it has no durable sends")
		}
		j := j
		j.Role = "send"
		caller, err := s.child(ctx, cpuCaller, j)
		if err != nil {
			return nil, err
		}
		return s.run(ctx, caller, nil)
	}
}
