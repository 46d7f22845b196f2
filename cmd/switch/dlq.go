package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const dlqDescription = `
Dead letters are messages that could not be handled: tried too often, or rejected. Each queue has
a dead-letter queue, QUEUE.dead unless it was made with another.

ls names the dead-letter queues that hold something, the queues that they are for, and why the
newest of their 1000 oldest letters died; show shows letters; replay moves them back to where they
died, or with --to elsewhere: each in one step, to start anew there; purge deletes them. replay and
purge want ids, or --all. A letter that can't be moved, because its queue is gone or full, is left
where it is, and the exit code tells.

Off a terminal the columns of ls are: queue, letters, bytes, age, sources, reason; those of show: id,
queue, age, attempts, bytes, reason, body.`

// The words of dlq, and the flags that each of them takes.
var dlqWords = map[string][]string{
	"ls":     {},
	"show":   {"count"},
	"replay": {"to", "all"},
	"purge":  {"all"},
}

func (sh *shell) dlqCommand() *cli.Command {
	return &cli.Command{
		Name: "dlq", Category: groupMove, Usage: "look at dead letters, try them again, or delete them",
		ArgsUsage:   "ls\nshow QUEUE [--count N]\nreplay QUEUE ID… [--to QUEUE]\nreplay QUEUE --all [--to QUEUE]\npurge QUEUE ID…\npurge QUEUE --all",
		Description: dlqDescription,
		Flags: flags(
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, Value: 10, Usage: "`N`: how many letters to show; at most 1000"},
			&cli.StringFlag{Name: "to", Usage: "`QUEUE`: where to; each to where it died if none is given"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "all letters that wait"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: sh.dlq,
	}
}

func (sh *shell) dlq(c *cli.Context) error {
	words := slices.DeleteFunc(c.Args().Slice(), func(w string) bool { return w == "--" })
	if len(words) == 0 {
		return usage("what shall dlq do?").hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	}
	takes, ok := dlqWords[words[0]]
	if !ok {
		return usage("dlq knows no %q", words[0]).hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	}
	for _, f := range sh.line.flags {
		if slices.Contains([]string{"count", "to", "all"}, f.name) && !slices.Contains(takes, f.name) {
			return usage("dlq %s has no flag %s", words[0], dashed(f.name)).hint("see: %s --help", c.Command.HelpName)
		}
	}
	if words[0] == "ls" {
		if len(words) > 1 {
			return usage("dlq ls takes no %q", words[1])
		}
		return sh.withAdmin(c, func(a *client.Admin) error { return sh.dlqLs(c.Context, a) })
	}
	if len(words) < 2 || slices.Contains(words, "") {
		return usage("QUEUE is missing").hint("type: %s", strings.Join(usageLines(c.Command), "\n  or: "))
	}
	return sh.dlqOf(c, words[0], words[1], words[2:])
}

// dlqOf does what is done to one dead-letter queue.
func (sh *shell) dlqOf(c *cli.Context, verb, queue string, ids []string) error {
	switch all := c.Bool("all"); {
	case verb == "show" && len(ids) > 0:
		return usage("dlq show takes no %q", ids[0])
	case verb == "show" && (c.Uint("count") < 1 || c.Uint("count") > mostShown):
		return usage("--count %d: from 1 to %d", c.Uint("count"), mostShown)
	case verb == "show":
	case all && len(ids) > 0:
		return usage("--all and ids exclude each other")
	case !all && len(ids) == 0:
		return usage("dlq %s %s: which letters?", verb, plain(queue)).
			hint("for all of them, type: %s dlq %s %s --all", sh.name, verb, quoteWord(queue)).
			hint("to see their ids, type: %s dlq show %s", sh.name, quoteWord(queue))
	}
	return sh.withAdmin(c, func(a *client.Admin) error {
		switch verb {
		case "show":
			return sh.dlqShow(c.Context, a, queue, int(c.Uint("count")))
		case "replay":
			return sh.dlqReplay(c.Context, a, queue, client.ReplayQuery{IDs: ids, To: c.String("to")})
		}
		n, err := a.Purge(c.Context, queue, ids...)
		if err != nil {
			return err
		}
		return sh.done(purged{queue, n}, "%s deleted from %s", plural(n, "letter"), plain(queue))
	})
}
