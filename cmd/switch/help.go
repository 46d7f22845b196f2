package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is the column at which help breaks its lines.
const helpWidth = 96

// printHelp stands in for cli.HelpPrinter: what package cli prints has no bound
// on its lines and says little about words.
func printHelp(w io.Writer, _ string, about any) {
	var b strings.Builder
	switch about := about.(type) {
	case *cli.App:
		appHelp(&b, about)
	case *cli.Command:
		commandHelp(&b, about)
	}
	_, _ = io.WriteString(w, b.String())
}

func (sh *shell) helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Category: groupOther, Usage: "tell about a verb, or about all of them",
		ArgsUsage: "[VERB]",
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				printHelp(sh.out, "", c.App)
				return nil
			}
			words, err := sh.words(c, "VERB")
			if err != nil {
				return err
			}
			verb := c.App.Command(words[0])
			if verb == nil {
				return unknownVerb(c.App, words[0])
			}
			return cli.ShowCommandHelp(c.Lineage()[1], verb.Name)
		},
	}
}

// noVerb answers a command line without a verb.
func (sh *shell) noVerb(c *cli.Context) error {
	printHelp(sh.err, "", c.App)
	return usage("no verb is given")
}

func appHelp(b *strings.Builder, app *cli.App) {
	fmt.Fprintf(b, "%s: %s\n\n  %s VERB [FLAGS] [WORDS]\n", app.HelpName, app.Usage, app.HelpName)
	for _, group := range groups {
		fmt.Fprintf(b, "\n%s\n", group)
		for _, c := range app.Commands {
			if c.Category == group && !c.Hidden {
				hanging(b, fmt.Sprintf("  %-12s ", c.Name), c.Usage)
			}
		}
	}
	fmt.Fprintf(b, "\n%s\n", wrapped(app.Description))
	fmt.Fprintf(b, "\nHelp on a verb: %s help VERB\n", app.HelpName)
}

func commandHelp(b *strings.Builder, c *cli.Command) {
	fmt.Fprintf(b, "%s: %s\n\n", c.HelpName, c.Usage)
	for _, line := range usageLines(c) {
		fmt.Fprintf(b, "  %s\n", line)
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(b, "\nAlso called: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Description != "" {
		fmt.Fprintf(b, "\n%s\n", wrapped(c.Description))
	}
	head := ""
	for i, f := range c.VisibleFlags() {
		if f == cli.HelpFlag {
			continue // who reads this knows it
		}
		if h := sectionOf(f); i == 0 || h != head {
			fmt.Fprintf(b, "\n%s\n", h)
			head = h
		}
		flagHelp(b, f)
	}
}

// sectionOf is the head that a flag stands under.
func sectionOf(f cli.Flag) string {
	if cf, ok := f.(cli.CategorizableFlag); ok && cf.GetCategory() != "" {
		return cf.GetCategory()
	}
	return "Flags"
}

// usageLines are the ways to type a verb; ArgsUsage holds one a line.
func usageLines(c *cli.Command) []string {
	var lines []string
	for args := range strings.SplitSeq(c.ArgsUsage, "\n") {
		lines = append(lines, strings.TrimSpace(c.HelpName+" "+args))
	}
	return lines
}

// placeholder is the word in backquotes in a flag's usage.
var placeholder = regexp.MustCompile("`([^`]+)`")

// flagHelp writes a flag's names, its value, what it does and its default.
func flagHelp(b *strings.Builder, flag cli.Flag) {
	f, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return
	}
	var names []string
	for _, n := range f.Names() {
		names = append(names, dashed(n))
	}
	head := "    " + names[0]
	if len(names) > 1 {
		head = strings.Join([]string{names[1], names[0]}, ", ")
	}
	text := f.GetUsage()
	if f.TakesValue() {
		value := "VALUE"
		if m := placeholder.FindStringSubmatch(text); m != nil {
			value = m[1]
		}
		head += " " + value
	}
	text = meaning(text)
	var also []string
	if d := strings.Trim(f.GetDefaultText(), `"`); f.TakesValue() && d != "" && d != "-" {
		also = append(also, d)
	}
	for _, env := range f.GetEnvVars() {
		also = append(also, "$"+env)
	}
	if len(also) > 0 {
		text += " (" + strings.Join(also, ", ") + ")"
	}
	hanging(b, fmt.Sprintf("  %-26s ", head), text)
}

// meaning is a flag's usage without backquotes, and without the placeholder if
// it does no more than name the value: "`TIME`: wait for so long".
func meaning(usage string) string {
	if m := placeholder.FindString(usage); m != "" {
		usage = strings.TrimPrefix(usage, m+": ")
	}
	return placeholder.ReplaceAllString(usage, "$1")
}

// hanging writes text behind a head, its further lines below its first.
func hanging(b *strings.Builder, head, text string) {
	indent := len(head)
	lines := lineBreaks(text, helpWidth-indent)
	fmt.Fprintf(b, "%s%s\n", head, lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(b, "%*s%s\n", indent, "", line)
	}
}

// wrapped breaks the paragraphs of a text; lines that are indented stay as they
// are.
func wrapped(text string) string {
	var out []string
	for par := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(par, " ") {
			out = append(out, par)
			continue
		}
		out = append(out, strings.Join(lineBreaks(par, helpWidth), "\n"))
	}
	return strings.Join(out, "\n\n")
}

// lineBreaks breaks text at blanks; at least one line.
func lineBreaks(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len([]rune(*last))+1+len([]rune(word)) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
