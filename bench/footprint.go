package main

import (
	"context"
	"errors"
)

// queuesRole makes empty queues, and keeps its connection.
func queuesRole(ctx context.Context, c *child, j job) error {
	if err := peerNamed(j.Peer).queues(ctx, j.Addr, j.Count); err != nil {
		return err
	}
	c.ready()
	<-ctx.Done()
	return nil
}

// clientsRole connects clients that do nothing.
func clientsRole(ctx context.Context, c *child, j job) error {
	connect := peerNamed(j.Peer).client
	err := spread(ctx, makers, j.Count, func(ctx context.Context, _ int) error {
		return connect(context.WithoutCancel(ctx), j.Addr)
	})
	if err != nil {
		return err
	}
	c.ready()
	<-ctx.Done()
	return nil
}

// measureFootprint reads the memory of one broker before and after it has queues,
// and of a second one before and after it has clients.
func measureFootprint(ctx context.Context, s *stage) (*sample, error) {
	if s.peer.queues == nil || s.peer.client == nil {
		return nil, errors.New("its footprint is not measured")
	}
	f := &footprint{StartMillis: float64(s.started.Microseconds()) / 1e3}
	idle, each, err := s.memoryOf(ctx, job{Role: "queues", Count: s.plan.scale.Queues})
	if err != nil {
		return nil, err
	}
	f.IdleMiB, f.QueueKiB = idle/1024, each
	second, err := openStage(ctx, s.plan, s.peer, s.with)
	if err != nil {
		return nil, err
	}
	defer second.close()
	if _, f.ClientKiB, err = second.memoryOf(ctx, job{Role: "clients", Count: s.plan.scale.Clients}); err != nil {
		return nil, err
	}
	return &sample{Footprint: f}, nil
}

// memoryOf reads the broker's memory before a child has made many of something,
// and for each of them afterwards, in KiB.
func (s *stage) memoryOf(ctx context.Context, j job) (before, each float64, err error) {
	if before, err = s.resident(ctx); err != nil {
		return 0, 0, err
	}
	if _, err := s.child(ctx, j.Role, j); err != nil {
		return 0, 0, err
	}
	after, err := s.resident(ctx)
	return before, (after - before) / float64(j.Count), err
}

// resident lets the broker settle and answers its memory in KiB.
func (s *stage) resident(ctx context.Context) (float64, error) {
	if err := sleep(ctx, s.plan.settle()); err != nil {
		return 0, err
	}
	return residentKiB(s.pid)
}
