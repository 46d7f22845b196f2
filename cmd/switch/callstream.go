package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// chunkBytes is the largest part that call --stream makes of its input: what comes
// is sent as it comes, and no read is larger than a pipe's buffer.
const chunkBytes = 64 << 10

// callStream makes the call of --stream: --body travels with the request, other input
// as parts.
func (sh *shell) callStream(c *cli.Context, caller *rpc.Caller, req rpc.Request, opts []rpc.CallOption) error {
	input, err := sh.input(c)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }() // it was only read
	s, err := caller.Stream(c.Context, req, opts...)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // without effect after the reply
	failed := make(chan error, 1)    // gets why the input can't be read; never closed
	go func() {                      // the sender; a read of standard input ends with the process
		if err := sendAll(s, input); err != nil {
			failed <- err
			_ = s.Close()
		}
	}()
	err = sh.printStream(s)
	select {
	case broken := <-failed:
		return broken
	default:
		return err
	}
}

// input is what the parts of a stream are made of; nothing if the request has it all.
func (sh *shell) input(c *cli.Context) (io.ReadCloser, error) {
	file := c.String("file")
	switch {
	case c.IsSet("body") && c.IsSet("file"):
		return nil, usage("--body and --file exclude each other")
	case c.IsSet("body"), file == "" && sh.inTerm:
		return io.NopCloser(bytes.NewReader(nil)), nil
	case file == "-", file == "":
		return io.NopCloser(sh.in), nil
	}
	return os.Open(file)
}

// sendAll sends what it reads, as it comes. An error ends the call: what else goes
// wrong with it, its receiver knows.
func sendAll(s *rpc.Stream, from io.Reader) error {
	buf := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buf)
		if sent := sendText(s, buf[:n]); errors.Is(sent, io.EOF) {
			return nil
		} else if sent != nil {
			return sent // to go on would leave it out
		}
		switch {
		case errors.Is(err, io.EOF), noInput(err):
			return s.CloseSend()
		case err != nil:
			return fmt.Errorf("read the input: %w", err)
		}
	}
}

// sendText sends b in parts that the switch takes.
func sendText(s *rpc.Stream, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	err := s.Send(rpc.Part{Body: b})
	if half := len(b) / 2; half > 0 && errors.Is(err, client.ErrPayloadTooLarge) { // it was not sent
		if err = sendText(s, b[:half]); err == nil {
			err = sendText(s, b[half:])
		}
	}
	return err
}

// printStream prints parts as they come, and the reply behind them.
func (sh *shell) printStream(s *rpc.Stream) error {
	last := byte('\n')
	for {
		p, err := s.Receive()
		body, headers := p.Body, p.Headers
		over := errors.Is(err, io.EOF)
		if over {
			body, headers = s.Reply().Body, s.Reply().Headers
		} else if err != nil {
			return err
		}
		if sh.wantsJSON() {
			err = sh.json(streamed{Headers: headers, End: over, payload: newPayload(body)})
		} else {
			_, err = sh.out.Write(body)
		}
		if err != nil {
			return err
		}
		if len(body) > 0 {
			last = body[len(body)-1]
		}
		if over {
			break
		}
	}
	if sh.outTerm && !sh.wantsJSON() && last != '\n' {
		_, err := sh.out.Write([]byte("\n")) // lest the prompt stand behind it
		return err
	}
	return nil
}

// streamed is a part, or with End the reply, as a document.
type streamed struct {
	Headers map[string]string `json:"headers,omitempty"`
	End     bool              `json:"end,omitempty"`
	payload
}

// echoStream sends the request and its parts back, as they come.
func echoStream(req *rpc.Request) error {
	s := req.Stream()
	if len(req.Body) > 0 {
		if err := s.Send(rpc.Part{Body: req.Body, Headers: req.Headers}); err != nil {
			return err
		}
	}
	for {
		p, err := s.Receive()
		if err == nil {
			err = s.Send(p)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func echo(_ context.Context, req *rpc.Request) ([]byte, error) {
	if req.Stream() != nil {
		return nil, echoStream(req)
	}
	return req.Body, nil
}
