package main

import (
	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const destroyDescription = `
Removes a queue with all that is in it. Callers who wait on its requests are told at once, and so
are those who serve it.`

func (sh *shell) destroyCommand() *cli.Command {
	return &cli.Command{
		Name: "destroy", Category: groupQueue, Usage: "remove a queue with all that is in it",
		ArgsUsage:   "QUEUE",
		Description: destroyDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "QUEUE")
			if err != nil {
				return err
			}
			return sh.withClient(c, func(cl *client.Client) error {
				n, err := cl.Destroy(c.Context, words[0])
				if err != nil {
					return err
				}
				return sh.done(destroyed{words[0], n}, "%s destroyed, with %s", plain(words[0]), plural(n, "message"))
			})
		},
	}
}

// destroyed is what destroy did, as a document.
type destroyed struct {
	Queue    string `json:"queue"`
	Messages uint64 `json:"messages"`
}
