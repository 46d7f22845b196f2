package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDaemonSaysWhatItIs(t *testing.T) {
	d := startDaemon(t)
	first, _, _ := strings.Cut(d.err.String(), "\n")
	var rec struct{ Level, Msg string }
	if err := json.Unmarshal([]byte(first), &rec); err != nil {
		t.Fatal(err)
	}
	if rec.Level != "INFO" || !strings.Contains(rec.Msg, "in memory only") || !strings.Contains(rec.Msg, "lost when this process ends") {
		t.Errorf("the first line is %s", first)
	}
	d.signal(t, syscall.SIGTERM)
	if r := d.wait(t); r.code != 0 || r.out != "" {
		t.Errorf("after SIGTERM: exit %d, stdout %q", r.code, r.out)
	}
}

func TestDaemonAddressInUse(t *testing.T) {
	d := startDaemon(t)
	start(t, nil, "switch", "serve", "--listen", d.addr).wait(t).says(t, 1, "switch: listen on "+d.addr, "in use")
	start(t, []string{"SWITCH_LISTEN=" + d.addr}, "switch", "daemon").wait(t).says(t, 1, "in use")
}

func TestDaemonListensInManyPlaces(t *testing.T) {
	sock := "unix://" + filepath.Join(shortDir(t), "s")
	a, b := freeAddr(t), freeAddr(t)
	for _, flags := range [][]string{
		{"--listen", a, "--listen", sock, "--listen", b},
		{"--listen", a + "," + sock + "," + b},
	} {
		d := startDaemon(t, flags...)
		for _, addr := range []string{a, sock, b} {
			eventually(t, "an address in the log", func() bool { return strings.Contains(d.err.String(), addr) })
			d.run(t, "list", "--addr", addr).want(t, 0, "")
		}
		d.signal(t, os.Interrupt)
		if r := d.wait(t); r.code != 0 {
			t.Errorf("after SIGINT: exit %d\n%s", r.code, r.err)
		}
	}
}

// shortDir is a directory whose name is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestDaemonDrains holds a lease while the daemon is told to end.
func TestDaemonDrains(t *testing.T) {
	for _, how := range []string{"SIGTERM", "shutdown", "second signal"} {
		t.Run(how, func(t *testing.T) {
			d := startDaemon(t)
			held := filepath.Join(t.TempDir(), "go")
			server := d.start(t, "serve", "foo", "--", "/bin/sh", "-c", `cat; until [ -e "$1" ] || ! [ -d "${1%/*}" ]; do sleep 0.01; done`, "sh", held)
			call := d.start(t, "call", "foo", "--body", "late")
			eventually(t, "a lease", func() bool { return strings.Contains(d.run(t, "diagnostics").out, "has held it") })
			if how == "shutdown" {
				d.run(t, "shutdown").says(t, 0, "ending")
			} else {
				d.signal(t, syscall.SIGTERM)
			}
			eventually(t, "a drain", func() bool { return strings.Contains(d.err.String(), `"draining"`) })
			d.run(t, "send", "foo", "--body", "x").says(t, 78, "shutting down")
			if d.ended() {
				t.Error("the daemon did not wait for the lease")
			}
			if how == "second signal" {
				d.signal(t, syscall.SIGTERM)
				if r := d.wait(t); r.code != -1 {
					t.Errorf("exit %d, want an end by the signal", r.code)
				}
				server.signal(t, syscall.SIGKILL)
				return
			}
			t.Cleanup(func() { server.signal(t, syscall.SIGKILL) }) // it would wait for the switch to come back
			if err := os.WriteFile(held, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			call.wait(t).want(t, 0, "late")
			if r := d.wait(t); r.code != 0 {
				t.Errorf("exit %d\n%s", r.code, r.err)
			}
		})
	}
}

func TestDaemonDrainIsBounded(t *testing.T) {
	d := startDaemon(t, "--drain", "100ms")
	d.run(t, "create", "foo").says(t, 0)
	d.run(t, "send", "foo", "--body", "x").says(t, 0)
	holder := d.start(t, "recv", "foo", "--count", "2", "--no-ack")
	eventually(t, "a message that is held", func() bool { return holder.out.String() == "x\n" })
	d.signal(t, syscall.SIGTERM)
	if r := d.wait(t); r.code != 0 {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	holder.signal(t, syscall.SIGKILL) // it would wait for the switch to come back
}

// TestServeDecides checks that the words alone decide what serve means.
func TestServeDecides(t *testing.T) {
	for _, c := range []struct {
		typed string
		says  []string
	}{
		{"serve foo --listen :8000 --drain 5s", []string{"--listen: for running the switch, but a QUEUE is given",
			"type: switch serve --listen :8000 --drain 5s\n", "type: switch serve foo --drain 5s\n"}},
		{"serve foo --max-payload 1MiB --program /bin/cat", []string{"--max-payload", "type: switch serve foo --program /bin/cat\n", "type: switch serve --max-payload 1MiB\n"}},
		{"serve --program /bin/cat", []string{"no QUEUE", "type: switch serve QUEUE --program /bin/cat\n", "type: switch serve\n"}},
		{"serve --echo --drain 1s", []string{"type: switch serve QUEUE --echo --drain 1s\n", "type: switch serve --drain 1s\n"}},
		{"serve --addr h:1", []string{"type: switch serve --listen h:1\n"}},
		{"serve --", []string{"QUEUE is missing"}},
		{"serve -- -foo", []string{"what shall serve -foo?"}},
		{"serve foo", []string{"what shall serve foo?", "switch serve foo --echo"}},
		{"serve foo cat", []string{`no "cat"`, "switch serve foo -- PATH ARG…"}},
		{"serve foo --echo --program /bin/cat", []string{"--program and --echo exclude each other"}},
		{"serve foo --echo -- /bin/cat", []string{"-- and --echo exclude each other"}},
		{"serve foo --", []string{"no program follows --"}},
		{"serve foo --echo --concurrency 0", []string{"--concurrency 0: at least 1"}},
		{"daemon foo", []string{`daemon takes no "foo"`, "switch serve foo --program PATH"}},
		{"daemon --echo", []string{"daemon has no flag --echo"}},
		{"respond", []string{"QUEUE is missing"}},
		{"respond foo --listen :1", []string{"respond has no flag --listen"}},
		{"serve --listen nowhere", []string{`--listen "nowhere" is neither HOST:PORT nor unix:///PATH`}},
		{"serve --listen unix://s", []string{"absolute"}},
		{"serve --max-payload 65MiB", []string{"from 1 B to 64 MiB"}},
		{"serve --max-payload none", []string{"--max-payload", "is no number of bytes"}},
		{"serve --log-level loud", []string{`--log-level "loud"`}},
		{"serve --log-format xml", []string{`--log-format "xml"`}},
		{"serve --drain 20", []string{`--drain "20": 20 of what?`}},
	} {
		t.Run(c.typed, func(t *testing.T) {
			start(t, nil, append([]string{"switch"}, strings.Fields(c.typed)...)...).wait(t).says(t, 2, c.says...)
		})
	}
}

// TestServeIgnoresEnvironment: the environment of the other use decides nothing.
func TestServeIgnoresEnvironment(t *testing.T) {
	d := startDaemon(t)
	server := start(t, []string{"SWITCH_ADDR=" + d.addr, "SWITCH_LISTEN=" + d.addr, "SWITCH_MAX_PAYLOAD=1MiB"}, "switch", "serve", "foo", "--echo")
	d.run(t, "call", "foo", "--body", "x").want(t, 0, "x")
	if server.ended() {
		t.Error("it ended")
	}
	other := start(t, []string{"SWITCH_ADDR=" + d.addr, "SWITCH_LISTEN=127.0.0.1:0", "SWITCH_CONCURRENCY=3", "SWITCH_LOG_FORMAT=json"}, "switch", "serve")
	other.listening(t)
}

// TestFlagGoesBeforeEnvironment: flag, then environment, then default.
func TestFlagGoesBeforeEnvironment(t *testing.T) {
	d := startDaemon(t)
	start(t, []string{"SWITCH_ADDR=127.0.0.1:1"}, "switch", "list", "--addr", d.addr).wait(t).want(t, 0, "")
	start(t, []string{"SWITCH_ADDR=127.0.0.1:1"}, "switch", "list").wait(t).says(t, 78, "127.0.0.1:1")
	start(t, []string{"SWITCH_DRAIN=soon"}, "switch", "serve").wait(t).says(t, 2, "SWITCH_DRAIN", `"soon" is no time`)
}
