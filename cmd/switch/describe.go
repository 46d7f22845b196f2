package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

func (sh *shell) describeCommand() *cli.Command {
	return &cli.Command{
		Name: "describe", Category: groupQueue, Usage: "tell all about a queue but its messages",
		ArgsUsage: "QUEUE",
		Flags:     flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "QUEUE")
			if err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				d, err := a.Describe(c.Context, words[0])
				if err != nil {
					return err
				}
				if sh.wantsJSON() {
					return sh.json(d)
				}
				return sh.printDescription(d)
			})
		},
	}
}

// printDescription writes one fact a line.
func (sh *shell) printDescription(d client.QueueDescription) error {
	t := sh.table("", "")
	s, o, n := d.Summary, d.Options, d.Counters
	t.row("queue", plain(s.Queue))
	t.row("state", queueState(s))
	t.row("durability", o.Durability.String())
	t.row("age", brief(d.Age))
	if d.Owner != "" {
		t.row("owner", plain(d.Owner))
	}
	t.row("waiting", fmt.Sprintf("%d, %d of them delayed; at most %d", s.Waiting, s.Delayed, o.MaxMessages))
	t.row("leased", fmt.Sprint(s.Leased))
	t.row("size", fmt.Sprintf("%s; at most %s", byteSize(s.Bytes), byteSize(o.MaxBytes)))
	t.row("oldest", orNone(s.Waiting+s.Leased > 0, brief(s.OldestAge)))
	t.row("max age", orNone(o.MaxAge > 0, o.MaxAge.String()))
	t.row("overflow", o.Overflow.String())
	t.row("max attempts", fmt.Sprint(o.MaxAttempts))
	t.row("dead letters", orNone(!o.NoDeadLetter, plain(o.DeadLetterQueue)))
	t.row("lease", o.Lease.String())
	t.row("sent", fmt.Sprintf("%d, and %s", n.Sent, plural(n.Duplicates, "duplicate")))
	t.row("delivered", fmt.Sprintf("%d, %d of them again", n.Delivered, n.Redelivered))
	t.row("acked", fmt.Sprint(n.Acked))
	t.row("lost", fmt.Sprintf("%d expired, %d dead, %d dropped, %d refused", n.Expired, n.Dead, n.Dropped, n.Refused))
	for _, c := range d.Consumers {
		t.row("consumer", fmt.Sprintf("%s, holds %d of %d%s", plain(c.SessionName), c.Holding, c.Credit, orElse(c.Connected, "", ", connection lost")))
	}
	return t.print()
}

func orNone(is bool, s string) string { return orElse(is, s, "none") }

func orElse[T any](is bool, s, otherwise T) T {
	if is {
		return s
	}
	return otherwise
}
