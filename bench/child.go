package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// jobVariable is the environment variable that makes this binary a child.
const jobVariable = "SWITCH_BENCH_JOB"

// The words that a child's lines begin with.
const (
	wordReady  = "ready"
	wordSample = "sample"
	wordError  = "error"
)

// A job is what a child is to do.
type job struct {
	Role        string
	Peer        string
	Addr        string
	Connections int           // that the child makes; zero: one
	Workers     int           // on all connections together
	BodyBytes   int           // of each message
	Warm        time.Duration // before the window
	Window      time.Duration // that is measured
	Windows     int           // how many windows of the plan that is; zero: one
	Count       int           // of queues, clients or consumers to make, or messages to leave in the queue
	Growing     string        // what Count is of, in growth
	Dir         string        // that it may write to
	Program     string        // that it runs
}

// jobText is the variable that makes this binary a child with that job.
func jobText(j job) (string, error) {
	text, err := json.Marshal(j)
	return jobVariable + "=" + string(text), err
}

// A role is what a child can be. It returns when its work is done, or when its
// input ends, which is ctx's end.
type role func(ctx context.Context, c *child, j job) error

// roles is filled here and not by init functions, so that one can read it.
func roles() map[string]role {
	return map[string]role{
		"call":          callRole,
		"clients":       clientsRole,
		"consume":       consumeRole,
		"grow":          growRole,
		"guard":         guardRole,
		"produce":       produceRole,
		"queues":        queuesRole,
		"relay":         relayRole,
		"relay-durable": relayDurableRole,
		"respond":       respondRole,
		"send":          sendRole,
		"trickle":       trickleRole,
	}
}

// A child is this process, seen from within.
type child struct {
	out  io.Writer
	told chan []byte // lines from the parent; closed by the reading goroutine at the end of input
}

// isChild says whether this process was started with a job.
func isChild() bool { return os.Getenv(jobVariable) != "" }

// childMain does the job and answers the exit code.
func childMain() int {
	c := &child{out: os.Stdout, told: make(chan []byte, 4)}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	// The reading goroutine ends with its input; the process does not wait for it.
	go c.read(stop)
	if err := c.do(ctx); err != nil {
		complaint, _ := json.Marshal(complain(err)) // two plain fields
		c.say(wordError, string(complaint))
		return 1
	}
	return 0
}

func (c *child) do(ctx context.Context) error {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(jobVariable)), &j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	r := roles()[j.Role]
	if r == nil {
		return fmt.Errorf("no role %q", j.Role)
	}
	return r(ctx, c, j)
}

// read takes the parent's lines until there are no more: then the parent wants
// this process to end, or is dead.
func (c *child) read(stop func()) {
	defer stop()
	defer close(c.told)
	for scan := bufio.NewScanner(os.Stdin); scan.Scan(); {
		c.told <- append([]byte(nil), scan.Bytes()...)
	}
}

// say prints a line. A parent that does not read it any more ends this process by
// other means.
func (c *child) say(word, rest string) { _, _ = fmt.Fprintln(c.out, word, rest) }

func (c *child) ready() { c.say(wordReady, "") }

// hear waits for a line of the parent.
func (c *child) hear(v any) error {
	line, ok := <-c.told
	if !ok {
		return errors.New("the parent has nothing to say any more")
	}
	return json.Unmarshal(line, v)
}

// begin says that all is connected, and waits until the parent has named the
// processes whose CPU is measured. This process adds itself, under its role.
func (c *child) begin(role string) (map[string]int, error) {
	c.ready()
	pids := make(map[string]int)
	if err := c.hear(&pids); err != nil {
		return nil, err
	}
	if role != "" {
		pids[role] = os.Getpid()
	}
	return pids, nil
}

// report prints a sample.
func (c *child) report(s *sample) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	c.say(wordSample, string(line))
	return nil
}
