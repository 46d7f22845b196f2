package main

import (
	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const ackDescription = `
Takes one message off its queue, for good, even if somebody holds it: their ack will be refused. If
it is a request, its caller is told at once. The ids are those of peek and diagnostics.`

func (sh *shell) ackCommand() *cli.Command {
	return &cli.Command{
		Name: "ack", Category: groupMove, Usage: "take one message off a queue, by its id",
		ArgsUsage:   "QUEUE ID",
		Description: ackDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "QUEUE", "ID")
			if err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				n, err := a.Purge(c.Context, words[0], words[1])
				if err != nil {
					return err
				}
				return sh.done(purged{words[0], n}, "%s taken off %s", words[1], plain(words[0]))
			})
		},
	}
}
