package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// serveShell serves a queue with a shell script.
func (d *daemon) serveShell(t *testing.T, queue, script string, flags ...string) *process {
	t.Helper()
	args := append([]string{"serve", queue}, flags...)
	return d.start(t, append(args, "--", "/bin/sh", "-c", script)...)
}

func TestProgramExits(t *testing.T) {
	d := startDaemon(t)
	d.serveShell(t, "foo", `read -r code; echo working >&2; echo "reason $code" >&2; exit "$code"`)
	for exit := range 256 {
		if !testing.Short() && exit > 82 && exit != 255 && exit != 128 && exit != 143 {
			continue // they are all alike
		}
		r := d.input(t, fmt.Sprintln(exit), "call", "foo")
		switch {
		case exit == 0:
			r.want(t, 0, "")
		case exit > 64 && exit <= 80:
			r.says(t, exit, fmt.Sprintf("reason %d", exit))
		default:
			r.says(t, 66, fmt.Sprintf("exit status %d", exit), fmt.Sprintf("reason %d", exit))
		}
	}
}

func TestProgramWithoutWords(t *testing.T) {
	d := startDaemon(t)
	d.serveShell(t, "notfound", "exit 69")
	d.run(t, "call", "notfound").says(t, 69, "exit status 69")
	d.serveShell(t, "killed", "kill -9 $$")
	d.run(t, "call", "killed").says(t, 66, "signal: killed")
}

func TestProgramIO(t *testing.T) {
	d := startDaemon(t)
	server := d.serveShell(t, "upper", `tr a-z A-Z; printf 'one\ntwo' >&2`)
	body := strings.Repeat("binary \x00\xff\n", 9000)
	d.input(t, body, "call", "upper").want(t, 0, strings.ToUpper("binary ")+strings.Repeat("\x00\xff\nBINARY ", 8999)+"\x00\xff\n")
	eventually(t, "the program's stderr", func() bool {
		return strings.Contains(server.err.String(), ": one\nupper ") && strings.Contains(server.err.String(), ": two\n")
	})
	d.serveShell(t, "deaf", "echo done") // does not read its input
	d.input(t, body, "call", "deaf").want(t, 0, "done\n")
}

// TestProgramHasNoShell: words are passed on as they are.
func TestProgramHasNoShell(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--", "/usr/bin/printf", "%s|", "$HOME", "a b", "*", "--", "-n", "")
	d.run(t, "call", "foo").want(t, 0, "$HOME|a b|*|--|-n||")
}

func TestProgramEnvironment(t *testing.T) {
	d := startDaemon(t)
	start(t, []string{"SWITCH_ADDR=" + d.addr, "TRACEPARENT=of-another-trace"},
		"switch", "serve", "foo", "--", "/bin/sh", "-c", `env | grep -E '^(SWITCH_|TRACEPARENT|TRACESTATE)' | sort`)
	vars := func(r result) map[string]string {
		t.Helper()
		r.says(t, 0)
		m := map[string]string{}
		for line := range strings.Lines(r.out) {
			k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			m[k] = v
		}
		return m
	}
	got := vars(d.run(t, "call", "foo"))
	if got["SWITCH_QUEUE"] != "foo" || got["SWITCH_ATTEMPT"] != "1" || got["SWITCH_CORRELATION_ID"] == "" || got["SWITCH_ADDR"] != d.addr {
		t.Errorf("the environment is %v", got)
	}
	if v, ok := got["SWITCH_DEADLINE"]; !ok || v != "" {
		t.Errorf("SWITCH_DEADLINE is %q, %v; want it empty", v, ok)
	}
	if v, ok := got["TRACEPARENT"]; ok {
		t.Errorf("TRACEPARENT is %q, want none", v)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	got = vars(d.run(t, "call", "foo", "--timeout", "1h", "--header", "traceparent="+parent))
	deadline, err := time.Parse(time.RFC3339Nano, got["SWITCH_DEADLINE"])
	if left := time.Until(deadline); err != nil || left > time.Hour || left < 50*time.Minute {
		t.Errorf("SWITCH_DEADLINE is %q", got["SWITCH_DEADLINE"])
	}
	if got["TRACEPARENT"] != parent {
		t.Errorf("TRACEPARENT is %q", got["TRACEPARENT"])
	}
	// What a program calls belongs to the trace.
	d.serveShell(t, "outer", "switch call foo")
	got = vars(d.run(t, "call", "outer", "--header", "traceparent="+parent, "--header", "tracestate=a=1"))
	if got["TRACEPARENT"] != parent || got["TRACESTATE"] != "a=1" {
		t.Errorf("a trace %s, a=1 became %v", parent, got)
	}
	d.serveShell(t, "elsewhere", "switch call foo -H traceparent="+strings.Replace(parent, "0af", "1af", 1))
	got = vars(d.run(t, "call", "elsewhere", "--header", "traceparent="+parent, "--header", "tracestate=a=1"))
	if !strings.Contains(got["TRACEPARENT"], "1af") || got["TRACESTATE"] != "" {
		t.Errorf("another trace became %v", got)
	}
}

// TestProgramRetried: a message without reply-to is tried again, and the
// attempts count.
func TestProgramRetried(t *testing.T) {
	d := startDaemon(t)
	log := filepath.Join(t.TempDir(), "log")
	d.serveShell(t, "foo", `echo "$SWITCH_ATTEMPT $(cat)" >>`+log+`; [ "$SWITCH_ATTEMPT" = 2 ]`)
	d.run(t, "send", "foo", "--create", "--body", "x").says(t, 0)
	eventually(t, "a second attempt that is acked", func() bool {
		b, _ := os.ReadFile(log)
		return string(b) == "1 x\n2 x\n" && strings.Contains(d.run(t, "diagnostics").out, "foo: empty")
	})
}

// TestProgramDeadline: when the caller's time is up, the whole process group
// ends, also members that ignore SIGTERM.
func TestProgramDeadline(t *testing.T) {
	for name, script := range map[string]string{
		"obedient":             `echo $$ >$PIDS; (sleep 600) & echo $! >>$PIDS; wait`,
		"stubborn":             `trap '' TERM; echo $$ >$PIDS; sleep 600 & echo $! >>$PIDS; while :; do wait; done`,
		"stubborn child":       `echo $$ >$PIDS; (trap '' TERM; echo ready >&2; while :; do sleep 1; done) & echo $! >>$PIDS; wait`,
		"child with its pipes": `echo $$ >$PIDS; (trap '' TERM; exec 2>&-; while :; do sleep 1; done) & echo $! >>$PIDS; exit 0`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t)
			pids := filepath.Join(t.TempDir(), "pids")
			d.serveShell(t, "foo", "PIDS="+pids+"; "+script)
			began := time.Now()
			d.run(t, "call", "foo", "--timeout", "1500ms").says(t, 68) // less than killDelay
			if took := time.Since(began); took > patience/2 {
				t.Errorf("the call took %v", took)
			}
			b, err := os.ReadFile(pids)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range strings.Fields(string(b)) {
				pid, err := strconv.Atoi(word)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "an end of process "+word, func() bool { return !alive(pid) })
			}
			if n := len(strings.Fields(string(b))); n != 2 {
				t.Errorf("%d processes have started, want 2", n)
			}
			// And the queue is served on.
			d.run(t, "list", "-o", "raw").want(t, 0, "foo\n")
		})
	}
}

// alive reports whether a process exists and is no zombie.
// TestProgramEndsWithItsCall: who interrupts a call ends the program that works for
// it, and the call that this one makes in turn.
func TestProgramEndsWithItsCall(t *testing.T) {
	d := startDaemon(t)
	dir := t.TempDir()
	pidOf := func(name string) (pid int) {
		eventually(t, "a program", func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, name)) // it is there once the program is
			pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
			return pid != 0
		})
		return pid
	}
	d.serveShell(t, "inner", "echo $$ >"+dir+"/inner; sleep 600")
	outer := d.serveShell(t, "outer", "echo $$ >"+dir+"/outer; exec switch call inner --body x")
	call := d.start(t, "call", "outer", "--body", "x")
	outerPid, innerPid := pidOf("outer"), pidOf("inner")
	call.signal(t, syscall.SIGINT)
	if r := call.wait(t); r.code == 0 {
		t.Errorf("the call ended well: %+v", r)
	}
	eventually(t, "the end of the programs", func() bool { return !alive(outerPid) && !alive(innerPid) })
	if outer.ended() {
		t.Error("the server ended with its program")
	}
	eventually(t, "empty queues", func() bool { return !strings.Contains(d.run(t, "diagnostics").out, "has held it") })
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err)
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

// TestServerDrains: who serves a queue lets running programs end, and gives
// back what has not begun.
func TestServerDrains(t *testing.T) {
	d := startDaemon(t)
	held := filepath.Join(t.TempDir(), "go")
	server := d.serveShell(t, "foo", `cat; until [ -e `+held+` ] || ! [ -d `+filepath.Dir(held)+` ]; do sleep 0.01; done`, "--concurrency", "1")
	first, second := d.start(t, "call", "foo", "--body", "1"), d.start(t, "call", "foo", "--body", "2")
	eventually(t, "one request at work and one that waits", func() bool {
		return strings.Contains(d.run(t, "diagnostics").out, "foo: 1 waiting, 1 being worked on")
	})
	server.signal(t, syscall.SIGTERM)
	eventually(t, "a queue without a server", func() bool { return d.run(t, "list").out == "" })
	if server.ended() {
		t.Error("the server did not wait for its program")
	}
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := server.wait(t); r.code != 0 {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	d.start(t, "serve", "foo", "--echo")
	first.wait(t).says(t, 0)
	second.wait(t).says(t, 0)
}

// TestServerDrainIsBounded: what does not end in time is ended, and the request
// goes to another.
func TestServerDrainIsBounded(t *testing.T) {
	d := startDaemon(t)
	server := d.serveShell(t, "foo", `sleep 600`, "--drain", "100ms")
	call := d.start(t, "call", "foo", "--body", "x")
	eventually(t, "a lease", func() bool { return strings.Contains(d.run(t, "diagnostics").out, "has held it") })
	server.signal(t, syscall.SIGTERM)
	if r := server.wait(t); r.code != 1 {
		t.Errorf("exit %d, want 1\n%s", r.code, r.err)
	}
	d.start(t, "serve", "foo", "--echo")
	call.wait(t).want(t, 0, "x")
}

func TestProgramThatIsNot(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "serve", "foo", "--program", "/no/such/program").says(t, 1, "/no/such/program", "no such file")
	d.run(t, "serve", "foo", "--program", "/").says(t, 1, "/", "directory")
	d.run(t, "serve", "foo", "--program", "no-such-program").says(t, 1, "no-such-program", "not found")
	d.run(t, "list", "--all").want(t, 0, "")
}

// TestProgramReplyTooLarge: a program that writes without end is stopped.
func TestProgramReplyTooLarge(t *testing.T) {
	p, err := newProgram([]string{"/bin/sh", "-c", "yes; echo never"}, "", 100_000, &buffer{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.handle(t.Context(), &rpc.Request{Queue: "foo"})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "100000 bytes") {
		t.Errorf("%v", err)
	}
}

func TestLineWriter(t *testing.T) {
	var out bytes.Buffer
	w := &lineWriter{p: &program{err: &out}, prefix: "q: "}
	for _, s := range []string{"one\ntw", "o\r\n\n", "esc\x1b[2J \xff\n", strings.Repeat("x", maxLine+5) + "\n", "end"} {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	w.flush()
	w.flush()
	want := "q: one\nq: two\nq: \nq: esc\uFFFD[2J \uFFFD\nq: " + strings.Repeat("x", maxLine) + "\nq: xxxxx\nq: end\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
	if w.last != "end" {
		t.Errorf("the last line is %q", w.last)
	}
}
