package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// startTime is how long a broker or a child may take to be ready.
const startTime = 2 * time.Minute

// makeTime is how long a child may take beyond that for each thing that it makes.
const makeTime = 500 * time.Microsecond

// A stage is a broker that runs, and the processes beside it.
type stage struct {
	plan    *plan
	peer    *peer
	with    programs
	dir     string // of its own
	addr    string
	pid     int // of the process whose CPU and memory are the broker's
	started time.Duration
	all     []*process // in the order of their start
}

// freeAddr is an address of this machine where nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// openStage starts a broker in a fresh directory, and waits until it answers.
func openStage(ctx context.Context, p *plan, of *peer, with programs) (*stage, error) {
	dir, err := os.MkdirTemp(with.dir, of.name+"-")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s := &stage{plan: p, peer: of, with: with, dir: dir, addr: addr}
	cmd, err := of.start(launch{programs: with, dir: dir, addr: addr})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	broker, err := startProcess(of.name, cmd, dir)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, broker)
	if err := s.ask(ctx, broker); err != nil {
		s.close()
		return nil, err
	}
	s.started = time.Since(began)
	s.pid = broker.cmd.Process.Pid
	if of.process != "" {
		if s.pid, err = descendant(s.pid, of.process); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// ask asks the broker every millisecond until it answers.
func (s *stage) ask(ctx context.Context, broker *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := s.peer.ask(ctx, s.addr)
		if err == nil {
			return nil
		}
		select {
		case <-broker.ended:
			return fmt.Errorf("%s has ended: %v%s", broker.name, broker.cmd.ProcessState, broker.said())
		default:
		}
		if slept := sleep(ctx, time.Millisecond); slept != nil {
			return fmt.Errorf("%s does not answer: %w%s", broker.name, errors.Join(slept, err), broker.said())
		}
	}
}

// child starts a child beside the broker, and waits until it is ready.
func (s *stage) child(ctx context.Context, name string, j job) (*process, error) {
	j.Peer, j.Addr = s.peer.name, s.addr
	j.Warm, j.Window = s.plan.warm(), s.plan.duration*time.Duration(max(1, j.Windows))
	p, err := startChild(name, j, s.dir)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, p)
	ctx, cancel := context.WithTimeout(ctx, startTime+time.Duration(j.Count)*makeTime)
	defer cancel()
	return p, p.ready(ctx)
}

// run lets a child measure, with the broker and those in pids, and waits for what
// it has to say.
func (s *stage) run(ctx context.Context, measuring *process, pids map[string]int) (*sample, error) {
	all := map[string]int{cpuBroker: s.pid}
	for role, pid := range pids {
		all[role] = pid
	}
	if err := measuring.tell(all); err != nil {
		return nil, err
	}
	return measuring.sample(ctx)
}

// complaints are what the children had to say when nobody asked them: why a
// responder has ended whom others wait for.
func (s *stage) complaints() error {
	var all []error
	for _, p := range s.all {
		if err := p.complaint(); err != nil {
			all = append(all, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(all...)
}

// close ends the processes, the last one first, and removes the directory.
func (s *stage) close() {
	for i := len(s.all) - 1; i >= 0; i-- {
		s.all[i].stop()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench: remove what a broker left:", err)
	}
}
