package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// The exit codes. A refusal, by the switch or by who served the request, exits
// with its gRPC code above refused: 68 for DEADLINE_EXCEEDED, 69 for NOT_FOUND,
// 78 for UNAVAILABLE. That leaves sysexits(3)'s numbers their range, if not
// their meanings. A signal exits with its number above signalled, as shells do.
const (
	exitOK        = 0
	exitLocal     = 1
	exitUsage     = 2
	exitRefused   = 64
	exitSignalled = 128
)

// interruptedBy is the signal that ended the run.
type interruptedBy struct{ os.Signal }

func (s interruptedBy) Error() string { return s.String() }

// finish tells of the error, if there is one, and gives the exit code.
func (sh *shell) finish(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if sig := (interruptedBy{}); errors.As(context.Cause(ctx), &sig) && isCancelled(err) {
		if n, ok := sig.Signal.(syscall.Signal); ok {
			return exitSignalled + int(n)
		}
	}
	if errors.Is(err, syscall.EPIPE) { // who read our output has enough
		return exitSignalled + int(syscall.SIGPIPE)
	}
	sh.complain(err)
	return exitCode(err)
}

// isCancelled reports whether the error is the end of the run's context and no
// more.
func isCancelled(err error) bool {
	code, _ := codeOf(err)
	return errors.Is(err, context.Canceled) || code == codes.Canceled
}

// exitCode sorts an error.
func exitCode(err error) int {
	if bad := (*usageError)(nil); errors.As(err, &bad) {
		return exitUsage
	}
	if code, ok := codeOf(err); ok {
		return exitRefused + int(code)
	}
	return exitLocal
}

// codeOf gives the gRPC code of a refusal; ok is false for a local failure.
func codeOf(err error) (code codes.Code, ok bool) {
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded, true
	}
	if st, is := status.FromError(err); is && st.Code() != codes.OK {
		return st.Code(), true
	}
	return codes.OK, false
}

// A report is an error as data, for -o json and -o jsonl.
type report struct {
	Exit     int               `json:"exit"`
	Code     string            `json:"code,omitempty"`   // the gRPC code
	Reason   string            `json:"reason,omitempty"` // the switch's
	Origin   string            `json:"origin,omitempty"` // who spoke, for a call
	Message  string            `json:"message"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// complain writes the error where people look for it; as one line of JSON when
// the output is JSON.
func (sh *shell) complain(err error) {
	text := sh.explain(err)
	if sh.format != formatJSON && sh.format != formatJSONL {
		lines := strings.Split(printable(text), "\n")
		sh.notice("%s: %s", sh.name, strings.Join(lines, "\n  "))
		return
	}
	r := report{Exit: exitCode(err), Reason: client.ReasonOf(err), Message: text}
	if code, ok := codeOf(err); ok {
		r.Code = codeName(code)
	}
	if e := (*rpc.Error)(nil); errors.As(err, &e) {
		r.Origin = strings.ToLower(e.Origin.String())
	}
	if e := (*client.Error)(nil); errors.As(err, &e) {
		r.Metadata = e.Metadata
	}
	line, jsonErr := json.Marshal(map[string]report{"error": r})
	if jsonErr != nil {
		line = []byte(text)
	}
	sh.notice("%s", line)
}

// explain finds better words for what most often goes wrong first: that there is
// no switch.
func (sh *shell) explain(err error) string {
	if !errors.Is(err, client.ErrUnreachable) {
		return err.Error()
	}
	why := err.Error()
	if m := dialFailure.FindStringSubmatch(why); m != nil {
		why = m[1]
	}
	return fmt.Sprintf("no switch answers at %s: %s\nto start one, type: %s serve\nif it is elsewhere, say so with --addr or SWITCH_ADDR", sh.addr, why, sh.name)
}

// dialFailure finds the system's words at the end of what gRPC says.
var dialFailure = regexp.MustCompile(`dial [^"]*: ([^:"]+)"`)

// worded is an error in better words.
type worded struct {
	error
	text string
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.error }

// printable leaves out what would steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, text)
}

// codeName is a gRPC code as the protocol writes it: NOT_FOUND.
func codeName(c codes.Code) string {
	switch c {
	case codes.OK:
		return "OK"
	case codes.Canceled:
		return "CANCELLED" // Go spells it with one l
	}
	var b strings.Builder
	for i, r := range c.String() { // NotFound
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
