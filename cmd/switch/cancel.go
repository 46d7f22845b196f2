package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const cancelDescription = `
Ends a call as its caller would, and all that was called for it: what waits is withdrawn, and the
handler that runs one is told. The caller is told at once, with the code CANCELLED and the words
that an operator cancelled it.

A call's name is the message id of its request, which calls, diagnostics and tail show. One that
is not pending exits 69.`

func (sh *shell) cancelCommand() *cli.Command {
	return &cli.Command{
		Name: "cancel", Category: groupLook, Usage: "end a call, and what was called for it",
		ArgsUsage:   "CALL",
		Description: cancelDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "CALL")
			if err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				done, err := a.CancelCall(c.Context, words[0])
				if err != nil {
					return err
				}
				text := fmt.Sprintf("%s was withdrawn: it waited in queue %s", words[0], plain(done.Queue))
				if done.Running {
					text = fmt.Sprintf("%s was cancelled: it ran, and the server of queue %s is told", words[0], plain(done.Queue))
				}
				if done.Others > 0 {
					text += fmt.Sprintf("; %s ended with it", plural(done.Others, "other"))
				}
				return sh.done(cancelledCall{words[0], done}, "%s", text)
			})
		},
	}
}

// cancelledCall is what cancel did, as a document.
type cancelledCall struct {
	Call string `json:"call"`
	client.CallEnd
}
