package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// A usageError is a command line that can't be carried out. It exits 2.
type usageError struct {
	problem string
	hints   []string // lines that follow the problem: what to type instead
}

func (e *usageError) Error() string {
	return strings.Join(append([]string{e.problem}, e.hints...), "\n")
}

func usage(format string, args ...any) *usageError {
	return &usageError{problem: fmt.Sprintf(format, args...)}
}

// hint adds a line that says what to type instead.
func (e *usageError) hint(format string, args ...any) *usageError {
	e.hints = append(e.hints, fmt.Sprintf(format, args...))
	return e
}

// A flagError is a flag that can't be read.
type flagError struct {
	name    string // as typed, with its dashes
	noValue bool
	flags   []cli.Flag // those that there are
}

// of is the error as one of a verb; nil when the verb isn't known yet.
func (e *flagError) of(verb *cli.Command) *usageError {
	help := "see: switch help"
	if verb != nil {
		help = "see: " + verb.HelpName + " --help"
	}
	if e.noValue {
		return usage("%s needs a value", e.name).hint("%s", help)
	}
	name, _, _ := strings.Cut(e.name, "=")
	err := usage("there is no flag %s", name)
	if verb != nil {
		err = usage("%s has no flag %s", verb.Name, name)
	}
	var names []string
	for _, f := range e.flags {
		names = append(names, f.Names()...)
	}
	if near := nearest(strings.TrimLeft(name, "-"), names); near != "" {
		err = err.hint("did you mean %s?", dashed(near))
	}
	return err.hint("%s", help)
}

func unknownVerb(app *cli.App, typed string) *usageError {
	var names []string
	for _, c := range app.VisibleCommands() {
		names = append(names, c.Names()...)
	}
	err := usage("there is no verb %q", typed)
	if near := nearest(typed, names); near != "" {
		err = err.hint("did you mean: %s %s", app.HelpName, near)
	}
	return err.hint("see: %s help", app.HelpName)
}

// dashed is a flag's name as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// nearest finds the name that was probably meant, or "" when none is near: at
// most a third of what was typed may be wrong.
func nearest(typed string, names []string) string {
	best, bestAt := "", len([]rune(typed))/3+1
	for _, name := range names {
		d := distance([]rune(typed), []rune(name))
		if len(typed) >= 3 && strings.HasPrefix(name, typed) {
			d = 0
		}
		if len(name) > 1 && d < bestAt {
			best, bestAt = name, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b []rune) int {
	var before, last []int // the rows above row
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
