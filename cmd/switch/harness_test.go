package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of the command line run the real binary as people do: a daemon on a
// free port, and the verbs as processes. The binary is built once, in TestMain.

// bin is the directory with the binary under both its names.
var bin string

// patience is how long a test waits for what must come: much longer than it
// takes, as it is only waited for in full when the test fails.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "switch")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := 1
	if err := buildBinary(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func buildBinary() error {
	args := []string{"build", "-o", filepath.Join(bin, "switch")}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return os.Symlink("switch", filepath.Join(bin, "mswitch"))
}

// A daemon is a switch that runs for a test.
type daemon struct {
	*process
	addr string
}

// startDaemon runs a daemon on a free port of this machine; flags may say
// otherwise.
func startDaemon(t *testing.T, flags ...string) *daemon {
	t.Helper()
	if !strings.Contains(strings.Join(flags, " "), "--listen") {
		flags = append(flags, "--listen", "127.0.0.1:0")
	}
	p := start(t, nil, append([]string{"switch", "serve", "--log-format", "json"}, flags...)...)
	return &daemon{process: p, addr: p.listening(t)}
}

// listening waits until a daemon listens, and says where.
func (p *process) listening(t *testing.T) (addr string) {
	t.Helper()
	eventually(t, "a daemon that listens", func() bool {
		for line := range strings.Lines(p.err.String()) {
			var rec struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &rec) == nil && rec.Msg == "listening" {
				addr = rec.Addr
				return true
			}
		}
		if p.ended() {
			t.Fatalf("the daemon ended: %s", p.err)
		}
		return false
	})
	return addr
}

// run runs a verb to its end against the daemon.
func (d *daemon) run(t *testing.T, args ...string) result {
	t.Helper()
	return d.start(t, args...).wait(t)
}

// start starts a verb against the daemon.
func (d *daemon) start(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, []string{"SWITCH_ADDR=" + d.addr}, append([]string{"switch"}, args...)...)
}

// served waits until somebody serves the queue.
func (d *daemon) served(t *testing.T, queue string) {
	t.Helper()
	eventually(t, "a server", func() bool { return strings.Contains("\n"+d.run(t, "list", "-o", "raw").out, "\n"+queue+"\n") })
}

// input runs a verb with something to read.
func (d *daemon) input(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, append([]string{"switch"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return launch(t, cmd).wait(t)
}

// A process is one that a test has started. It does not outlive the test.
type process struct {
	cmd      *exec.Cmd
	out, err *buffer
	done     chan struct{} // closed when the process has been waited for
	exit     error         // of the wait; to be read after done
}

// A result is what became of a process.
type result struct {
	out, err string
	code     int // -1: a signal
}

// command is a command line in a plain environment, in which switch is ours.
func command(env []string, argv ...string) *exec.Cmd {
	path := argv[0]
	if !strings.Contains(path, "/") {
		if ours := filepath.Join(bin, path); exists(ours) {
			path = ours
		}
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Env = append([]string{
		"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + bin, "TMPDIR=" + os.TempDir(), "LC_ALL=C.UTF-8",
		// Under the race detector a process would sleep for a second before it ends.
		"GORACE=atexit_sleep_ms=0",
	}, env...)
	return cmd
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func start(t *testing.T, env []string, argv ...string) *process {
	t.Helper()
	return launch(t, command(env, argv...))
}

func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: &buffer{}, err: &buffer{}, done: make(chan struct{})}
	cmd.Stderr = p.err
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // waited for by the cleanup
		defer close(p.done)
		p.exit = cmd.Wait()
	}()
	t.Cleanup(func() {
		if !p.ended() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-p.done:
			case <-time.After(patience):
				_ = cmd.Process.Kill()
				<-p.done
				t.Errorf("%s did not end on SIGTERM", cmd)
			}
		}
		if strings.Contains(p.err.String(), "DATA RACE") {
			t.Error("there is a data race")
		}
		if t.Failed() {
			t.Logf("%s\n%s%s", cmd, p.out, p.err)
		}
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end of the process.
func (p *process) wait(t *testing.T) result {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.cmd)
	}
	if exit := (*exec.ExitError)(nil); p.exit != nil && !errors.As(p.exit, &exit) {
		t.Fatal(p.exit)
	}
	return result{p.out.String(), p.err.String(), p.cmd.ProcessState.ExitCode()}
}

// want checks what became of a verb.
func (r result) want(t *testing.T, code int, out string) {
	t.Helper()
	if r.code != code || r.out != out {
		t.Errorf("exit %d, printed %q; want exit %d, %q\n%s", r.code, r.out, code, out, r.err)
	}
}

// says checks that the complaint has all of these.
func (r result) says(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			t.Errorf("stderr has no %q:\n%s", text, r.err)
		}
	}
}

// eventually polls until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("there is never %s", what)
		}
	}
}

// A buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// decode reads a document that a verb has printed.
func decode[T any](t *testing.T, r result) (doc T) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, r.err)
	}
	dec := json.NewDecoder(strings.NewReader(r.out))
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, r.out)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("more than one document: %s", r.out)
	}
	return doc
}
