package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
)

// header is how many bytes of a body say which one it is.
const header = 16

// A payload is a body that is never the same twice.
type payload []byte

// newPayload makes a worker's body. The filler differs from worker to worker.
func newPayload(worker, size int) payload {
	p := make(payload, max(size, header))
	for i := range p {
		p[i] = byte(worker + i)
	}
	binary.LittleEndian.PutUint64(p, uint64(worker))
	return p
}

// number makes it the worker's number n.
func (p payload) number(n uint64) { binary.LittleEndian.PutUint64(p[8:], n) }

// respondRole answers calls until its input ends.
func respondRole(ctx context.Context, c *child, j job) error {
	return peerNamed(j.Peer).respond(ctx, j.Addr, c.ready)
}

// callRole calls, and compares each reply with its request.
func callRole(ctx context.Context, c *child, j job) error {
	p := peerNamed(j.Peer)
	connections := make([]call, max(j.Connections, 1))
	for i := range connections {
		var err error
		if connections[i], err = p.caller(ctx, j.Addr); err != nil {
			return err
		}
	}
	pids, err := c.begin(cpuCaller)
	if err != nil {
		return err
	}
	operations := make([]operation, j.Workers)
	for i := range operations {
		operations[i] = callOperation(connections[i%len(connections)], newPayload(i, j.BodyBytes))
	}
	s, err := runLoop(ctx, j, pids, operations)
	if err != nil {
		return err
	}
	return c.report(s)
}

func callOperation(do call, request payload) operation {
	return func(ctx context.Context, n uint64) error {
		request.number(n)
		reply, err := do(ctx, request)
		if err != nil {
			return err
		}
		if !bytes.Equal(reply, request) {
			return mismatch("the reply to request %d of worker %d is another: %x…", n, request[0], reply[:min(len(reply), header)])
		}
		return nil
	}
}

// measureCalls runs a responder and a caller beside the broker.
func measureCalls(j job) measurement {
	return func(ctx context.Context, s *stage) (*sample, error) {
		if s.peer.caller == nil {
			return nil, errors.New("it has no calls")
		}
		responder, err := s.child(ctx, cpuResponder, job{Role: "respond"})
		if err != nil {
			return nil, err
		}
		j := j
		j.Role = "call"
		caller, err := s.child(ctx, cpuCaller, j)
		if err != nil {
			return nil, err
		}
		return s.run(ctx, caller, map[string]int{cpuResponder: responder.cmd.Process.Pid})
	}
}
