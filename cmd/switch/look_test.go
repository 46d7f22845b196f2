package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// event is what a test looks at in an event of tail.
type event struct {
	Number                        int
	Time                          time.Time
	Kind, Sender, Queue, Receiver string
}

func TestTail(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo", "--name", "server")
	d.served(t, "foo")
	d.run(t, "call", "foo", "--body", "hel\tlo", "--name", "caller").want(t, 0, "hel\tlo")

	out := d.run(t, "tail", "--queue", "foo").out
	var kinds []string
	for line := range strings.Lines(out) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 8 {
			t.Fatalf("%d columns: %q", len(cells), line)
		}
		if _, err := time.Parse(time.RFC3339Nano, cells[0]); err != nil {
			t.Error(err)
		}
		kinds = append(kinds, strings.Join(cells[1:6], ",")+" "+cells[7])
	}
	want := []string{
		"server,,foo,, created",
		`caller,→,foo,, "hel\tlo"`,
		`caller,,foo,→,server "hel\tlo"`,
		"caller,,foo,←,server replied",
	}
	if strings.Join(kinds, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n%s\nwant:\n%s", strings.Join(kinds, "\n"), strings.Join(want, "\n"))
	}

	if n := strings.Count(d.run(t, "tail", "-n", "2").out, "\n"); n != 2 {
		t.Errorf("-n 2 printed %d lines", n)
	}
	events := decode[[]event](t, d.run(t, "tail", "-o", "json", "-n0"))
	for i, e := range events {
		if e.Number != i+1 {
			t.Errorf("event %d has number %d", i+1, e.Number)
		}
	}
	if first := events[0]; first.Kind != "login" || first.Sender != "server" || time.Since(first.Time) > patience {
		t.Errorf("%+v", first)
	}
	d.run(t, "tail", "-f", "-o", "json").says(t, 2, "use -o jsonl")
}

func TestTailFollow(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "create", "foo").says(t, 0)
	d.run(t, "create", "bar").says(t, 0)
	tail := d.start(t, "tail", "--follow", "--queue", "foo", "-o", "jsonl")
	eventually(t, "what there was", func() bool { return strings.Contains(tail.out.String(), `"created"`) })
	d.run(t, "send", "bar", "--body", "not this").says(t, 0)
	d.run(t, "send", "foo", "--body", "this").says(t, 0)
	d.run(t, "recv", "foo").want(t, 0, "this")
	eventually(t, "what happened since", func() bool { return strings.Contains(tail.out.String(), `"acked"`) })
	tail.signal(t, syscall.SIGINT)
	r := tail.wait(t)
	var kinds []string
	for line := range strings.Lines(r.out) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, " "); r.code != 130 || got != "created sent delivered acked" {
		t.Errorf("exit %d, %s", r.code, got)
	}
}

// TestMscgen draws what has happened.
func TestMscgen(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo", "--name", `the "server" \`)
	d.run(t, "call", "foo", "--body", `{"a": "\n"}`, "--name", "caller").says(t, 0)
	r := d.run(t, "mscgen")
	r.says(t, 0)
	if !strings.Contains(r.out, `"caller" => "foo"`) || !strings.Contains(r.out, `>> "caller"`) {
		t.Errorf("the chart has no call:\n%s", r.out)
	}
	mscgen, err := exec.LookPath("mscgen")
	if err != nil {
		t.Skip("mscgen is not installed")
	}
	cmd := exec.Command(mscgen, "-T", "svg", "-o", "-", "-i", "-")
	cmd.Stdin = strings.NewReader(r.out)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "</svg>") {
		t.Errorf("%v\n%s\n%s", err, out, r.out)
	}
}

func TestDiagnosticsJSON(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "call", "foo", "--body", "x", "--name", "caller")
	type doc struct {
		Queues []struct {
			Summary  struct{ Queue string }
			Messages []struct{ Sender, Caller string }
		}
		Sessions []struct {
			Name    string
			Pending int `json:"pending_requests"`
		}
		Uptime int `json:"uptime_ms"`
	}
	var got doc
	eventually(t, "a request", func() bool {
		got = decode[doc](t, d.run(t, "diagnostics", "-o", "json"))
		return len(got.Queues) > 0 && len(got.Queues[0].Messages) == 1
	})
	m := got.Queues[0].Messages[0]
	if got.Queues[0].Summary.Queue != "foo" || m.Sender != "caller" || m.Caller != "waiting" || got.Uptime <= 0 {
		t.Errorf("%+v", got)
	}
	if len(got.Sessions) != 1 || got.Sessions[0].Name != "caller" || got.Sessions[0].Pending != 1 {
		t.Errorf("%+v", got.Sessions)
	}
	d.run(t, "diagnostics", "--messages", "0").says(t, 2, "from 1 to 1000")
	d.run(t, "diagnostics", "--messages", "1001").says(t, 2, "from 1 to 1000")
}

// TestOnATerminal looks at what people see: heads, and a newline after a reply
// without one.
func TestOnATerminal(t *testing.T) {
	if err := exec.Command("script", "-qec", "true", "/dev/null").Run(); err != nil {
		t.Skip("there is no script(1) to make a terminal with")
	}
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo")
	d.served(t, "foo")
	typed := func(line string) result {
		t.Helper()
		p := start(t, []string{"SWITCH_ADDR=" + d.addr, "TERM=dumb"}, "/usr/bin/script", "-qec", line, "/dev/null")
		r := p.wait(t)
		r.out = strings.ReplaceAll(r.out, "\r\n", "\n")
		return r
	}
	typed("switch call foo --body hello").want(t, 0, "hello\n")
	typed("switch call foo --body 'hello\n'").want(t, 0, "hello\n")
	typed("switch call foo").want(t, 0, "") // a terminal is not read
	if r := typed("switch list"); !strings.HasPrefix(r.out, "QUEUE  STATE   WAITING  LEASED  SIZE  CONSUMERS  AGE\nfoo    served        0       0   0 B          1\n") {
		t.Errorf("%q", r.out)
	}
	typed("switch list --prefix none").want(t, 0, "no queue is being served; list --all names the others\n")
	typed("switch nope").want(t, 2, "switch: there is no verb \"nope\"\n  see: switch help\n")
}

// TestServerOutlivesDaemon: who serves a queue comes back to a switch that was
// started again.
func TestServerOutlivesDaemon(t *testing.T) {
	first := startDaemon(t)
	server := first.start(t, "serve", "foo", "--echo")
	first.run(t, "call", "foo", "--body", "1").want(t, 0, "1")
	first.signal(t, syscall.SIGTERM)
	first.wait(t)
	second := startDaemon(t, "--listen", first.addr)
	second.run(t, "call", "foo", "--body", "2", "--timeout", "20s").want(t, 0, "2")
	server.signal(t, syscall.SIGTERM)
	if r := server.wait(t); r.code != 0 {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
}
