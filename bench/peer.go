package main

import (
	"context"
	"os/exec"
)

// A peer is a system that is measured: how to start its broker, and how its own
// Go library does what the works ask for. What it leaves nil is not measured.
//
// The functions that connect run in children; what they open lives until the
// child ends.
type peer struct {
	name    string // on the command line and in samples
	title   string // in tables
	program string // of programs, that it needs
	process string // name of the process whose CPU and memory count; empty: the one that start starts

	// start makes the command that runs the broker.
	start func(l launch) (*exec.Cmd, error)
	// ask connects, has one request answered, and disconnects.
	ask func(ctx context.Context, addr string) error

	// respond answers the calls to target with their own body until ctx ends.
	respond func(ctx context.Context, addr string, ready func()) error
	// caller makes one connection for calls, which is shared by its workers.
	caller func(ctx context.Context, addr string) (call, error)
	// sender makes one connection for durable sends, shared by its workers.
	sender func(ctx context.Context, addr string) (*sender, error)
	// producer makes a connection for a pipeline.
	producer func(ctx context.Context, addr string) (*producer, error)
	// consumer makes what the pipeline needs, and calls on for each message, one
	// at a time.
	consumer func(ctx context.Context, addr string, on func(body []byte)) error
	// queues makes empty queues, as many as count.
	queues func(ctx context.Context, addr string, count int) error
	// client connects a client that then does nothing.
	client func(ctx context.Context, addr string) error
}

// A call sends a request to target and waits for its reply.
type call func(ctx context.Context, request []byte) (reply []byte, err error)

// A sender sends and waits until the message is on disk.
type sender struct {
	send func(ctx context.Context, body []byte) error
	// stored counts what the broker holds.
	stored func(ctx context.Context) (int64, error)
}

// A producer sends without looking back.
type producer struct {
	workers int // goroutines that it takes to keep it busy: one, unless each send waits
	publish func(ctx context.Context, body []byte) error
	push    func() error                    // sends what is pending; nil: publish does, soon
	flush   func(ctx context.Context) error // until the broker has everything
}

// A launch is what a broker is started with.
type launch struct {
	programs programs
	dir      string // fresh, for its data
	addr     string // where to listen: 127.0.0.1:PORT
}

// target is the queue, subject or stream that everything goes through.
const target = "bench"

// peers are all systems, in the order of tables.
func peers() []*peer {
	return []*peer{
		switchPeer("switch", false), switchPeer("switch-durable", true),
		natsPeer(), jetstreamPeer("jetstream-memory"), jetstreamPeer("jetstream-file"),
		redisPeer(), rabbitmqPeer(), relayPeer(), relayDurablePeer(),
	}
}

func peerNames() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return names
}

// peerNamed is nil for a name that there is not.
func peerNamed(name string) *peer {
	for _, p := range peers() {
		if p.name == name {
			return p
		}
	}
	return nil
}
