package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Two things are called serve: running the switch, and serving one of its
// queues. The words decide which is meant, never the environment:
//
//	switch serve                the daemon            (also: switch daemon)
//	switch serve QUEUE HOW…     serves the queue      (also: switch respond)
//
// A flag of the one with the words of the other is refused with the line to
// type.

func (sh *shell) serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Category: groupRun, Usage: "run the switch; or serve a queue",
		ArgsUsage: "\nQUEUE --program PATH\nQUEUE --echo\nQUEUE --upstream ADDR\nQUEUE -- PATH ARG…",
		Description: "Without QUEUE this runs the switch itself, as \"daemon\" does. With QUEUE it serves that queue, as \"respond\" does: " +
			"see their help.",
		Flags: flags(inCategory("Running the switch", daemonFlags()), inCategory("Serving a queue", respondFlags()), inCategory("Both", serverFlags())),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return sh.respond(c)
			}
			return sh.daemon(c)
		},
	}
}

func (sh *shell) daemonCommand() *cli.Command {
	return &cli.Command{
		Name: "daemon", Category: groupRun, Usage: "run the switch",
		Description: daemonDescription,
		Flags:       flags(daemonFlags(), serverFlags()),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				queue := c.Args().First()
				return usage("daemon takes no %q", queue).hint("to serve the queue, type: %s serve %s --program PATH", sh.name, quoteWord(queue))
			}
			return sh.daemon(c)
		},
	}
}

func (sh *shell) respondCommand() *cli.Command {
	return &cli.Command{
		Name: "respond", Category: groupRun, Usage: "serve a queue",
		ArgsUsage:   "QUEUE --program PATH\nQUEUE --echo\nQUEUE --upstream ADDR\nQUEUE -- PATH ARG…",
		Description: respondDescription,
		Flags:       flags(respondFlags(), serverFlags()),
		Action:      sh.respond,
	}
}

// inCategory puts flags under a head of their own in the help.
func inCategory(name string, fs []cli.Flag) []cli.Flag {
	for _, f := range fs {
		switch f := f.(type) {
		case *cli.GenericFlag:
			f.Category = name
		case *cli.StringFlag:
			f.Category = name
		case *cli.StringSliceFlag:
			f.Category = name
		case *cli.BoolFlag:
			f.Category = name
		case *cli.IntFlag:
			f.Category = name
		}
	}
	return fs
}

// serverFlags are good for the daemon and for who serves a queue.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		durationFlag("drain", "`TIME`: how long to let work end when told to stop", defaultDrain, "SWITCH_DRAIN"),
		&cli.StringFlag{Name: "log-level", Value: "info", EnvVars: []string{"SWITCH_LOG_LEVEL"}, Usage: "`LEVEL`: the least to log: debug, info, warn, error"},
		&cli.StringFlag{Name: "log-format", Value: "text", EnvVars: []string{"SWITCH_LOG_FORMAT"}, Usage: "`FORMAT`: how to log: text, json"},
	}
}

// typedOf gives the flags that were typed and are in the group.
func (sh *shell) typedOf(group []cli.Flag) []typedFlag {
	var typed []typedFlag
	for _, f := range sh.line.flags {
		if findFlag(group, f.name) != nil {
			typed = append(typed, f)
		}
	}
	return typed
}

// typedLine is the line to type for the verb serve: words, and those of the
// flags typed that belong there.
func (sh *shell) typedLine(words []string, groups ...[]cli.Flag) string {
	line := append([]string{sh.name, "serve"}, words...)
	for _, f := range sh.typedOf(slices.Concat(groups...)) {
		line = append(line, dashed(f.name))
		if !f.bare {
			line = append(line, quoteWord(f.value))
		}
	}
	return strings.Join(line, " ")
}

// quoteWord is a word as a POSIX shell reads it.
func quoteWord(w string) string {
	const harmless = "%+,-./:=@_" // beside letters and digits
	bare := func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(harmless, r) {
			return r
		}
		return -1
	}
	if w != "" && strings.Map(bare, w) == w {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// names lists flags as they are typed.
func names(fs []typedFlag) string {
	var ns []string
	for _, f := range fs {
		if n := dashed(f.name); !slices.Contains(ns, n) {
			ns = append(ns, n)
		}
	}
	return strings.Join(ns, ", ")
}
