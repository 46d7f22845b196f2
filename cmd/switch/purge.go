package main

import (
	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const purgeDescription = `
Takes all messages that wait off a queue; those under a lease stay. Callers who wait on them are
told at once. For a single message, see ack.`

func (sh *shell) purgeCommand() *cli.Command {
	return &cli.Command{
		Name: "purge", Category: groupMove, Usage: "take all waiting messages off a queue",
		ArgsUsage:   "QUEUE",
		Description: purgeDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "QUEUE")
			if err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				n, err := a.Purge(c.Context, words[0])
				if err != nil {
					return err
				}
				return sh.done(purged{words[0], n}, "%s taken off %s", plural(n, "message"), plain(words[0]))
			})
		},
	}
}

// purged is what purge or ack did, as a document.
type purged struct {
	Queue  string `json:"queue"`
	Purged uint64 `json:"purged"`
}
