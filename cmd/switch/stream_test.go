package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
)

// conversation is a call --stream whose input a test writes as it goes.
type conversation struct {
	*process
	in io.WriteCloser
}

func (d *daemon) converse(t *testing.T, args ...string) *conversation {
	t.Helper()
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, append([]string{"switch", "call", "--stream"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &conversation{launch(t, cmd), in}
}

// says writes text, and waits until all of the output is want.
func (c *conversation) says(t *testing.T, text, want string) {
	t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("the output %q", want), func() bool { return c.out.String() == want })
}

// What comes goes out before the input ends, both ways, through each kind of server.
func TestCallStreamsAsItComes(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "echo", "--echo")
	d.start(t, "serve", "cat", "--program", "/bin/cat")
	d.serveShell(t, "lines", `while read -r line; do echo "got $line"; done; echo over`)
	for queue, want := range map[string][3]string{"echo": {"one\n", "two\n", ""}, "cat": {"one\n", "two\n", ""}, "lines": {"got one\n", "got two\n", "over\n"}} {
		c := d.converse(t, queue)
		c.says(t, "one\n", want[0])
		c.says(t, "two\n", want[0]+want[1])
		if err := c.in.Close(); err != nil {
			t.Fatal(err)
		}
		c.wait(t).want(t, 0, want[0]+want[1]+want[2])
	}
	d.run(t, "call", "--stream", "cat", "--body", "asked").want(t, 0, "asked")
	d.input(t, "plain", "call", "cat").want(t, 0, "plain")
	d.run(t, "call", "--stream", "cat", "--body", "x", "-o", "jsonl").want(t, 0, `{"body":"x"}`+"\n"+`{"end":true,"body":""}`+"\n")
	d.run(t, "call", "--stream", "cat", "-o", "json").says(t, 2, "-o jsonl")
}

func TestStreamedProgramsEnd(t *testing.T) {
	d := startDaemon(t)
	d.serveShell(t, "fails", `cat; echo "no such page" >&2; exit 69`)
	d.input(t, "half", "call", "--stream", "fails").says(t, 69, "no such page")
	d.input(t, "half", "call", "--stream", "fails").want(t, 69, "half")
	d.serveShell(t, "deaf", `echo enough`)
	c := d.converse(t, "deaf") // it never reads, and the input does not end
	c.wait(t).want(t, 0, "enough\n")
	d.serveShell(t, "head", `read -r line; echo "$line"`)
	d.input(t, "first\n"+strings.Repeat("more\n", 100_000), "call", "--stream", "head").want(t, 0, "first\n")
	d.run(t, "call", "--stream", "head", "--file", "/nowhere").says(t, 1, "/nowhere")
}

// What is longer than the switch takes goes in smaller parts, both ways.
func TestPartsFitTheSwitch(t *testing.T) {
	d := startDaemon(t, "--max-payload", "16384")
	d.start(t, "serve", "cat", "--program", "/bin/cat")
	text := strings.Repeat("0123456789", 10_000)
	d.input(t, text, "call", "--stream", "cat").want(t, 0, text)
}

// A reader that is slow gets all, also of a program that has long exited.
func TestASlowReaderGetsAllOfAProgram(t *testing.T) {
	d := startDaemon(t)
	d.serveShell(t, "big", `head -c 1220000 /dev/zero`)
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, "sh", "-c", `"$0" call --stream big --body "" | (sleep 4; wc -c)`, "switch")
	launch(t, cmd).wait(t).want(t, 0, "1220000\n")
}

// A stream that is given up ends the program, and one that stops ends with its time.
func TestStreamsAreGivenUp(t *testing.T) {
	d := startDaemon(t)
	marks := t.TempDir()
	d.serveShell(t, "q", `trap 'touch `+marks+`/ended; exit 0' TERM; echo working; while :; do sleep 0.1; done`)
	c := d.converse(t, "q")
	c.says(t, "", "working\n")
	c.signal(t, syscall.SIGINT)
	c.wait(t)
	eventually(t, "the end of the program", func() bool { return exists(marks + "/ended") })
	if err := os.Remove(marks + "/ended"); err != nil {
		t.Fatal(err)
	}
	d.run(t, "call", "--stream", "q", "--timeout", "300ms").says(t, 68, "within 300ms")
	eventually(t, "the end of the program", func() bool { return exists(marks + "/ended") })
}

// A large body passes in parts, and the daemon takes no more memory for it.
func TestALargeBodyPassesInBoundedMemory(t *testing.T) {
	size, most := 64<<20, 48<<20
	if raceEnabled {
		most *= 4 // the detector's own memory goes with the daemon's
	}
	if os.Getenv("SWITCH_SLOW") != "" {
		size = 1 << 30
	}
	d := startDaemon(t)
	d.start(t, "serve", "cat", "--program", "/bin/cat")
	d.served(t, "cat")
	d.run(t, "call", "--stream", "cat", "--body", "warm").want(t, 0, "warm")
	before := peakMemory(t, d.cmd.Process.Pid)
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, "switch", "call", "--stream", "cat")
	random := rand.NewChaCha8([32]byte{1})
	sent, got := sha256.New(), sha256.New()
	cmd.Stdin = io.TeeReader(io.LimitReader(random, int64(size)), sent)
	cmd.Stdout = got
	p := launch(t, cmd)
	<-p.done // however long that takes
	if r := p.wait(t); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("what came back is not what was sent")
	}
	after := peakMemory(t, d.cmd.Process.Pid)
	if after-before > most {
		t.Errorf("for %d MiB there and back the daemon's peak rose from %d to %d MiB", size>>20, before>>20, after>>20)
	}
	t.Logf("%d MiB there and back: the daemon's peak memory rose from %.1f to %.1f MiB", size>>20, float64(before)/(1<<20), float64(after)/(1<<20))
}

// peakMemory is the most that a process ever had in memory, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("the system does not tell how much memory a process takes: %v", err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	kib := 0
	if _, err := fmt.Sscan(peak, &kib); err != nil {
		t.Skipf("no peak in %s", status)
	}
	return kib << 10
}
