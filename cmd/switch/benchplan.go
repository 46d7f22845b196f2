package main

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

// What bench can measure.
const (
	benchRPC  = "rpc"
	benchSend = "send"
	benchPipe = "pipe"
)

// A benchPlan is what a bench is to do.
type benchPlan struct {
	Bench       string            `json:"-"`
	Queue       string            `json:"queue"`
	Callers     int               `json:"callers"`
	Connections int               `json:"connections"` // of the callers
	InFlight    int               `json:"in_flight"`   // operations at a time, of all callers
	Size        uint64            `json:"size_bytes"`
	Duration    time.Duration     `json:"-"`
	Warmup      time.Duration     `json:"-"`
	Timeout     time.Duration     `json:"-"`
	Rate        uint              `json:"rate"` // per second in all; zero: as fast as it goes
	Durability  client.Durability `json:"-"`    // of our own queue; default: it is somebody else's
}

// MarshalJSON writes durations as numbers of milliseconds, and the durability of
// a queue of ours.
func (p benchPlan) MarshalJSON() ([]byte, error) {
	type plain benchPlan
	doc := struct {
		plain
		DurationMS int64  `json:"duration_ms"`
		WarmupMS   int64  `json:"warmup_ms"`
		TimeoutMS  int64  `json:"timeout_ms"`
		Durability string `json:"durability,omitempty"`
	}{plain: plain(p), DurationMS: p.Duration.Milliseconds(), WarmupMS: p.Warmup.Milliseconds(), TimeoutMS: p.Timeout.Milliseconds()}
	if p.Durability != client.DefaultDurability {
		doc.Durability = p.Durability.String()
	}
	return json.Marshal(doc)
}

const (
	// mostCallers and mostConnections are what one process drives without being
	// itself what is measured.
	mostCallers     = 10_000
	mostConnections = 1_000
	// mostSize is the largest payload that a switch can be told to take.
	mostSize = 64 << 20
	// mostRate is beyond what anybody has reached, and far from where the time
	// between two operations would be no whole number of nanoseconds.
	mostRate = 10_000_000
	// longestBench bounds the numbers that are counted, together with mostRate.
	longestBench = 24 * time.Hour
	// pipeWindow is how many messages one caller of a pipe has under way.
	pipeWindow = 16
	// pipeInFlight keeps a connection below the 2,048 frames at which the client
	// lets no further verb in, so that acks of receipts have room.
	pipeInFlight = 2_000
)

// benchPlan reads the command line.
func (sh *shell) benchPlan(c *cli.Context) (benchPlan, error) {
	words, err := sh.words(c, "WHAT")
	if err != nil {
		return benchPlan{}, err
	}
	p := benchPlan{
		Bench: words[0], Queue: c.String("queue"),
		Callers: int(c.Uint("callers")), Connections: int(c.Uint("connections")),
		Size: size(c, "size"), Rate: c.Uint("rate"),
		Duration: duration(c, "duration"), Warmup: duration(c, "warmup"), Timeout: duration(c, "timeout"),
	}
	if !slices.Contains([]string{benchRPC, benchSend, benchPipe}, p.Bench) {
		return p, usage("bench knows no %q", p.Bench).hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	}
	switch {
	case p.Queue != "" && p.Bench != benchRPC:
		return p, usage("--queue is for rpc: %s makes a queue of its own, and destroys it", p.Bench)
	case p.Queue != "" && c.Bool("durable"):
		return p, usage("--queue and --durable exclude each other: %s is somebody else's queue", plain(p.Queue))
	case c.IsSet("queue") && p.Queue == "":
		return p, usage("--queue is empty")
	case c.Bool("durable"):
		p.Durability = client.Durable
	case p.Queue == "":
		p.Durability = client.Memory
	}
	p.InFlight = p.Callers
	if p.Bench == benchPipe {
		p.InFlight = min(p.Callers*pipeWindow, p.Connections*pipeInFlight)
	}
	return p, p.check()
}

// check holds the numbers against their limits.
func (p *benchPlan) check() error {
	switch {
	case p.Callers < 1 || p.Callers > mostCallers:
		return usage("--callers %d: from 1 to %d", p.Callers, mostCallers)
	case p.Connections < 1 || p.Connections > mostConnections:
		return usage("--connections %d: from 1 to %d", p.Connections, mostConnections)
	case p.Connections > p.Callers:
		return usage("--connections %d: more than there are callers, which are %d", p.Connections, p.Callers)
	case p.Size < cargoHead:
		return usage("--size %s: at least %d B, which make each body unique", byteSize(p.Size), cargoHead)
	case p.Size > mostSize:
		return usage("--size %s: no switch takes more than %s", byteSize(p.Size), byteSize(mostSize))
	case p.Rate > mostRate:
		return usage("--rate %d: at most %d", p.Rate, mostRate)
	case p.Duration == 0 || p.Duration > longestBench:
		return usage("--duration %v: more than nothing, and at most %v", p.Duration, longestBench)
	case p.Warmup > longestBench:
		return usage("--warmup %v: at most %v", p.Warmup, longestBench)
	case p.Timeout < time.Millisecond || p.Timeout > longestBench:
		return usage("--timeout %v: from 1ms to %v", p.Timeout, longestBench)
	}
	return nil
}
