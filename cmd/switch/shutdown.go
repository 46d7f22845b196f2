package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const shutdownDescription = `
Asks the switch to end. It takes no more messages, and waits until those that are being worked on
have been acked, at most for the time of --drain. This verb does not wait for it.`

func (sh *shell) shutdownCommand() *cli.Command {
	return &cli.Command{
		Name: "shutdown", Category: groupLook, Usage: "end the switch",
		ArgsUsage:   "[--drain TIME]",
		Description: shutdownDescription,
		Flags: flags(
			durationFlag("drain", "`TIME`: how long the switch lets work end; the switch decides if none is given", 0),
			sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			if _, err := sh.words(c); err != nil {
				return err
			}
			bound := duration(c, "drain")
			if bound > 0 && bound < time.Millisecond {
				bound = time.Millisecond // what the protocol counts in; zero would leave it to the switch
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				if err := a.Shutdown(c.Context, bound); err != nil {
					return err
				}
				return sh.done(map[string]bool{"shutting_down": true}, "the switch is ending")
			})
		},
	}
}
