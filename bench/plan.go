package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A plan says what is measured.
type plan struct {
	works    []string          // names; empty: all
	peers    []string          // names; empty: all
	rounds   int               // how often each system is measured
	duration time.Duration     // of a window
	backlog  int               // messages, in growth-backlog
	out      string            // file for the samples, appended to; empty: none
	binaries map[string]string // paths of programs that are given, by name
	scale    scale             // what only tests change
}

// A scale is how much of something a work makes.
type scale struct {
	Queues      int // empty ones, whose memory is measured
	Clients     int // idle ones, whose memory is measured
	Connections int // that fan in
	ManyQueues  int // the large end of growth-queues
	Consumers   int // the large end of growth-consumers
}

// fullScale is what the bars are about.
var fullScale = scale{Queues: 10_000, Clients: 1_000, Connections: 1_000, ManyQueues: 100_000, Consumers: 1_000}

const (
	defaultRounds   = 3
	defaultDuration = 3 * time.Second
	defaultBacklog  = 1_000_000
)

// parsePlan reads the command line.
func parsePlan(args []string) (*plan, error) {
	p := &plan{scale: fullScale}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&p.rounds, "rounds", defaultRounds, "measure each system `N` times, interleaved")
	f.DurationVar(&p.duration, "duration", defaultDuration, "how long each window is")
	f.IntVar(&p.backlog, "backlog", defaultBacklog, "`MESSAGES` that wait in growth-backlog")
	f.StringVar(&p.out, "out", "", "append the samples to `FILE`, for report")
	switchPath := f.String("switch", "", "`PATH` of the switch to measure (default: built from this tree)")
	peers := f.String("peers", "", "measure only these systems: `NAME,…` of "+strings.Join(peerNames(), ", "))
	f.Usage = func() {
		_, _ = fmt.Fprintf(f.Output(), "usage: go run . [flags] [WORK…]\n       go run . report [-w FILE] FILE.jsonl\n\nworks: %s\n\n", strings.Join(workNames(), ", "))
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	p.works = f.Args()
	if *switchPath != "" {
		p.binaries = map[string]string{programSwitch: *switchPath}
	}
	if *peers != "" {
		p.peers = strings.Split(*peers, ",")
	}
	return p, p.check()
}

func (p *plan) check() error {
	for _, w := range p.works {
		if !slices.Contains(workNames(), w) {
			return fmt.Errorf("no work %q; there are %s", w, strings.Join(workNames(), ", "))
		}
	}
	for _, name := range p.peers {
		if !slices.Contains(peerNames(), name) {
			return fmt.Errorf("no system %q; there are %s", name, strings.Join(peerNames(), ", "))
		}
	}
	if p.rounds < 1 || p.duration < 10*time.Millisecond || p.backlog < 1 {
		return fmt.Errorf("rounds and backlog must be at least 1, duration at least 10ms")
	}
	return nil
}

// warm is how long a load runs before its window: long enough for connections,
// heaps and the scheduler to settle.
func (p *plan) warm() time.Duration { return min(max(p.duration/3, 50*time.Millisecond), time.Second) }

// settle is how long a daemon is left alone before its memory is read.
func (p *plan) settle() time.Duration { return min(p.duration, 2*time.Second) }

// includes says whether the work is measured on the peer.
func (p *plan) includes(w *work, peer string) bool {
	return (len(p.works) == 0 || slices.Contains(p.works, w.name)) && (len(p.peers) == 0 || slices.Contains(p.peers, peer))
}

// command is what repeats the run. Paths are left out: they are one machine's.
func (p *plan) command() string {
	words := []string{"go run ."}
	if p.rounds != defaultRounds {
		words = append(words, fmt.Sprintf("--rounds %d", p.rounds))
	}
	if p.duration != defaultDuration {
		words = append(words, "--duration "+p.duration.String())
	}
	if p.backlog != defaultBacklog {
		words = append(words, fmt.Sprintf("--backlog %d", p.backlog))
	}
	if len(p.peers) > 0 {
		words = append(words, "--peers "+strings.Join(p.peers, ","))
	}
	return strings.Join(append(words, p.works...), " ")
}
