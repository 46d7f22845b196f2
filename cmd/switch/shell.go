package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// A shell is what a run of the command has around it. Data goes to out;
// everything else to err.
type shell struct {
	// Set at construction.
	name    string // what the command was called by: switch, mswitch
	in      *os.File
	out     io.Writer
	err     io.Writer
	inTerm  bool // in is a terminal
	outTerm bool // out is a terminal, so tables are aligned and have a head
	errTerm bool
	colour  bool // out is a terminal that shows colour, and nobody minds
	width   int  // of the terminal, in columns

	// Set once the command line has been read.
	line   commandLine
	format format
	addr   string // of the switch, for a verb that dials it
}

// defaultWidth is how many columns are used when nobody knows better.
const defaultWidth = 100

func newShell(argv0 string) *shell {
	sh := &shell{
		name:  strings.TrimSuffix(filepath.Base(argv0), ".exe"),
		in:    os.Stdin,
		out:   os.Stdout,
		err:   os.Stderr,
		width: defaultWidth,

		inTerm:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerm: term.IsTerminal(int(os.Stdout.Fd())),
		errTerm: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if sh.outTerm {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
			sh.width = max(w, 40) // narrower than that, lines may wrap
		}
		sh.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return sh
}

// run carries out a command line and gives the exit code.
func (sh *shell) run(ctx context.Context, argv []string) int {
	app := sh.app()
	app.Setup()
	line, err := permute(app, argv)
	if err == nil {
		sh.line = line
		err = app.RunContext(ctx, line.argv)
	}
	return sh.finish(ctx, err)
}

// words gives the words of the command line, which must be the named ones.
// There is no word for the user to quote a "--" with, so one is left out.
func (sh *shell) words(c *cli.Context, names ...string) ([]string, error) {
	words := c.Args().Slice()
	for i, w := range words {
		if w == "--" {
			words = append(words[:i:i], words[i+1:]...)
			break
		}
	}
	switch {
	case len(words) < len(names):
		return nil, usage("%s is missing", names[len(words)]).hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	case len(words) > len(names):
		return nil, usage("%s takes no %q", strings.Join(append([]string{c.Command.Name}, names...), " "), words[len(names)]).
			hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	}
	for i, w := range words {
		if w == "" {
			return nil, usage("%s is empty", names[i]).hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
		}
	}
	return words, nil
}

// notice tells a person what happened; it is no data.
func (sh *shell) notice(format string, args ...any) {
	_, _ = fmt.Fprintf(sh.err, format+"\n", args...)
}
