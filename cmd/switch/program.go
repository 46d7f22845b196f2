package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// A program answers requests by running an argv, one process for each:
//
//	stdin        the request's body
//	stdout       the reply, once the process has exited with 0
//	stderr       to our stderr, line by line, each behind the queue and the message id
//	exit 0       OK
//	exit 65–80   that gRPC status, code − 64; its message is the last line of stderr
//	any other    UNKNOWN, its message names the exit code or the signal
//
// No shell is involved. The environment is ours and SWITCH_ADDR, SWITCH_QUEUE,
// SWITCH_CALL (the message id: what the program calls by "switch call" ends with
// it), SWITCH_CORRELATION_ID (may be empty), SWITCH_ATTEMPT, SWITCH_DEADLINE (RFC 3339
// with nanoseconds; empty: none) and, when the request has a traceparent header,
// TRACEPARENT, with TRACESTATE.
//
// The process leads a process group of its own. When the caller cancels or its
// deadline passes, the group gets SIGTERM, and SIGKILL after killDelay.
type program struct {
	argv     []string
	addr     string // of the switch, for programs that call on
	maxReply int    // bytes
	err      io.Writer
	errMu    sync.Mutex // held for the length of one line
}

// killDelay is how long a group may take to end after SIGTERM: enough to remove
// a temporary file, short for a caller who wants to go on.
const killDelay = 2 * time.Second

// errReplyTooLarge stops a program that writes more than a reply may hold.
var errReplyTooLarge = errors.New("the reply is too large")

// newProgram finds what argv names, so that a typing error shows at once and not
// with the first request.
func newProgram(argv []string, addr string, maxReply int, stderr io.Writer) (*program, error) {
	path, err := exec.LookPath(argv[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", argv[0], errors.Unwrap(err))
	}
	return &program{argv: append([]string{path}, argv[1:]...), addr: addr, maxReply: maxReply, err: stderr}, nil
}

// handle is an rpc.Handler.
func (p *program) handle(ctx context.Context, req *rpc.Request) ([]byte, error) {
	if req.Stream() != nil {
		return p.stream(ctx, req)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reply := &replyBuffer{left: p.maxReply, full: func() { cancel(errReplyTooLarge) }}
	lines := &lineWriter{p: p, prefix: linePrefix(req)}
	cmd := exec.Command(p.argv[0], p.argv[1:]...) // not CommandContext, which ends the leader alone
	cmd.Env = p.environment(ctx, req)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(req.Body), reply, lines
	err := runGroup(ctx, cmd)
	lines.flush()
	switch {
	case errors.Is(context.Cause(ctx), errReplyTooLarge):
		return nil, status.Errorf(codes.ResourceExhausted, "the program's reply is larger than %d bytes; send less, or raise the switch's --max-payload", p.maxReply)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return reply.buf.Bytes(), outcome(cmd, err, lines.last)
}

// runGroup runs cmd as the leader of a process group, which ends when ctx does. If
// children of the program hold its pipes when it has ended by itself, they are
// waited for as long, but no longer, than after SIGTERM.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	leadGroup(cmd)
	cmd.WaitDelay = killDelay
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() { // ends the group when ctx ends; waited for below
		defer close(watched)
		select {
		case <-ctx.Done():
		case <-ended:
		}
		if ctx.Err() != nil {
			endGroup(cmd.Process, killDelay)
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-watched
	return err
}

// outcome turns the end of a process into a status.
func outcome(cmd *exec.Cmd, err error, lastLine string) error {
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it was well, though its children still write
		return nil
	case !errors.As(err, &exit):
		return status.Errorf(codes.Unknown, "the program did not run: %v", err)
	}
	n := exit.ExitCode()
	if n > exitRefused && n <= exitRefused+int(codes.Unauthenticated) {
		if lastLine == "" {
			lastLine = fmt.Sprintf("%s: %s", filepath.Base(cmd.Path), exit)
		}
		return status.Error(codes.Code(n-exitRefused), lastLine)
	}
	how := fmt.Sprintf("%s: %s", filepath.Base(cmd.Path), exit) // "exit status 3", "signal: killed"
	if lastLine != "" {
		how += ": " + lastLine
	}
	return status.Error(codes.Unknown, how)
}

// environment is ours, with what there is to say about the request.
func (p *program) environment(ctx context.Context, req *rpc.Request) []string {
	deadline := ""
	if t, ok := ctx.Deadline(); ok {
		deadline = t.Format(time.RFC3339Nano)
	}
	env := make([]string, 0, len(os.Environ())+7)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TRACEPARENT=") && !strings.HasPrefix(v, "TRACESTATE=") { // of another trace
			env = append(env, v)
		}
	}
	env = append(env,
		"SWITCH_ADDR="+p.addr,
		"SWITCH_QUEUE="+req.Queue,
		envCall+"="+req.MessageID,
		"SWITCH_CORRELATION_ID="+req.CorrelationID,
		fmt.Sprintf("SWITCH_ATTEMPT=%d", req.Attempt),
		"SWITCH_DEADLINE="+deadline)
	if parent := req.Headers["traceparent"]; traceparent.MatchString(parent) {
		env = append(env, "TRACEPARENT="+parent)
		if state := req.Headers["tracestate"]; tracestate.MatchString(state) {
			env = append(env, "TRACESTATE="+state)
		}
	}
	return env
}

// linePrefix stands before each line of a program's stderr.
func linePrefix(req *rpc.Request) string {
	return fmt.Sprintf("%s %s: ", plain(req.Queue), plain(req.MessageID))
}

// A replyBuffer takes what a program writes, up to a limit.
type replyBuffer struct {
	buf  bytes.Buffer
	left int
	full func()
}

// Write is part of io.Writer. Beyond the limit it fails, which closes the pipe.
func (b *replyBuffer) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.full()
		return 0, errReplyTooLarge
	}
	b.left -= len(p)
	return b.buf.Write(p)
}

// maxLine is where a line of stderr is broken: in the order of what log
// collectors take, and no invitation to fill our memory.
const maxLine = 4096

// A lineWriter passes a program's stderr on, whole lines at a time, so that the
// lines of programs that run at once do not mix.
type lineWriter struct {
	p       *program
	prefix  string
	partial []byte
	last    string // the last line that was not empty
}

// Write is part of io.Writer.
func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(w.partial); len(line) > room {
			line, rest, ended = b[:room], b[room:], true
		}
		w.partial = append(w.partial, line...)
		if ended {
			w.line()
		}
		b = rest
	}
	return n, nil
}

// flush passes on a last line that was not ended.
func (w *lineWriter) flush() {
	if len(w.partial) > 0 {
		w.line()
	}
}

func (w *lineWriter) line() {
	line := printable(strings.ToValidUTF8(strings.TrimSuffix(string(w.partial), "\r"), "\uFFFD"))
	w.partial = w.partial[:0]
	if line != "" {
		w.last = line
	}
	w.p.errMu.Lock()
	defer w.p.errMu.Unlock()
	_, _ = fmt.Fprintf(w.p.err, "%s%s\n", w.prefix, line)
}
