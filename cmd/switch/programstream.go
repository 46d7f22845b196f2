package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"

	"github.com/d3b0a776/switch/rpc"
)

// stream runs the program for a call whose request and reply come in parts: they are
// its stdin and its stdout, as they come. How it ends is told as for other calls, and
// the reply after the parts is empty.
func (p *program) stream(ctx context.Context, req *rpc.Request) ([]byte, error) {
	s := req.Stream()
	lines := &lineWriter{p: p, prefix: linePrefix(req)}
	out := &partWriter{s: s}
	cmd := exec.Command(p.argv[0], p.argv[1:]...) // not CommandContext, which ends the leader alone
	cmd.Env = p.environment(ctx, req)
	cmd.Stdout, cmd.Stderr = out, lines
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(stdin, req) }) // ends when the program does not read, or s is closed
	err = runGroup(ctx, cmd)
	_ = stdin.Close() // it is, unless the program did not start
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
// program.
type partWriter struct {
	s   *rpc.Stream
	err error
}

// Write is part of io.Writer.
func (w *partWriter) Write(b []byte) (int, error) {
	if err := sendText(w.s, b); err != nil {
		w.err = errors.Join(w.err, err)
		return 0, err
	}
	return len(b), nil
}
