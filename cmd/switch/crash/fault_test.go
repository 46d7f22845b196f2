package crash_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// TestAFailingDiskEndsTheSwitch has strace fail one call of the store, at
// several moments. The process ends within a second with exit code 1 and the
// reason as the last line of its log. After the fault nothing is answered OK,
// and after the next start everything is there that was.
func TestAFailingDiskEndsTheSwitch(t *testing.T) {
	const wal = "*.log"
	for _, f := range []struct {
		inject string
		file   string // only calls on such files; empty: on any
		body   int    // bytes of each message
		cause  string
	}{
		{"fdatasync:error=EIO:when=5", "", 0, "input/output error"},
		{"fdatasync:error=EIO:when=12", "", 0, "input/output error"},
		{"fdatasync:error=EIO:when=30", "", 0, "input/output error"},
		{"fdatasync:error=ENOSPC:when=8", wal, 0, "no space left on device"},
		{"write,pwrite64,writev:error=EIO:when=9", wal, 0, "input/output error"},
		{"write,pwrite64,writev:error=ENOSPC:when=20", wal, 0, "no space left on device"},
		// With these, memory is written to a table, and the log goes on in a second file.
		{"fdatasync,fsync:error=EIO:when=1", "*.sst", 60_000, "input/output error"},
		{"fdatasync:error=EIO:when=1", "000007.log", 60_000, "input/output error"},
	} {
		t.Run(fmt.Sprintf("%s %s", f.inject, f.file), func(t *testing.T) {
			d := newDaemon(t)
			args := []string{"-e", "inject=" + f.inject, "-e", watched}
			args = append(args, d.only(f.file)...)
			testFault(t, d, d.traced(t, args...), f.body, f.cause)
		})
	}
}

// TestAFullDiskHeals has the first table that each thread writes not fit on the
// disk. That is the one failure that is no end: what the table holds is in the
// log, too, and there may be room again. Meanwhile Sends wait.
func TestAFullDiskHeals(t *testing.T) {
	d := newDaemon(t)
	d.traced(t, append(d.only("*.sst"), "-e", "inject=write,pwrite64,writev:error=ENOSPC:when=1", "-e", watched)...)
	d.start(t)
	c := d.client(t, "producer")
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	full := func() bool { return strings.Contains(d.journal.String(), "the disk is full") }
	send := func(body []byte) (string, error) {
		r, err := c.Send(t.Context(), "q", client.Message{Body: body})
		return r.MessageID, err
	}
	var ids []string
	for len(ids) < 5000 && !full() {
		marks := make([]string, 50)
		for i := range marks {
			marks[i] = fmt.Sprintf("%08d%s", len(ids)+i, strings.Repeat("-", 30_000))
		}
		ids = append(ids, sendMarked(t, marks, 4, send)...)
	}
	if !full() {
		t.Errorf("%d messages fit, and the switch does not say that the disk was full:\n%s", len(ids), d.journal)
	}
	ids = append(ids, sendMarked(t, []string{"after", "that"}, 1, send)...)
	_ = c.Close()
	d.kill(t)
	d.under = nil
	d.start(t)
	drained := drainIDs(t, d, "q")
	for _, id := range ids {
		if !drained[id] {
			t.Errorf("message %s was acknowledged, and is lost", id)
		}
	}
}

// faultBound is how long a test sends until something fails.
const faultBound = 8 * time.Second

func testFault(t *testing.T, d *daemon, log string, body int, cause string) {
	d.start(t)
	c := d.client(t, "producer")
	var sent map[string]string
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{}); err != nil {
		t.Logf("it failed before there was a queue: %v", err)
	} else {
		sent = sendUntilEnd(t, d, c, body)
	}
	select {
	case <-d.done:
	case <-time.After(time.Second):
		t.Fatalf("nothing has failed in %v, or the switch goes on", faultBound)
	}

	calls, ended := readTrace(t, log)
	fault := (*tracedCall)(nil)
	for _, call := range calls {
		if call.injected {
			fault = call
			break
		}
	}
	switch {
	case fault == nil:
		t.Fatalf("no call has failed\n%s", d.journal)
	case ended.Sub(fault.began) > time.Second:
		t.Errorf("the process ended %v after %s failed", ended.Sub(fault.began), fault.name)
	}
	for id, mark := range sent {
		m, answer := coverOf(calls, mark), firstWrite(calls, idPattern(id))
		if answer >= 0 && (m.synced < 0 || m.synced > answer) {
			t.Errorf("message %s: it was answered OK, and was not synced", id)
		}
	}
	msg, err := d.journal.lastLine()
	if code := d.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(msg+err, cause) {
		t.Errorf("exit %d, the last line says %q, %q; want exit 1 and %q", code, msg, err, cause)
	}
	t.Logf("%d messages were acknowledged; %s failed, and the process ended %v later, saying %q, %q",
		len(sent), fault.name, ended.Sub(fault.began).Round(time.Millisecond), msg, err)

	d.under = nil
	d.start(t)
	if len(sent) == 0 {
		return
	}
	drained := drainIDs(t, d, "q")
	for id := range sent {
		if !drained[id] {
			t.Errorf("message %s was acknowledged, and is lost", id)
		}
	}
}

// sendUntilEnd sends from a few goroutines until the switch ends, and returns
// the mark of each message that was acknowledged.
func sendUntilEnd(t *testing.T, d *daemon, c *client.Client, body int) map[string]string {
	t.Helper()
	type ok struct{ id, mark string }
	all := make(chan []ok)
	const senders = 4
	ctx, cancel := context.WithTimeout(t.Context(), faultBound)
	defer cancel()
	go func() { // ends with the switch
		<-d.done
		cancel()
	}()
	for s := range senders {
		go func() { // sends what it has when the switch has ended
			var mine []ok
			for i := 0; ctx.Err() == nil; i++ {
				mark := fmt.Sprintf("<mark %d.%d>", s, i)
				r, err := c.Send(ctx, "q", client.Message{Body: []byte(mark + strings.Repeat("-", 40+body) + mark)})
				if err == nil {
					mine = append(mine, ok{r.MessageID, mark})
				}
			}
			all <- mine
		}()
	}
	sent := map[string]string{}
	for range senders {
		for _, o := range <-all {
			sent[o.id] = o.mark
		}
	}
	return sent
}

// drainIDs takes and acks everything in a queue.
func drainIDs(t *testing.T, d *daemon, queue string) map[string]bool {
	t.Helper()
	c := d.client(t, "drainer")
	got := map[string]bool{}
	info, err := c.Admin().Describe(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	left := info.Summary.Waiting + info.Summary.Leased
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range c.Consume(ctx, queue, client.ConsumeOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[m.MessageID] = true
		_ = m.Ack()
		if left--; left == 0 {
			break
		}
	}
	return got
}
