package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"
)

// largestBody is more than any switch takes (64 MiB): what is longer need not be
// read to be refused.
const largestBody = 64 << 20

// body gives what a message is to carry: --body, or --file, or standard input
// unless that is a terminal. At a terminal it is empty.
func (sh *shell) body(c *cli.Context) ([]byte, error) {
	file := c.String("file")
	switch {
	case c.IsSet("body") && c.IsSet("file"):
		return nil, usage("--body and --file exclude each other")
	case c.IsSet("body"):
		return []byte(c.String("body")), nil
	case file == "-", file == "" && !sh.inTerm:
		return readBody(sh.in, "standard input")
	case file == "":
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return readBody(f, file)
}

// readBody reads a body to its end, or to where it is too long.
func readBody(r io.Reader, name string) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, largestBody+1))
	switch {
	case noInput(err):
		return nil, nil // nothing was to be sent
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(body) > largestBody:
		return nil, fmt.Errorf("%s is longer than %s, more than a switch takes; send a reference to it instead", name, byteSize(largestBody))
	}
	return body, nil
}

// noInput reports whether a read failed because there is no standard input.
func noInput(err error) bool {
	return errors.Is(err, os.ErrInvalid) || errors.Is(err, syscall.EBADF)
}
