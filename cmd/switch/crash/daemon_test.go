package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A daemon is a switch that lives more than once: always on the same directory
// and the same port. The goroutine that starts and ends it is the test's.
type daemon struct {
	dir   string
	addr  string
	flags []string
	under []string // a command to run it under, such as strace

	*life // the present one, or the last
}

// A life is one process of a daemon.
type life struct {
	cmd     *exec.Cmd
	journal *journal
	done    chan struct{} // closed when the process has been waited for
}

// newDaemon prepares a daemon on an empty directory; it is not started yet.
func newDaemon(t *testing.T, flags ...string) *daemon {
	t.Helper()
	d := &daemon{dir: t.TempDir(), addr: freeAddr(t), flags: flags}
	t.Cleanup(func() { d.cleanUp(t) })
	return d
}

// freeAddr finds a port that stays ours while the daemon is down: one from below
// the range from which the system gives ports to those who dial.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_240+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start begins a life, and waits until the switch listens.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	d.launch(t)
	d.awaitReady(t)
}

// launch begins a life.
func (d *daemon) launch(t *testing.T) {
	t.Helper()
	argv := append(append([]string{}, d.under...), daemonBinary, "serve", "--data-dir", d.dir, "--listen", d.addr, "--log-format", "json")
	argv = append(argv, d.flags...)
	l := &life{cmd: exec.Command(argv[0], argv[1:]...), journal: newJournal(), done: make(chan struct{})}
	l.cmd.Stdout, l.cmd.Stderr = l.journal, l.journal
	l.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.life = l
	go func() { // ends with the process
		defer close(l.done)
		_ = l.cmd.Wait()
	}()
}

func (d *daemon) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-d.journal.listening:
	case <-d.done:
		t.Fatalf("the switch ended instead of listening: %s\n%s", d.cmd.ProcessState, d.journal)
	case <-time.After(patience):
		t.Fatalf("the switch does not listen:\n%s", d.journal)
	}
}

// kill ends the life as a crash of the process does.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGKILL)
	d.awaitEnd(t)
	d.checkJournal(t)
}

// terminate ends the life as a service manager does.
func (d *daemon) terminate(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	d.awaitEnd(t)
	d.checkJournal(t)
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit %d on SIGTERM\n%s", code, d.journal)
	}
}

func (d *daemon) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: it had ended by itself, %s\n%s", s, d.cmd.ProcessState, d.journal)
	}
}

func (d *daemon) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		t.Fatalf("the switch does not end\n%s", d.journal)
	}
}

// checkJournal looks for what no life may have logged.
func (d *daemon) checkJournal(t *testing.T) {
	t.Helper()
	for _, bad := range []string{"DATA RACE", "panic:", `"level":"ERROR"`} {
		if strings.Contains(d.journal.String(), bad) {
			t.Fatalf("the switch logged %q:\n%s", bad, d.journal)
		}
	}
}

// cleanUp ends the last life.
func (d *daemon) cleanUp(t *testing.T) {
	if d.life == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	<-d.done
	if t.Failed() {
		t.Logf("the last life's log:\n%s", d.journal)
	}
}

// client makes a client of the daemon, which is closed with the test.
func (d *daemon) client(t *testing.T, name string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addr: d.addr, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A journal is what a life logs.
type journal struct {
	listening chan struct{} // closed when it says so

	mu   sync.Mutex
	text bytes.Buffer
	read int // up to here it was looked at
	told bool
}

func newJournal() *journal { return &journal{listening: make(chan struct{})} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	for !j.told {
		line, _, whole := bytes.Cut(j.text.Bytes()[j.read:], []byte("\n"))
		if !whole {
			break
		}
		j.read += len(line) + 1
		var r struct{ Msg string }
		if json.Unmarshal(line, &r) == nil && r.Msg == "listening" {
			j.told = true
			close(j.listening)
		}
	}
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// lastLine is the message and the error of the last line.
func (j *journal) lastLine() (msg, cause string) {
	lines := strings.Split(strings.TrimSpace(j.String()), "\n")
	var r struct{ Msg, Err string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return lines[len(lines)-1], ""
	}
	return r.Msg, r.Err
}
