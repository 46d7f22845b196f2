package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// The tests of bench assert counts and forms, and never a speed: but that a
// stall shows.

// quick makes a run short.
var quick = []string{"--duration", "300ms", "--warmup", "100ms", "-o", "json"}

// bench runs a bench that prints JSON, and reads what it has found.
func (d *daemon) bench(t *testing.T, code int, args ...string) (benchResult, result) {
	t.Helper()
	r := d.run(t, append([]string{"bench"}, args...)...)
	return readBench(t, code, r), r
}

func readBench(t *testing.T, code int, r result) (res benchResult) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	if err := json.Unmarshal([]byte(r.out), &res); err != nil {
		t.Fatalf("%v in %s", err, r.out)
	}
	return res
}

// benchQueue waits for the queue of a bench that runs.
func (d *daemon) benchQueue(t *testing.T) (queue string) {
	t.Helper()
	eventually(t, "a queue of the bench", func() bool {
		queue = strings.TrimSpace(d.run(t, "list", "--all", "--prefix", "bench.", "-o", "raw").out)
		return queue != ""
	})
	return queue
}

// noneLeft checks that no bench has left a queue behind.
func (d *daemon) noneLeft(t *testing.T) {
	t.Helper()
	d.run(t, "list", "--all", "--temporary", "-o", "raw").want(t, 0, "")
}

func TestBench(t *testing.T) {
	d := startDaemon(t, "--data-dir", filepath.Join(t.TempDir(), "data"))
	for _, args := range [][]string{
		{"rpc"}, {"send"}, {"pipe"},
		{"rpc", "--durable", "--callers", "4"},
		{"send", "--durable", "--callers", "5", "--connections", "2"},
		{"pipe", "--durable", "--callers", "5", "--connections", "2"},
		{"rpc", "--size", "64KiB", "--connections", "3", "--callers", "7"},
		{"send", "--size", "1MiB", "--callers", "3"},
		{"pipe", "--size", "24", "--callers", "1"},
		{"rpc", "--rate", "500"},
		{"pipe", "--rate", "500"},
	} {
		res, r := d.bench(t, 0, slices.Concat(args, quick)...)
		p, l := res.Parameters, res.Latency
		if res.Bench != args[0] || res.Operations == 0 || res.PerSecond <= 0 || res.MBPerS <= 0 || res.Seconds < 0.299 || res.Interrupted {
			t.Errorf("%v: %+v", args, res)
		}
		if !(0 < l.Min && l.Min <= l.P50 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max) {
			t.Errorf("%v: latencies are not in order: %+v", args, l)
		}
		if last := res.Percentiles[len(res.Percentiles)-1]; last.Percentile != 100 || last.Count != int64(res.Operations) {
			t.Errorf("%v: the last percentile is %+v", args, last)
		}
		if len(res.Errors) > 0 || res.Mismatches+res.Lost+res.Numbers.Twice+res.Unfinished > 0 {
			t.Errorf("%v: faults in a run without any: %+v", args, res)
		}
		if want := `"durability": "durable"`; slices.Contains(args, "--durable") != strings.Contains(r.out, want) || p.Size == 0 || p.InFlight < p.Callers {
			t.Errorf("%v: %s", args, r.out)
		}
		n := res.Numbers
		switch all := n.Arrived + res.Dropped; {
		case args[0] == benchRPC && n != numbers{}:
			t.Errorf("%v: numbers where nothing is numbered: %+v", args, n)
		case args[0] != benchRPC && (n.Receipts != all || n.Receipts < res.Operations):
			t.Errorf("%v: %d operations and %d dropped, %+v", args, res.Operations, res.Dropped, n)
		}
		if res.Versions.Client == "" || res.Versions.Server == "" || res.ReadBack != (args[0] == benchSend) || res.Started.IsZero() {
			t.Errorf("%v: %+v", args, res)
		}
	}
	d.noneLeft(t)
}

func TestBenchTable(t *testing.T) {
	d := startDaemon(t)
	r := d.run(t, "bench", "pipe", "--rate", "200", "--callers", "2", "--duration", "200ms", "--warmup", "0s")
	r.says(t, 0)
	if r.err != "" {
		t.Errorf("stderr off a terminal: %s", r.err)
	}
	const want = "bench,measured,operations,per second,MB per second,p50,p90,p99,p99.9,max,slower,late,not begun," +
		"receipts,arrived,redelivered,lost,mismatches,CPU seconds"
	if got := firstColumn(r.out); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if !strings.HasPrefix(r.out, "bench\tpipe, 2 callers, 1 connection, 128 B, memory, 200 a second\nmeasured\t0.2s\noperations\t") {
		t.Errorf("%s", r.out)
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"", "WHAT is missing"},
		{"cook", `bench knows no "cook"`},
		{"rpc send", `takes no "send"`},
		{"rpc --callers 0", "--callers 0: from 1 to 10000"},
		{"rpc --callers x", `--callers "x": a whole number is wanted`},
		{"rpc --callers 2 --connections 3", "--connections 3: more than there are callers, which are 2"},
		{"rpc --connections 0", "--connections 0: from 1 to 1000"},
		{"rpc --size 8", "--size 8 B: at least 24 B"},
		{"rpc --size 1GiB", "--size 1 GiB: no switch takes more than 64 MiB"},
		{"rpc --duration 5", "5 of what?"},
		{"rpc --duration 0s", "--duration 0s: more than nothing"},
		{"rpc --timeout 0s", "--timeout 0s: from 1ms"},
		{"rpc --rate 20000000", "--rate 20000000: at most 10000000"},
		{"send --queue foo", "--queue is for rpc"},
		{"rpc --queue foo --durable", "exclude each other"},
		{"rpc --queue=", "--queue is empty"},
		{"rpc -o jsonl", `"jsonl" is none of table, json`},
	} {
		r := start(t, nil, append([]string{"switch", "bench"}, strings.Fields(c.args)...)...).wait(t)
		r.says(t, 2, c.says)
	}
	start(t, []string{"SWITCH_ADDR=" + freeAddr(t)}, "switch", "bench", "rpc").wait(t).says(t, 78, "no switch answers", "switch serve")

	d := startDaemon(t) // without a data directory
	d.run(t, "bench", "send", "--durable").says(t, 73, "--durable: the switch at "+d.addr+" has no data directory", "switch serve --data-dir DIR")
	d.run(t, "bench", "rpc", "--size", "2MiB").says(t, 67, "2097152 bytes: this switch takes at most 1048576")
	d.noneLeft(t)
	d.run(t, "bench", "rpc", "--queue", "foo").says(t, 69, "foo")
	d.run(t, "create", "foo").says(t, 0)
	d.run(t, "bench", "rpc", "--queue", "foo").says(t, 78, "nobody serves foo", "type: switch serve foo --echo")
	d.start(t, "serve", "foo", "--", "/bin/echo", "something else")
	d.served(t, "foo")
	d.run(t, "bench", "rpc", "--queue", "foo").says(t, 1, "the first reply of foo differs from its request", "type: switch serve foo --echo")
}

func TestBenchQueue(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo")
	d.served(t, "foo")
	res, r := d.bench(t, 0, append([]string{"rpc", "--queue", "foo"}, quick...)...)
	if res.Operations == 0 || res.Parameters.Queue != "foo" || strings.Contains(r.out, "durability") {
		t.Errorf("%+v", res)
	}
	d.run(t, "list", "-o", "raw").want(t, 0, "foo\n") // it is not ours to destroy
}

// TestBenchNoticesReplies: a responder that changes a body now and then, and
// fails now and then.
func TestBenchNoticesReplies(t *testing.T) {
	d := startDaemon(t)
	var calls, changed, failed atomic.Int64
	d.respond(t, "foo", func(_ context.Context, req *rpc.Request) ([]byte, error) {
		switch calls.Add(1) % 10 {
		case 5:
			changed.Add(1)
			req.Body[len(req.Body)-1]++
		case 7:
			failed.Add(1)
			return nil, errors.New("seven")
		}
		return req.Body, nil
	})
	res, r := d.bench(t, 1, append([]string{"rpc", "--queue", "foo"}, quick...)...)
	if res.Mismatches == 0 || res.Mismatches != uint64(changed.Load()) {
		t.Errorf("%d mismatches, want %d", res.Mismatches, changed.Load())
	}
	if len(res.Errors) != 1 || res.Errors[0].Kind != "UNKNOWN" || res.Errors[0].Count != uint64(failed.Load()) || !strings.Contains(res.Errors[0].First, "seven") {
		t.Errorf("errors %+v, want %d", res.Errors, failed.Load())
	}
	r.says(t, 1, "UNKNOWN, the first: ", "not as it should be")
}

// respond serves a queue in this process.
func (d *daemon) respond(t *testing.T, queue string, h rpc.Handler) {
	t.Helper()
	cl, err := client.New(client.Config{Addr: d.addr})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(ctx, cl, queue, h) }() // waited for by the cleanup
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		cl.Close()
	})
	d.served(t, queue)
}

// TestBenchNoticesMessages: one message is taken away and another put in.
func TestBenchNoticesMessages(t *testing.T) {
	d := startDaemon(t)
	p := d.start(t, "bench", "pipe", "--rate", "2000", "--duration", "4s", "--timeout", "1s", "-o", "json")
	queue := d.benchQueue(t)
	d.run(t, "recv", queue, "--count", "1", "--wait", "5s", "-o", "json").says(t, 0)
	d.run(t, "send", queue, "--body", "none of yours").says(t, 0)
	res := readBench(t, 1, p.wait(t))
	if res.Mismatches != 1 || res.Lost != 1 || res.Numbers.Arrived != res.Numbers.Receipts-1 {
		t.Errorf("%+v", res)
	}
	p.wait(t).says(t, 1, "1 answer not as it should be", "1 message lost")
	d.noneLeft(t)
}

func TestBenchInterrupted(t *testing.T) {
	d := startDaemon(t)
	for what, sig := range map[string]syscall.Signal{benchRPC: syscall.SIGINT, benchSend: syscall.SIGTERM, benchPipe: syscall.SIGINT} {
		p := d.start(t, "bench", what, "--duration", "1h", "--warmup", "0s", "--callers", "3", "-o", "json")
		d.benchQueue(t)
		time.Sleep(200 * time.Millisecond) // so that there is something to tell
		p.signal(t, sig)
		res := readBench(t, 128+int(sig), p.wait(t))
		if !res.Interrupted || res.Operations == 0 || res.Seconds <= 0 || res.Seconds > patience.Seconds() || len(res.Errors) > 0 || res.Lost > 0 {
			t.Errorf("%s: %+v", what, res)
		}
		d.noneLeft(t)
	}
}

// TestBenchStall stops the switch for a while: with a rate, all calls that were
// due meanwhile are slow, and not only those that had a caller.
func TestBenchStall(t *testing.T) {
	d := startDaemon(t)
	const stall = 300 * time.Millisecond
	for _, rate := range []string{"0", "1000"} {
		p := d.start(t, "bench", "rpc", "--callers", "4", "--rate", rate, "--duration", "3s", "--warmup", "0s", "-o", "json")
		d.benchQueue(t)
		time.Sleep(500 * time.Millisecond) // in the midst of it
		d.signal(t, syscall.SIGSTOP)
		time.Sleep(stall)
		d.signal(t, syscall.SIGCONT)
		res := readBench(t, 0, p.wait(t))
		ms := float64(stall / time.Millisecond)
		if res.Latency.Max < 900*ms || res.SlowerThan.MS100 < 4 {
			t.Errorf("rate %s: the stall does not show: %+v %+v", rate, res.Latency, res.SlowerThan)
		}
		if rate == "0" {
			if res.Late+res.NotBegun > 0 {
				t.Errorf("late without a rate: %+v", res)
			}
			continue
		}
		if res.Latency.P999 < 900*ms || res.Late < 200 || res.SlowerThan.MS100 < 150 {
			t.Errorf("the calls that were due in the stall are left out: late %d, %+v, %+v", res.Late, res.Latency, res.SlowerThan)
		}
	}
}

// TestBenchRateTooHigh: what can't be met is to be seen.
func TestBenchRateTooHigh(t *testing.T) {
	d := startDaemon(t)
	res, _ := d.bench(t, 0, append([]string{"rpc", "--callers", "1", "--rate", "1000000"}, quick...)...)
	due := uint64(300_000)
	if res.NotBegun == 0 || res.NotBegun+res.Operations > due || res.NotBegun+res.Operations < due-1 {
		t.Errorf("%d not begun and %d done, of %d", res.NotBegun, res.Operations, due)
	}
}

// TestBenchSwitchDies: the run ends with what there is, and says what it could
// not clear up.
func TestBenchSwitchDies(t *testing.T) {
	if os.Getenv("SWITCH_SLOW") == "" {
		t.Skip("takes as long as the grace of a session, 10 s: SWITCH_SLOW=1")
	}
	d := startDaemon(t)
	p := d.start(t, "bench", "rpc", "--callers", "4", "--duration", "2s", "--timeout", "500ms", "-o", "json")
	d.benchQueue(t)
	time.Sleep(500 * time.Millisecond)
	d.signal(t, syscall.SIGKILL)
	res := readBench(t, 1, p.wait(t))
	if len(res.Errors) == 0 || res.Interrupted {
		t.Errorf("%+v", res)
	}
	p.wait(t).says(t, 1, ", the first: ", "is left behind", "switch destroy bench.")
}

func TestBenchHelp(t *testing.T) {
	r := start(t, nil, "switch", "bench", "--help").wait(t)
	r.says(t, 0)
	for _, text := range []string{"switch bench rpc [--queue QUEUE]", "--callers N", "(128 B)", "(as fast as it goes)"} {
		if !strings.Contains(r.out, text) {
			t.Errorf("help has no %q:\n%s", text, r.out)
		}
	}
	r = start(t, nil, "switch", "__complete", "--new", "--", "bench").wait(t)
	if got := firstColumn(r.out); got != "rpc,send,pipe" {
		t.Errorf("completion: %s", got)
	}
}
