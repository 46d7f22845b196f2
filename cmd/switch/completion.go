package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

// The scripts know nothing of verbs and flags: they hand the words typed so far
// to the hidden verb __complete and offer what it prints. So they need no change
// when the verbs do, and know the queues of the switch.
//
//go:embed completion/bash.sh
var bashCompletion string

//go:embed completion/zsh.zsh
var zshCompletion string

//go:embed completion/fish.fish
var fishCompletion string

//go:embed completion/powershell.ps1
var powershellCompletion string

var completions = map[string]string{
	"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion,
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

const completionDescription = `
Prints a script that teaches a shell to complete verbs, flags and the names of queues, for both
names of the command, switch and mswitch. To load it:

  bash         source <(switch completion bash)
  zsh          source <(switch completion zsh)          after compinit
  fish         mswitch completion fish | source
  powershell   mswitch completion powershell | Out-String | Invoke-Expression`

func (sh *shell) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Category: groupOther, Usage: "print a completion script for a shell",
		ArgsUsage:   strings.Join(shells, "\n"),
		Description: completionDescription,
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "SHELL")
			if err != nil {
				return err
			}
			script, ok := completions[words[0]]
			if !ok {
				return usage("completion for %q: only for %s", words[0], strings.Join(shells, ", "))
			}
			_, err = io.WriteString(sh.out, script)
			return err
		},
	}
}

// completeCommand prints what may stand in place of the last word, one
// candidate a line, with what it means behind a tab.
func (sh *shell) completeCommand() *cli.Command {
	return &cli.Command{
		Name: "__complete", Hidden: true,
		Flags: flags(&cli.BoolFlag{Name: "new", Usage: "the last word is empty, and was left out"}),
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			if c.Bool("new") || len(words) == 0 {
				words = append(words, "")
			}
			last := words[len(words)-1]
			for _, cand := range sh.candidates(c.Context, c.App, words) {
				if strings.HasPrefix(cand.word, last) {
					if _, err := fmt.Fprintf(sh.out, "%s\t%s\n", cand.word, cand.means); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// A candidate is a word that may stand in place of the last one typed.
type candidate struct{ word, means string }

// candidates are all words that may be there, whatever has been typed of it.
func (sh *shell) candidates(ctx context.Context, app *cli.App, words []string) []candidate {
	before, last := words[:len(words)-1], words[len(words)-1]
	verbAt := slices.IndexFunc(before, func(w string) bool { return !isFlag(w) && app.Command(w) != nil })
	if verbAt < 0 {
		return verbCandidates(app)
	}
	verb := app.Command(before[verbAt])
	rest := before[verbAt+1:]
	if n := len(rest); n > 0 && isFlag(rest[n-1]) && !strings.Contains(rest[n-1], "=") {
		f := findFlag(verb.Flags, strings.TrimLeft(rest[n-1], "-"))
		if f != nil && takesValue(f) {
			return valueCandidates(f)
		}
	}
	if strings.HasPrefix(last, "-") {
		return flagCandidates(verb)
	}
	return sh.wordCandidates(ctx, app, verb, rest)
}

func verbCandidates(app *cli.App) []candidate {
	var out []candidate
	for _, c := range app.VisibleCommands() {
		out = append(out, candidate{c.Name, c.Usage})
	}
	return out
}

func flagCandidates(verb *cli.Command) []candidate {
	var out []candidate
	for _, f := range verb.VisibleFlags() {
		d, ok := f.(cli.DocGenerationFlag)
		if ok {
			out = append(out, candidate{dashed(f.Names()[0]), meaning(d.GetUsage())})
		}
	}
	return append(out, candidate{"--help", "tell about the verb"})
}

// valueCandidates are the values of a flag that has a few.
func valueCandidates(f cli.Flag) []candidate {
	var values []string
	switch f.Names()[0] {
	case "output":
		if v, ok := f.(*cli.GenericFlag).Value.(*formatValue); ok {
			values = strings.Split(v.names(), ", ")
		}
	case "durability":
		values = []string{"memory", "durable"}
	case "overflow":
		values = []string{"reject", "drop-oldest"}
	case "log-level":
		values = []string{"debug", "info", "warn", "error"}
	case "log-format":
		values = []string{"text", "json"}
	}
	var out []candidate
	for _, v := range values {
		out = append(out, candidate{v, ""})
	}
	return out
}

// wordCandidates are the first words of a verb: a shell, a verb, or a queue.
func (sh *shell) wordCandidates(ctx context.Context, app *cli.App, verb *cli.Command, rest []string) []candidate {
	if verb.Name == "dlq" && len(rest) == 1 && dlqWords[rest[0]] != nil && rest[0] != "ls" {
		return sh.queueCandidates(ctx, verb, nil)
	}
	if verb.Name == "service" && len(rest) == 1 && serviceWords[rest[0]] != nil {
		return serviceCandidates(ctx, verb)
	}
	for i := 0; i < len(rest); { // it is only the first word that we know
		if !isFlag(rest[i]) || rest[i] == "--" {
			return nil
		}
		_, n, bad := readFlag(verb.Flags, rest[i:])
		if bad != nil {
			return nil
		}
		i += n
	}
	switch {
	case verb.Name == "dlq":
		return []candidate{{"ls", "name the dead-letter queues"}, {"show", "show letters"}, {"replay", "try letters again"}, {"purge", "delete letters"}}
	case verb.Name == "service":
		return []candidate{{"ls", "name the services"}, {"info", "tell what one says of itself"}, {"stats", "count what its instances do"}, {"ping", "ask its instances for an answer"}}
	case verb.Name == "completion":
		var out []candidate
		for _, s := range shells {
			out = append(out, candidate{s, ""})
		}
		return out
	case verb.Name == "bench":
		return []candidate{{benchRPC, "measure calls"}, {benchSend, "measure sends"}, {benchPipe, "measure from send to delivery"}}
	case verb.Name == "help":
		return verbCandidates(app)
	case strings.Contains(verb.ArgsUsage, "QUEUE"):
		return sh.queueCandidates(ctx, verb, rest)
	}
	return nil
}

// completionPatience is how long a person waits for a list after the key.
const completionPatience = 500 * time.Millisecond

// maxCandidates is more than anybody reads.
const maxCandidates = 200

// queueCandidates asks the switch for its queues; none when it does not answer.
func (sh *shell) queueCandidates(ctx context.Context, verb *cli.Command, rest []string) []candidate {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	cl, err := client.New(client.Config{Addr: typedAddr(verb, rest)})
	if err != nil {
		return nil
	}
	defer func() { _ = cl.Close() }() // nothing was changed
	var out []candidate
	for q, err := range cl.Admin().List(ctx, client.ListQuery{}) {
		if err != nil || len(out) == maxCandidates {
			break
		}
		out = append(out, candidate{q.Queue, queueState(q)})
	}
	return out
}

// serviceCandidates asks the switch for its services, in the same way.
func serviceCandidates(ctx context.Context, verb *cli.Command) []candidate {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	cl, err := client.New(client.Config{Addr: typedAddr(verb, nil)})
	if err != nil {
		return nil
	}
	defer func() { _ = cl.Close() }() // nothing was changed
	all, err := services(ctx, cl.Admin(), "")
	if err != nil {
		return nil
	}
	var out []candidate
	for _, instances := range all[:min(len(all), maxCandidates)] {
		out = append(out, candidate{instances[0].Info.Name, oneLine(newest(instances).Description)})
	}
	return out
}

// typedAddr is where the switch is, going by what has been typed.
func typedAddr(verb *cli.Command, rest []string) string {
	for i := 0; i < len(rest); {
		f, n, bad := readFlag(verb.Flags, rest[i:])
		if bad != nil {
			break
		}
		if f.name == "addr" {
			return f.value
		}
		i += n
	}
	f, ok := addrFlag().(*cli.StringFlag)
	if !ok {
		return ""
	}
	return os.Getenv(f.EnvVars[0])
}
