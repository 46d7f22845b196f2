package main

import (
	"net"
	"strings"
	"testing"
)

// TestQuickStart types the lines of the quick start, in a shell and as they
// are. Only where the switch listens comes from the environment, because the
// usual port may be taken.
func TestQuickStart(t *testing.T) {
	addr := freeAddr(t)
	env := []string{"SWITCH_LISTEN=" + addr, "SWITCH_ADDR=" + addr}
	typed := func(line string) *process {
		t.Helper()
		return start(t, env, "/bin/sh", "-c", "exec "+line)
	}

	daemon := typed("switch serve")
	eventually(t, "a daemon that listens", func() bool { return strings.Contains(daemon.err.String(), "msg=listening addr="+addr) })

	typed("switch list").wait(t).want(t, 0, "")

	call := typed("switch call foo --body hello")
	var blocked string
	eventually(t, "the queued message in the diagnostics", func() bool {
		blocked = typed("switch diagnostics").wait(t).out
		return strings.Contains(blocked, `"hello"`)
	})
	for _, text := range []string{"never started", "foo: 1 waiting", " ago", "call:", "waits for the reply; nobody serves foo"} {
		if !strings.Contains(blocked, text) {
			t.Errorf("diagnostics does not say %q:\n%s", text, blocked)
		}
	}
	if call.ended() {
		t.Error("the call did not wait for a server")
	}

	server := typed("switch serve foo --program /bin/cat")
	call.wait(t).want(t, 0, "hello")

	after := typed("switch diagnostics").wait(t)
	after.says(t, 0)
	if strings.Contains(after.out, `"hello"`) || !strings.Contains(after.out, "foo: empty; served by serve:") {
		t.Errorf("after the call diagnostics says:\n%s", after.out)
	}
	if server.ended() {
		t.Error("the server ended")
	}
}

// freeAddr is an address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
