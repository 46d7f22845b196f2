package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCallBody(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo")
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.run(t, "call", "foo", "--body", "hello").want(t, 0, "hello")
	d.run(t, "call", "--body", "hello", "foo").want(t, 0, "hello")
	d.run(t, "call", "foo", "--body", "").want(t, 0, "")
	d.run(t, "call", "foo", "--body", "--timeout").want(t, 0, "--timeout")
	d.run(t, "call", "foo", "--file", file).want(t, 0, "from a file\n")
	d.input(t, "piped\x00\xff", "call", "foo").want(t, 0, "piped\x00\xff")
	d.input(t, "piped", "call", "foo", "--file", "-").want(t, 0, "piped")
	d.input(t, "not this", "call", "foo", "--body", "this").want(t, 0, "this")
	d.run(t, "call", "foo").want(t, 0, "")
	d.run(t, "call", "foo", "--body", "x", "--file", file).says(t, 2, "exclude each other")
	d.run(t, "call", "foo", "--file", "/no/such/file").says(t, 1, "/no/such/file")
}

func TestCallNames(t *testing.T) {
	d := startDaemon(t)
	for _, name := range []string{"a/b%2F c", "help", "--odd", "ünï", "h", "-", "list"} {
		d.start(t, "serve", "--echo", "--", name)
		d.run(t, "call", "--body", "x", "--", name).want(t, 0, "x")
	}
	for _, name := range []string{"help", "h", "list", "-"} {
		d.run(t, "call", name, "--body", "x").want(t, 0, "x")
	}
	d.run(t, "call", "").says(t, 2, "QUEUE is empty")
	d.run(t, "call", "a\nb").says(t, 67, "control character")
}

func TestCallJSON(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "foo", "--echo")
	type doc struct {
		Body   *string `json:"body"`
		Base64 []byte  `json:"body_base64"`
	}
	if r := decode[doc](t, d.run(t, "call", "foo", "--body", "<hello>", "-o", "json")); r.Body == nil || *r.Body != "<hello>" {
		t.Errorf("%v", r)
	}
	if r := decode[doc](t, d.run(t, "call", "foo", "--body", "", "-o", "json")); r.Body == nil || *r.Body != "" {
		t.Errorf("%v", r)
	}
	if r := decode[doc](t, d.input(t, "\xff\x00", "call", "foo", "-o", "jsonl")); r.Body != nil || string(r.Base64) != "\xff\x00" {
		t.Errorf("%v", r)
	}
}

func TestCallFails(t *testing.T) {
	d := startDaemon(t)
	began := time.Now()
	d.run(t, "call", "slow", "--timeout", "300ms").says(t, 68, "slow", "300ms")
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if out := d.run(t, "diagnostics").out; !strings.Contains(out, "slow: empty") {
		t.Errorf("the request was not withdrawn:\n%s", out)
	}
	d.run(t, "call", "nobody", "--fail-fast").says(t, 78, "nobody")
	d.run(t, "list", "--all", "-o", "raw").want(t, 0, "slow\n") // and no queue was made by that
	d.run(t, "call", "foo", "--header", "x").says(t, 2, "--header KEY=VALUE")
	d.run(t, "call", "foo", "--header", "switch-x=1").says(t, 67, "switch-")
	d.input(t, strings.Repeat("x", 1<<20+1), "call", "foo").says(t, 67, "1048576")
	d.run(t, "call").says(t, 2, "QUEUE is missing", "type: switch call QUEUE")
	d.run(t, "call", "foo", "bar").says(t, 2, `call QUEUE takes no "bar"`)
}

// TestCallWithoutDaemon: nobody is waited for.
func TestCallWithoutDaemon(t *testing.T) {
	addr := freeAddr(t)
	env := []string{"SWITCH_ADDR=" + addr}
	for _, typed := range []string{"call foo --body x", "serve foo --echo", "list", "send foo --body x", "recv foo", "diagnostics", "tail -f"} {
		began := time.Now()
		start(t, env, append([]string{"switch"}, strings.Fields(typed)...)...).wait(t).says(t, 78, addr, "switch serve")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", typed, took)
		}
	}
	sock := "unix://" + filepath.Join(t.TempDir(), "none")
	start(t, nil, "switch", "call", "foo", "--addr", sock).wait(t).says(t, 78, sock)
	start(t, nil, "switch", "list", "--addr", "nowhere").wait(t).says(t, 2, `--addr "nowhere"`)
}

func TestCallInterrupted(t *testing.T) {
	d := startDaemon(t)
	for s, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		call := d.start(t, "call", "foo", "--body", "x")
		eventually(t, "a request", func() bool { return strings.Contains(d.run(t, "diagnostics").out, "foo: 1 waiting") })
		call.signal(t, s)
		call.wait(t).want(t, code, "")
		eventually(t, "a withdrawal", func() bool { return strings.Contains(d.run(t, "diagnostics").out, "foo: empty") })
	}
}

func TestHeadersMayHoldCommas(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "send", "foo", "--create", "--body", "", "-H", "a=1,b=2", "-H", "c==").says(t, 0)
	type doc struct{ Headers map[string]string }
	r := decode[doc](t, d.run(t, "recv", "foo", "-o", "json"))
	if r.Headers["a"] != "1,b=2" || r.Headers["c"] != "=" {
		t.Errorf("%v", r)
	}
}

func TestSendRecv(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "send", "foo", "--body", "x").says(t, 69, "foo")
	d.run(t, "create", "foo").says(t, 0)
	ids := map[string]bool{}
	for _, body := range []string{"one", "two", "three\n", "four"} {
		r := d.input(t, body, "send", "foo")
		r.says(t, 0)
		ids[strings.TrimSuffix(r.out, "\n")] = true
	}
	if len(ids) != 4 || ids[""] {
		t.Errorf("the ids are %v", ids)
	}
	d.run(t, "recv", "foo", "--no-ack").want(t, 0, "one")
	d.run(t, "recv", "foo").want(t, 0, "one")
	d.run(t, "recv", "foo", "--count", "3", "--no-ack").want(t, 0, "two\nthree\nfour\n")
	d.run(t, "recv", "foo", "--count", "2").want(t, 0, "two\nthree\n")
	d.run(t, "recv", "foo", "-n0", "--wait", "200ms").want(t, 0, "four\n")
	r := d.run(t, "recv", "foo", "--wait", "100ms")
	r.want(t, 68, "")
	r.says(t, 68, "nothing came to foo within 100ms")
	d.run(t, "recv", "foo", "--no-ack", "-n0").says(t, 2, "--no-ack needs a --count")
	d.run(t, "recv", "nope").says(t, 69, "nope")
	waits := d.start(t, "recv", "nope", "--create")
	eventually(t, "a consumer", func() bool { return strings.HasPrefix(d.run(t, "list").out, "nope\tserved") })
	d.run(t, "send", "nope", "--body", "late", "-o", "json").says(t, 0)
	waits.wait(t).want(t, 0, "late")
}

// TestRecvAcksWhatIsWritten: what could not be written is delivered again.
func TestRecvAcksWhatIsWritten(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "send", "foo", "--create", "--body", "precious").says(t, 0)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, "switch", "recv", "foo")
	cmd.Stdout = full
	launch(t, cmd).wait(t).says(t, 1, "no space")
	d.run(t, "recv", "foo").want(t, 0, "precious")
}

// TestRecvIntoAClosedPipe: who reads no more has not taken the message.
func TestRecvIntoAClosedPipe(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "send", "foo", "--create", "--body", "precious").says(t, 0)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, "switch", "recv", "foo")
	cmd.Stdout = w
	launch(t, cmd).wait(t).want(t, 141, "")
	d.run(t, "recv", "foo", "--wait", "5s").want(t, 0, "precious") // less than the grace
}

func TestRecvTakesTheRest(t *testing.T) {
	d := startDaemon(t)
	for range 40 {
		d.run(t, "send", "foo", "--create", "--body", "x").says(t, 0)
	}
	d.run(t, "recv", "foo", "--count", "3").want(t, 0, "x\nx\nx\n")
	if r := d.run(t, "list", "--all"); !strings.HasPrefix(r.out, "foo\tunserved\t37\t0\t37\t0\t") {
		t.Errorf("%q", r.out)
	}
}

// TestRequestToANamedQueue: a reply may go to a named queue.
func TestRequestToANamedQueue(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "create", "answers").says(t, 0)
	d.start(t, "serve", "foo", "--echo")
	eventually(t, "a server", func() bool { return d.run(t, "list").out != "" })
	d.run(t, "send", "foo", "--body", "x", "--reply-to", "answers", "--correlation-id", "17").says(t, 0)
	type doc struct {
		Body string
		ID   string `json:"correlation_id"`
	}
	if r := decode[doc](t, d.run(t, "recv", "answers", "-o", "json")); r.Body != "x" || r.ID != "17" {
		t.Errorf("%v", r)
	}
	d.run(t, "send", "foo", "--body", "x", "--reply-to", "no").says(t, 0)
}

func TestList(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "list").want(t, 0, "")
	d.run(t, "list", "-o", "json").want(t, 0, "[]\n")
	d.run(t, "list", "-o", "jsonl").want(t, 0, "")
	for _, q := range []string{"a.1", "a.2", "b"} {
		d.run(t, "create", q).says(t, 0)
	}
	d.start(t, "serve", "a.2", "--echo")
	d.start(t, "call", "c", "--body", "x") // owns a temporary queue
	eventually(t, "a server", func() bool { return d.run(t, "list", "-o", "raw").out == "a.2\n" })
	eventually(t, "a call", func() bool { return strings.Contains(d.run(t, "list", "--all").out, "c\tunserved\t1") })
	d.run(t, "list", "--all", "-o", "raw").want(t, 0, "a.1\na.2\nb\nc\n")
	d.run(t, "list", "--all", "--prefix", "a.", "-o", "raw").want(t, 0, "a.1\na.2\n")
	d.run(t, "list", "--all", "--prefix=zz").want(t, 0, "")
	if r := d.run(t, "list", "-at", "-o", "raw"); r.code != 2 {
		t.Errorf("-at: exit %d; short flags are not joined", r.code)
	}
	if r := d.run(t, "list", "-a", "-t", "-o", "raw"); !strings.Contains(r.out, "\ntmp.") {
		t.Errorf("no temporary queue: %q", r.out)
	}
	type doc struct {
		Queue     string
		Consumers int
	}
	docs := decode[[]doc](t, d.run(t, "list", "-o", "json"))
	if len(docs) != 1 || docs[0] != (doc{"a.2", 1}) {
		t.Errorf("%v", docs)
	}
}

func TestCreateDescribe(t *testing.T) {
	d := startDaemon(t)
	r := d.run(t, "create", "foo", "--durability", "memory", "--max-messages", "2", "--max-bytes", "1KiB", "--max-age", "1h",
		"--overflow", "reject", "--max-attempts", "3", "--dead-letter-queue", "graves", "--lease", "5s")
	r.want(t, 0, "")
	r.says(t, 0, "foo made")
	d.run(t, "create", "foo").says(t, 0, "was there already")
	d.run(t, "create", "foo", "--lease", "6s").says(t, 73, "foo")
	type doc struct {
		Queue   string
		Created bool
	}
	if got := decode[doc](t, d.run(t, "create", "bar", "--no-dead-letter", "--overflow", "drop-oldest", "-o", "json")); got != (doc{"bar", true}) {
		t.Errorf("%v", got)
	}
	out := d.run(t, "describe", "foo").out
	for _, line := range []string{"queue\tfoo\n", "durability\tmemory\n", "max age\t1h0m0s\n", "max attempts\t3\n", "dead letters\tgraves\n", "lease\t5s\n", "size\t0 B; at most 1 KiB\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("describe has no %q:\n%s", line, out)
		}
	}
	type description struct {
		Options struct {
			MaxMessages int `json:"max_messages"`
			LeaseMS     int `json:"lease_ms"`
		}
	}
	if got := decode[description](t, d.run(t, "describe", "foo", "-o", "json")); got.Options.MaxMessages != 2 || got.Options.LeaseMS != 5000 {
		t.Errorf("%v", got)
	}
	d.run(t, "send", "foo", "--body", "1").says(t, 0)
	d.run(t, "send", "foo", "--body", "2").says(t, 0)
	d.run(t, "send", "foo", "--body", "3").says(t, 72, "full", "max_messages")
	d.run(t, "describe", "nope").says(t, 69, "nope")
	d.run(t, "create", "x", "--durability", "durable").says(t, 73, "data directory")
	d.run(t, "create", "x", "--durability", "stone").says(t, 2, "one of memory, durable")
	d.run(t, "create", "x", "--overflow", "spill").says(t, 2, "one of reject, drop-oldest")
	d.run(t, "create", "x", "--no-dead-letter", "--dead-letter-queue", "y").says(t, 2, "exclude each other")
	d.run(t, "create", "x", "--lease", "1ms").says(t, 67, "lease")
	d.run(t, "create", "tmp.x").says(t, 67, "tmp.")
	d.run(t, "create", "x", "--max-attempts", "4294967297").says(t, 2, "at most 1000000")
	d.run(t, "create").says(t, 2, "QUEUE is missing")
}

func TestPeekAckPurgeDestroy(t *testing.T) {
	d := startDaemon(t)
	var ids []string
	for _, body := range []string{"one", "two", "three", "fo\tur\n"} {
		ids = append(ids, strings.TrimSpace(d.run(t, "send", "foo", "--create", "--body", body).out))
	}
	out := d.run(t, "peek", "foo", "--count", "2").out
	rows := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(rows) != 2 || !strings.HasPrefix(rows[0], ids[0]+"\twaiting\t") || !strings.HasSuffix(rows[0], "\t3\t\"one\"") || strings.Count(rows[1], "\t") != 6 {
		t.Errorf("%q", rows)
	}
	d.run(t, "peek", "foo", "-o", "raw").want(t, 0, "one\ntwo\nthree\nfo\tur\n")
	type doc struct {
		ID    string `json:"message_id"`
		State string
	}
	if docs := decode[[]doc](t, d.run(t, "peek", "foo", "-o", "json")); len(docs) != 4 || docs[1] != (doc{ids[1], "waiting"}) {
		t.Errorf("%v", docs)
	}
	d.run(t, "ack", "foo", ids[1]).says(t, 0, ids[1])
	d.run(t, "ack", "foo", ids[1]).says(t, 69, ids[1])
	d.run(t, "ack", "foo", "nonsense").says(t, 67, "nonsense")
	d.run(t, "ack", "foo").says(t, 2, "ID is missing")
	d.run(t, "peek", "foo", "-o", "raw").want(t, 0, "one\nthree\nfo\tur\n")
	type count struct{ Purged int }
	if got := decode[count](t, d.run(t, "purge", "foo", "-o", "json")); got.Purged != 3 {
		t.Errorf("%v", got)
	}
	d.run(t, "purge", "foo").says(t, 0, "0 messages taken off foo")
	d.run(t, "peek", "foo").want(t, 0, "")
	d.run(t, "peek", "foo", "-n", "0").says(t, 2, "from 1 to 1000")
	d.run(t, "send", "foo", "--body", "x").says(t, 0)
	d.run(t, "destroy", "foo").says(t, 0, "foo destroyed, with 1 message\n")
	d.run(t, "destroy", "foo").says(t, 69, "foo")
	d.run(t, "peek", "foo").says(t, 69, "foo")
	d.run(t, "purge", "foo").says(t, 69, "foo")
}

// TestAckTellsTheCaller: whose request is taken off its queue learns it at once.
func TestAckTellsTheCaller(t *testing.T) {
	d := startDaemon(t)
	type doc struct {
		ID string `json:"message_id"`
	}
	waiting := func() (call *process, id string) {
		t.Helper()
		call = d.start(t, "call", "foo", "--body", "x")
		eventually(t, "a request", func() bool {
			r := d.run(t, "peek", "foo", "-o", "jsonl")
			if r.code == 0 && r.out != "" {
				id = decode[doc](t, r).ID
			}
			return id != ""
		})
		return call, id
	}
	call, id := waiting()
	d.run(t, "ack", "foo", id).says(t, 0)
	call.wait(t).says(t, 74, "foo")
	call, _ = waiting()
	d.run(t, "purge", "foo").says(t, 0, "1 message taken")
	call.wait(t).says(t, 74)
	call, _ = waiting()
	d.run(t, "destroy", "foo").says(t, 0)
	call.wait(t).says(t, 69)
}

func TestShutdown(t *testing.T) {
	d := startDaemon(t)
	tail := d.start(t, "tail", "--follow")
	eventually(t, "the tail", func() bool { return strings.Contains(d.err.String(), "listening") })
	d.run(t, "shutdown", "--drain", "1s").says(t, 0, "ending")
	if r := d.wait(t); r.code != 0 {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	tail.wait(t).says(t, 78)
	d.run(t, "shutdown").says(t, 78, d.addr)
}

func TestErrorsAsJSON(t *testing.T) {
	d := startDaemon(t)
	type doc struct {
		Error struct {
			Exit                          int
			Code, Reason, Message, Origin string
		}
	}
	read := func(r result) doc {
		t.Helper()
		var got doc
		if err := json.Unmarshal([]byte(r.err), &got); err != nil {
			t.Fatalf("%v in %s", err, r.err)
		}
		return got
	}
	d.serveShell(t, "foo", "echo no such thing >&2; exit 69")
	r := d.run(t, "call", "foo", "-o", "json")
	if e := read(r).Error; r.code != 69 || e.Code != "NOT_FOUND" || e.Reason != "" || e.Origin != "handler" || !strings.Contains(e.Message, "no such thing") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	r = d.run(t, "describe", "nope", "-o", "json")
	e := read(r).Error
	if r.code != 69 || e.Exit != 69 || e.Code != "NOT_FOUND" || e.Reason != "QUEUE_NOT_FOUND" || !strings.Contains(e.Message, "nope") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

func TestVersion(t *testing.T) {
	type doc struct{ Version, Go, Platform string }
	v := decode[doc](t, start(t, nil, "switch", "version", "-o", "json").wait(t))
	if v.Version == "" || !strings.HasPrefix(v.Go, "go1") {
		t.Errorf("%v", v)
	}
	start(t, nil, "switch", "version").wait(t).want(t, 0, "switch "+v.Version+" ("+v.Go+", "+v.Platform+")\n")
	start(t, nil, "mswitch", "version").wait(t).want(t, 0, "mswitch "+v.Version+" ("+v.Go+", "+v.Platform+")\n")
}

// TestSecondName: the binary is the same under any name, and speaks of itself by
// the one it was called by.
func TestSecondName(t *testing.T) {
	start(t, nil, "mswitch", "clal").wait(t).says(t, 2, "mswitch: there is no verb", "did you mean: mswitch call")
	start(t, nil, "mswitch", "serve", "--echo").wait(t).says(t, 2, "type: mswitch serve QUEUE --echo")
	r := start(t, nil, "mswitch", "help").wait(t)
	if r.code != 0 || !strings.Contains(r.out, "mswitch VERB") {
		t.Errorf("exit %d\n%s", r.code, r.out)
	}
}

func TestHelp(t *testing.T) {
	all := start(t, nil, "switch", "--help").wait(t)
	all.says(t, 0)
	for _, c := range testApp().VisibleCommands() {
		if !strings.Contains(all.out, "\n  "+c.Name+" ") {
			t.Errorf("the help has no %s", c.Name)
		}
		if c.Name == "help" {
			continue
		}
		for _, typed := range [][]string{{"help", c.Name}, {c.Name, "--help"}, {c.Name, "-h"}} {
			r := start(t, nil, append([]string{"switch"}, typed...)...).wait(t)
			if r.code != 0 || r.err != "" || !strings.HasPrefix(r.out, "switch "+c.Name+": ") {
				t.Errorf("%v: exit %d\n%s%s", typed, r.code, r.out, r.err)
			}
			for line := range strings.Lines(r.out) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
					t.Errorf("%v: a line of %d columns: %s", typed, n, line)
				}
			}
		}
	}
	start(t, nil, "switch").wait(t).says(t, 2, "no verb is given", "switch VERB")
	start(t, nil, "switch", "help", "nope").wait(t).says(t, 2, `no verb "nope"`)
}
