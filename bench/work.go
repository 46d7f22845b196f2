package main

import (
	"context"
	"slices"
)

// A work is what is measured: the same load on several systems, and how good the
// switch has to be beside each of them.
type work struct {
	name    string // on the command line
	title   string // in tables
	columns []column
	runs    []run
	bars    []bar
}

// A run is the work on one system, at one size where there are several.
type run struct {
	peer    string
	size    int // zero where there is only one
	measure measurement
}

// A measurement is taken beside a broker that has just been started.
type measurement func(ctx context.Context, s *stage) (*sample, error)

// on is the same measurement on several systems.
func on(m measurement, peers ...string) []run {
	var runs []run
	for _, name := range peers {
		runs = append(runs, run{peer: name, measure: m})
	}
	return runs
}

const (
	smallBody = 128
	kibibyte  = 1 << 10
	mebibyte  = 1 << 20
	// callers is how many wait at a time, where many do.
	callers = 64
	// fewCallers are not enough to make batches that matter.
	fewCallers = 8
)

// works are all works, with the sizes of a plan.
func works(p *plan) []*work {
	all := callWorks()
	all = append(all, durableWorks()...)
	all = append(all, flowWorks(p)...)
	all = append(all, growthWorks(p)...)
	return append(all, payloadWorks()...)
}

func callWorks() []*work {
	call := func(name, title string, connections, workers int, b bar) *work {
		j := job{Connections: connections, Workers: workers, BodyBytes: smallBody}
		return &work{name: name, title: title, columns: loadColumns,
			runs: on(measureCalls(j), "switch", "nats", "relay"), bars: []bar{b}}
	}
	return []*work{
		call("calls-64", "calls, 64 callers on one connection, 128 B", 1, callers, beside("switch", "nats", rate, atLeast(2))),
		call("calls-8", "calls, 8 callers on one connection, 128 B", 1, fewCallers, beside("switch", "nats", rate, atLeast(1.3))),
		call("connections-64", "calls, 64 connections with one caller each, 128 B", callers, callers, beside("switch", "nats", rate, atLeast(1))),
		call("call-1", "calls, one caller, 128 B", 1, 1, beside("switch", "nats", median, atMost(1))),
	}
}

func durableWorks() []*work {
	calls := measureCalls(job{Workers: callers, BodyBytes: smallBody})
	sends := measureSends(job{Workers: callers, BodyBytes: smallBody})
	large := measureSends(job{Workers: callers, BodyBytes: kibibyte})
	return []*work{
		{name: "durable-calls", title: "durable calls, 64 callers, 128 B (Redis: sends only)", columns: loadColumns,
			runs: slices.Concat(on(calls, "switch-durable", "jetstream-file"), on(sends, "redis"), on(calls, "relay-durable")),
			bars: []bar{
				beside("switch-durable", "jetstream-file", rate, atLeast(10)),
				beside("switch-durable", "redis", rate, atLeast(1.5)),
			}},
		{name: "durable-sends", title: "durable sends, 64 producers that wait, 1 KiB", columns: loadColumns,
			runs: on(large, "switch-durable", "redis", "rabbitmq", "relay-durable"),
			bars: []bar{
				beside("switch-durable", "redis", rate, atLeast(2)),
				beside("switch-durable", "rabbitmq", rate, atLeast(4)),
			}},
	}
}

// fanInWindows is how many windows the fan-in is measured for: the kernel counts a
// process's CPU in ticks of 10 ms, of which a broker uses a dozen a second there.
const fanInWindows = 5

func flowWorks(p *plan) []*work {
	pipe := measurePipe("produce", job{BodyBytes: smallBody})
	fanIn := measurePipe("trickle", job{BodyBytes: smallBody, Connections: p.scale.Connections, Windows: fanInWindows})
	return []*work{
		{name: "pipeline", title: "pipeline, one producer, one consumer, 128 B", columns: flowColumns,
			runs: on(pipe, "switch", "nats", "jetstream-memory", "relay"),
			bars: []bar{
				beside("switch", "nats", rate, atLeast(1)),
				beside("switch", "jetstream-memory", rate, atLeast(10)),
			}},
		{name: "fan-in", title: "fan-in, " + count(fullScale.Connections) + " connections with a message a second each, 128 B", columns: flowColumns,
			runs: on(fanIn, "switch", "nats", "relay"),
			bars: []bar{beside("switch", "nats", brokerCPU, atMost(1))}},
		{name: "footprint", title: "footprint of the daemon", columns: footprintColumns,
			runs: on(measureFootprint, "switch", "nats"),
			bars: []bar{
				alone("switch", startMillis, atMost(50)),
				alone("switch", idleMiB, atMost(25)),
				alone("switch", queueKiB, atMost(1.5)),
				alone("switch", clientKiB, atMost(40)),
			}},
	}
}

func growthWorks(p *plan) []*work {
	grow := func(name, title, peer, growing string, small, large int) *work {
		w := &work{name: name, title: title, columns: growthColumns}
		for _, size := range []int{small, large} {
			j := job{Growing: growing, Count: max(size, 0), BodyBytes: smallBody}
			w.runs = append(w.runs, run{peer: peer, size: size, measure: measureGrowth(j)})
		}
		w.bars = []bar{flat(peer, large, small)}
		return w
	}
	return []*work{
		grow("growth-queues", "growth, queues", "switch", growQueues, activeQueues, p.scale.ManyQueues),
		grow("growth-consumers", "growth, consumers on one queue", "switch", growConsumers, 1, p.scale.Consumers),
		grow("growth-backlog", "growth, messages that wait in a durable queue", "switch-durable", growBacklog, sizeEmpty, p.backlog),
	}
}

func payloadWorks() []*work {
	calls := func(name, title string, bytes int) *work {
		j := job{Workers: fewCallers, BodyBytes: bytes}
		return &work{name: name, title: title, columns: payloadColumns,
			runs: on(measureCalls(j), "switch", "nats", "relay"),
			bars: []bar{beside("switch", "nats", rate, atLeast(1))}}
	}
	return []*work{
		calls("calls-64k", "calls of 64 KiB, 8 callers", 64*kibibyte),
		calls("calls-1m", "calls of 1 MiB, 8 callers", mebibyte),
	}
}

func workNames() []string {
	var names []string
	for _, w := range works(&plan{}) {
		names = append(names, w.name)
	}
	return names
}
