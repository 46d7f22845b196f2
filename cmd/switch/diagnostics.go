package main

import (
	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const diagnosticsDescription = `
Says who waits on whom: the queues by how they are served, in each its oldest messages with who
sent them, who holds them and what became of the caller; replies that nobody has taken yet; and
who is logged in. All of it rests on the leases and connections that there are now; nothing is
guessed from the time.`

func (sh *shell) diagnosticsCommand() *cli.Command {
	return &cli.Command{
		Name: "diagnostics", Category: groupLook, Usage: "say who waits on whom",
		ArgsUsage:   "[--messages N]",
		Description: diagnosticsDescription,
		Flags: flags(
			&cli.UintFlag{Name: "messages", Value: 20, Usage: "`N`: how many messages of a queue to show; at most 1000"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			if _, err := sh.words(c); err != nil {
				return err
			}
			if n := c.Uint("messages"); n < 1 || n > mostShown {
				return usage("--messages %d: from 1 to %d", n, mostShown)
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				d, err := a.Diagnostics(c.Context, int(c.Uint("messages")))
				if err != nil {
					return err
				}
				if sh.wantsJSON() {
					return sh.json(d)
				}
				return newDiagnosis(sh, c.String("addr"), d).print()
			})
		},
	}
}
