package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// Package cli stops reading flags at the first word that is none, but people
// type "switch call foo --body hello". So before cli sees a command line it is
// put in order: the verb, its flags each as --name=value, "--", and the words.
//
// Everything after a "--" that was typed is a word. That "--" is kept between
// the words, because "serve QUEUE -- ARGV…" tells by it where ARGV begins.

// A commandLine is a command line in order.
type commandLine struct {
	argv  []string    // for cli: program, verb, flags, "--", words
	flags []typedFlag // the flags that were typed, in order
}

// A typedFlag is a flag that stood on the command line, not in the environment.
type typedFlag struct {
	name  string // the flag's first name, without dashes
	value string // empty for a switch such as --all
	bare  bool   // no value was typed, and none was needed
}

// permute orders argv for an app that was set up. Without a verb there is
// nothing to order.
func permute(app *cli.App, argv []string) (commandLine, error) {
	verbAt, err := findVerb(app, argv)
	if err != nil || verbAt == len(argv) {
		return commandLine{argv: argv}, err
	}
	verb := app.Command(argv[verbAt])
	if verb == nil {
		return commandLine{}, unknownVerb(app, argv[verbAt])
	}
	line := commandLine{argv: []string{argv[0], argv[verbAt]}}
	var words []string
	rest := append(argv[1:verbAt:verbAt], argv[verbAt+1:]...)
	for len(rest) > 0 {
		switch word := rest[0]; {
		case word == "--":
			words = append(words, rest...)
			rest = nil
		case !isFlag(word):
			words = append(words, word)
			rest = rest[1:]
		default:
			f, n, err := readFlag(verb.Flags, rest)
			if err != nil {
				return commandLine{}, err.of(verb)
			}
			line.argv = append(line.argv, f.String())
			line.flags = append(line.flags, f)
			rest = rest[n:]
		}
	}
	line.argv = append(append(line.argv, "--"), words...)
	return line, nil
}

// String is the flag in a form that needs no other word.
func (f typedFlag) String() string {
	if f.bare {
		return "--" + f.name
	}
	return "--" + f.name + "=" + f.value
}

// findVerb gives the index of the first word that is neither a flag nor a
// flag's value, or len(argv). A flag before the verb may be any verb's: of one
// name, all verbs make the same use.
func findVerb(app *cli.App, argv []string) (int, error) {
	flags := app.Flags
	for _, c := range app.Commands {
		flags = append(flags[:len(flags):len(flags)], c.Flags...)
	}
	at := 1
	for at < len(argv) && isFlag(argv[at]) {
		if argv[at] == "--" {
			return at, usage("no verb stands before %q", "--")
		}
		_, n, err := readFlag(flags, argv[at:])
		if err != nil {
			return at, err.of(nil)
		}
		at += n
	}
	return min(at, len(argv)), nil
}

// readFlag reads the flag that begins words and says how many words it takes.
func readFlag(flags []cli.Flag, words []string) (f typedFlag, n int, bad *flagError) {
	typed := strings.TrimPrefix(strings.TrimPrefix(words[0], "-"), "-")
	name, value, assigned := strings.Cut(typed, "=")
	flag := findFlag(flags, name)
	if flag == nil && len(words[0]) > 2 && words[0][1] != '-' { // -n5
		if short := findFlag(flags, words[0][1:2]); short != nil && takesValue(short) {
			return typedFlag{name: short.Names()[0], value: words[0][2:]}, 1, nil
		}
	}
	switch {
	case flag == nil:
		return f, 0, &flagError{name: words[0], flags: flags}
	case assigned:
		return typedFlag{name: flag.Names()[0], value: value}, 1, nil
	case !takesValue(flag):
		return typedFlag{name: flag.Names()[0], bare: true}, 1, nil
	case len(words) == 1:
		return f, 0, &flagError{name: words[0], noValue: true}
	}
	return typedFlag{name: flag.Names()[0], value: words[1]}, 2, nil
}

// isFlag reports whether a word is a flag. A lone "-" is a word: it means
// standard input.
func isFlag(word string) bool {
	return len(word) > 1 && word[0] == '-'
}

// findFlag finds a flag by any of its names. --help is every verb's.
func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range append(flags[:len(flags):len(flags)], cli.HelpFlag) {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}
