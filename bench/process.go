package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to end by itself.
const patience = 8 * time.Second

// maxLine is the longest line that a child may print: a sample.
const maxLine = 1 << 20

// A process is a child: a broker, or this binary with a job. It is in a process
// group of its own, dies with its parent, and is waited for.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string   // what it printed; closed by the reading goroutine at the end of its output
	ended chan struct{} // closed by the reading goroutine when it was waited for
	log   string        // file with what it said on stderr
	child bool          // it is this binary, which ends when its input does
}

// forks runs functions on one thread that never ends. The kernel kills a child
// with Pdeathsig when the thread that made it ends, not the process.
var forks = sync.OnceValue(func() chan<- func() {
	calls := make(chan func()) // never closed
	// The forking goroutine lives as long as this process.
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

// startProcess starts a command, with its stderr in a file of dir. It dies with
// its parent, unless the command has attributes that say otherwise.
func startProcess(name string, cmd *exec.Cmd, dir string) (*process, error) {
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has it now
	cmd.Stderr = log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	cmd.SysProcAttr.Setpgid = true
	p := &process{name: name, cmd: cmd, lines: make(chan string, 64), ended: make(chan struct{}), log: log.Name()}
	p.child = slices.ContainsFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, jobVariable+"=") })
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	forks() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// The reading goroutine ends with the process; stop waits for it.
	go p.read(out)
	return p, nil
}

// startChild starts this binary with a job.
func startChild(name string, j job, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told, err := jobText(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), told)
	return startProcess(name, cmd, dir)
}

// read passes on what the child prints, drops what nobody reads in time, and
// waits for the child's end.
func (p *process) read(out io.Reader) {
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, maxLine)
	for scan.Scan() {
		select {
		case p.lines <- scan.Text():
		default: // a broker that chats
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line beyond maxLine
	close(p.lines)
	_ = p.cmd.Wait() // how it ended is in ProcessState
	close(p.ended)
}

// expect waits for a line that begins with a word, and answers the rest of it.
func (p *process) expect(ctx context.Context, word string) (string, error) {
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.ended
				return "", fmt.Errorf("%s ended (%v) before it was %q%s", p.name, p.cmd.ProcessState, word, p.said())
			}
			if complaint, bad := strings.CutPrefix(line, wordError+" "); bad {
				return "", fmt.Errorf("%s: %w", p.name, parseComplaint(complaint))
			}
			if rest, ok := strings.CutPrefix(line, word); ok {
				return strings.TrimSpace(rest), nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s was not %q in time: %w%s", p.name, word, ctx.Err(), p.said())
		}
	}
}

// complaint is what went wrong in a child, if it has said so.
func (p *process) complaint() error {
	for {
		select {
		case line, ok := <-p.lines:
			if text, bad := strings.CutPrefix(line, wordError+" "); bad {
				return parseComplaint(text)
			}
			if !ok {
				return nil
			}
		default:
			return nil
		}
	}
}

// ready waits until the child is connected.
func (p *process) ready(ctx context.Context) error {
	_, err := p.expect(ctx, wordReady)
	return err
}

// tell writes a line of JSON to the child.
func (p *process) tell(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell %s: %w%s", p.name, err, p.said())
	}
	return nil
}

// sample waits for what the child measured.
func (p *process) sample(ctx context.Context) (*sample, error) {
	text, err := p.expect(ctx, wordSample)
	if err != nil {
		return nil, err
	}
	s := new(sample)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("what %s measured: %w", p.name, err)
	}
	return s, nil
}

// said is the end of what the process wrote to stderr, for an error.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	return "; it said: " + string(bytes.TrimSpace(text[max(0, len(text)-600):]))
}

// stop ends the process and waits for it. A child of ours ends when its input
// does, or is killed if that takes too long. A broker is killed at once: nobody
// will miss its data.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.stdin.Close() // it may have ended already
	if !p.child {
		p.signal(syscall.SIGKILL)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for lines := p.lines; ; {
		select {
		case _, ok := <-lines:
			if !ok {
				lines = nil
			}
		case <-p.ended:
			return
		case <-late.C:
			p.signal(syscall.SIGKILL)
		}
	}
}

// signal reaches the whole group, unless it has ended.
func (p *process) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "bench: signal %s: %v\n", p.name, err)
	}
}
