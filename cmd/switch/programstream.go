package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/d3b0a776/switch/rpc"
)

// stream runs the program for a call whose request and reply come in parts: they are
// its stdin and its stdout, as they come. How it ends is told as for other calls, and
// the reply after the parts is empty.
func (p *program) stream(ctx context.Context, req *rpc.Request) ([]byte, error) {
	s := req.Stream()
	lines := &lineWriter{p: p, prefix: linePrefix(req)}
	out, stdout, err := newPartWriter(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.argv[0], p.argv[1:]...) // not CommandContext, which ends the leader alone
	cmd.Env = p.environment(ctx, req)
	cmd.Stdout, cmd.Stderr = stdout, lines // a file, so that Wait does not wait for who reads it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		_, _ = stdout.Close(), out.from.Close()
		return nil, err
	}
	var sending, feeding sync.WaitGroup
	sending.Go(out.copy)                    // ends with the output, or with s
	feeding.Go(func() { feed(stdin, req) }) // ends when the program does not read, or s is closed
	err = runGroup(ctx, cmd)
	_ = stdin.Close() // it is, unless the program did not start
	_ = stdout.Close()
	out.exited()
	sending.Wait()
	_ = s.Close()
	feeding.Wait()
	lines.flush()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.err != nil:
		return nil, out.err
	}
	return nil, outcome(cmd, err, lines.last)
}

// feed writes the request and its parts to a program, until it has enough.
func feed(stdin io.WriteCloser, req *rpc.Request) {
	defer func() { _ = stdin.Close() }() // the program sees the end
	body := req.Body
	for {
		if len(body) > 0 {
			if _, err := stdin.Write(body); err != nil {
				return
			}
		}
		part, err := req.Stream().Receive()
		if err != nil {
			return
		}
		body = part.Body
	}
}

// partWriter sends what a program writes. It waits for the receiver, and so does the
// program. When the program has exited, what its children write is waited for as long
// as runGroup does; to wait for the receiver does not count.
type partWriter struct {
	s    *rpc.Stream
	from *os.File      // closed by copy
	gone chan struct{} // closed when the program has exited
	err  error         // why not all was sent; written by copy
}

// newPartWriter makes one, and the pipe for the program to write to.
func newPartWriter(s *rpc.Stream) (*partWriter, *os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &partWriter{s: s, from: from, gone: make(chan struct{})}, to, nil
}

// exited says that the program has.
func (w *partWriter) exited() {
	close(w.gone)
	_ = w.from.SetReadDeadline(time.Now().Add(killDelay)) // for a read that has begun
}

// copy sends until the end of the output. When the receiver takes no more, the program
// gets a SIGPIPE.
func (w *partWriter) copy() {
	defer func() { _ = w.from.Close() }() // it was only read
	buf, left := make([]byte, 32<<10), killDelay
	for {
		began, gone := time.Now(), false
		select {
		case <-w.gone:
			gone = true
			_ = w.from.SetReadDeadline(began.Add(left))
		default:
		}
		n, err := w.from.Read(buf)
		if gone {
			left -= time.Since(began)
		}
		if n > 0 {
			if w.err = sendText(w.s, buf[:n]); w.err != nil {
				return
			}
		}
		if err != nil { // the end, or its time is up
			return
		}
	}
}
