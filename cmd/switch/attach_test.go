package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/d3b0a776/switch/server/datadir"
)

func TestCallWithKey(t *testing.T) {
	d := startDaemon(t)
	first := d.start(t, "call", "foo", "--key", "k", "--body", "pay")
	second := d.start(t, "call", "foo", "--key", "k", "--body", "pay")
	eventually(t, "a request", func() bool { return strings.Contains(d.run(t, "diagnostics").out, "foo: 1 waiting") })
	d.run(t, "call", "foo", "--key", "k", "--body", "pay", "--timeout", "200ms").says(t, 68, "200ms")
	// Each run answers something else.
	d.start(t, "serve", "foo", "--", "sh", "-c", "cat; od -An -N8 -tx8 /dev/urandom")
	one := first.wait(t)
	one.says(t, 0)
	if one.out == "pay" || !strings.HasPrefix(one.out, "pay") {
		t.Fatalf("the reply is %q", one.out)
	}
	second.wait(t).want(t, 0, one.out)
	d.run(t, "call", "--key=k", "--key-ttl", "1h", "--body", "pay", "foo").want(t, 0, one.out)
	d.run(t, "call", "foo", "--key", "k", "--body", "more").says(t, 73, "another body")
	if other := d.run(t, "call", "foo", "--key", "l", "--body", "pay"); other.out == one.out {
		t.Error("another key has the same reply")
	}
	d.run(t, "call", "foo", "--body", "x", "--stream", "--key", "k").says(t, 2, "not kept")
	d.run(t, "call", "foo", "--body", "x", "--stream", "--detach").says(t, 2, "not kept")
	for _, how := range []string{"--detach", "--key-ttl=1m", "--timeout=10ms"} {
		d.run(t, "call", "foo", "--body", "x", "--key", "", how).says(t, 2, "--key is empty")
	}
	d.run(t, "call", "foo", "--body", "x", "--key-ttl", "1m").says(t, 2, "--key-ttl without --key")
	d.run(t, "call", "foo", "--body", "x", "--key", "k", "--key-ttl", "10ms").says(t, 2, "from 1s to 24h")
	d.run(t, "call", "foo", "--body", "x", "--key", strings.Repeat("k", 256)).says(t, 67, "at most 255 bytes")
}

func TestDetachAndAttach(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d := startDaemon(t, "--data-dir", dir)
	id := strings.TrimSpace(d.run(t, "call", "foo", "--body", "hello", "--detach").out)
	fails := decode[detached](t, d.run(t, "call", "bar", "--body", "x", "--detach", "--key", "k", "-o", "json"))
	if id == "" || fails.Queue != "bar" || fails.MessageID == "" {
		t.Fatalf("%q, %+v", id, fails)
	}
	waits := d.start(t, "attach", id)
	d.run(t, "attach", id, "--timeout", "200ms").says(t, 68, id, "200ms", "goes on")
	waits.signal(t, syscall.SIGINT)
	waits.wait(t).want(t, 130, "")

	// The switch is killed: the calls are there when it is back, and so are their
	// replies after that.
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	d = startDaemon(t, "--data-dir", dir)
	waits = d.start(t, "attach", "--timeout", "20s", id)
	servers := []*process{d.start(t, "serve", "foo", "--echo"), d.start(t, "serve", "bar", "--", "sh", "-c", "echo no >&2; exit 73")}
	waits.wait(t).want(t, 0, "hello")
	d.run(t, "attach", fails.MessageID).says(t, 73, "handler: no")
	for _, p := range servers {
		p.signal(t, syscall.SIGTERM)
		p.wait(t)
	}
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	d = startDaemon(t, "--data-dir", dir)
	d.run(t, "attach", id).want(t, 0, "hello")
	if doc := decode[reply](t, d.run(t, "attach", id, "-o", "json")); doc.Body == nil || *doc.Body != "hello" {
		t.Errorf("%+v", doc)
	}
	d.run(t, "attach", fails.MessageID).says(t, 73)
	d.run(t, "attach", "0-1-1").says(t, 69, "there is no call 0-1-1")
	d.run(t, "attach", "x").says(t, 67, "x")
	d.run(t, "attach").says(t, 2, "ID is missing")

	// What a directory shows of them.
	tar := filepath.Join(t.TempDir(), "b.tar")
	d.run(t, "backup", tar).says(t, 0)
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	d.run(t, "check", dir).says(t, 0)
	if r := decode[datadir.Report](t, d.run(t, "check", dir, "-o", "json")); r.Keyed != 2 || r.Messages != 0 {
		t.Errorf("%+v", r)
	}
	if out := d.run(t, "dump", dir, "--queue", "foo").out; !strings.Contains(out, "call\tfoo\t"+id) || !strings.Contains(out, "answered") || strings.Contains(out, "\tk\t") {
		t.Errorf("the dump of foo:\n%s", out)
	}
	if out := d.run(t, "dump", dir, "-o", "jsonl").out; !strings.Contains(out, `"call":{"queue":"bar","key":"k"`) || !strings.Contains(out, `"failed":true`) {
		t.Errorf("the dump:\n%s", out)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	d.run(t, "restore", tar, "--data-dir", restored).says(t, 0)
	d = startDaemon(t, "--data-dir", restored)
	d.run(t, "attach", id).want(t, 0, "hello")
}
