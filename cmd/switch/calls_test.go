package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/d3b0a776/switch/client"
)

// calls are what the switch lists.
func (d *daemon) calls(t *testing.T) []client.CallInfo {
	t.Helper()
	return decode[[]client.CallInfo](t, d.run(t, "calls", "-o", "json"))
}

// TestCallsCancelWhy has a program call on by "switch call", and ends the tree.
func TestCallsCancelWhy(t *testing.T) {
	d := startDaemon(t)
	script := filepath.Join(t.TempDir(), "on.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec switch call leaf --body \"for $SWITCH_CALL\" --name on\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.start(t, "serve", "mid", "--program", script, "--name", "server")
	d.served(t, "mid")
	call := d.start(t, "call", "mid", "--timeout", "1m", "--name", "caller", "--body", "x")
	var calls []client.CallInfo
	eventually(t, "a tree of calls", func() bool { calls = d.calls(t); return len(calls) == 2 })
	leaf, root := calls[0], calls[1]
	if leaf.Parent != root.Call || leaf.Queue != "leaf" || leaf.State != client.MessageWaiting || leaf.Caller != "on" ||
		root.Server != "server" || root.Caller != "caller" || root.Children != 1 || root.Attempt != 1 {
		t.Errorf("the calls are %+v", calls)
	}
	table := d.run(t, "calls").out
	for i, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		if cells := strings.Split(line, "\t"); len(cells) != 10 || cells[0] != calls[i].Call || cells[9] != calls[i].Parent {
			t.Errorf("the table has %q", cells)
		}
	}
	d.run(t, "calls", "mid", "-o", "raw").want(t, 0, root.Call+"\n")
	d.run(t, "calls", "--prefix", "no", "-o", "raw").want(t, 0, "")
	d.run(t, "calls", "--limit", "1", "-o", "raw").says(t, 0, "there are more than 1")
	d.run(t, "peek", "leaf", "-o", "raw").want(t, 0, "for "+root.Call+"\n")

	has := func(r result, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if r.code != 0 || !strings.Contains(r.out, text) {
				t.Errorf("exit %d, %q has no %q\n%s", r.code, r.out, text, r.err)
			}
		}
	}
	has(d.run(t, "why", leaf.Call), "waiting for", "nobody has ever served queue leaf")
	has(d.run(t, "why", root.Call), "attempt 1 running for", "at server")

	r := d.run(t, "cancel", root.Call, "-o", "json")
	if done := decode[cancelledCall](t, r); done.Call != root.Call || !done.Running || done.Others != 1 || done.Queue != "mid" {
		t.Errorf("cancel says %+v", done)
	}
	call.wait(t).says(t, 65, "an operator cancelled the call")
	eventually(t, "an end of all calls", func() bool { return len(d.calls(t)) == 0 })
	has(d.run(t, "why", root.Call), "an operator cancelled the call", "for nobody")
	has(d.run(t, "why", leaf.Call, "-o", "json"), `"phase": "cancelled"`, "which this one was made for, is over")

	d.run(t, "cancel", root.Call).says(t, 69, "there is no call "+root.Call)
	d.run(t, "cancel", "garbage").says(t, 67, "garbage")
	d.run(t, "cancel").says(t, 2, "CALL is missing")
	d.run(t, "why", "0-1-1").says(t, 69, "flight recorder")
}

func TestCallWaits(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "call", "q", "--wait", "100ms", "--body", "x").says(t, 78, "nobody began the request", "within 100ms")
	d.run(t, "call", "q", "--wait", "fail", "--body", "x").says(t, 78, "nobody serves queue")
	d.run(t, "call", "q", "--wait", "queue", "--timeout", "100ms", "--body", "x").says(t, 68)
	d.run(t, "call", "q", "--wait", "soon", "--body", "x").says(t, 2, "fail, queue, or a time")
	d.run(t, "call", "q", "--wait", "2s", "--fail-fast", "--body", "x").says(t, 2, "exclude each other")
	d.run(t, "send", "q", "--wait", "fail", "--body", "x").says(t, 78, "nobody serves queue")
	d.start(t, "serve", "q", "--echo")
	d.served(t, "q")
	d.run(t, "call", "q", "--wait", "2s", "--body", "x").want(t, 0, "x")
}

// A call of one attempt is told when its server was killed, after the grace.
func TestCallOfAKilledServer(t *testing.T) {
	t.Parallel() // it waits for ten seconds
	d := startDaemon(t)
	server := d.start(t, "serve", "q", "--", "sleep", "5")
	d.served(t, "q")
	call := d.start(t, "call", "q", "--max-attempts", "1", "--body", "x")
	eventually(t, "a call that runs", func() bool { calls := d.calls(t); return len(calls) == 1 && calls[0].State == client.MessageLeased })
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	call.wait(t).says(t, 78, "was lost", "session of its server")
}
