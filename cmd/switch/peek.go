package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const peekDescription = `
Shows the oldest messages of a queue, waiting and held, and takes none. Bodies are cut at 64 KiB.
Off a terminal the columns are: id, state, age, attempts, sender, bytes, body.`

func (sh *shell) peekCommand() *cli.Command {
	return &cli.Command{
		Name: "peek", Category: groupMove, Usage: "show the messages in a queue without taking them",
		ArgsUsage:   "QUEUE [--count N]",
		Description: peekDescription,
		Flags: flags(
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, Value: 10, Usage: "`N`: how many messages; at most 1000"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL, formatRaw), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "QUEUE")
			if err != nil {
				return err
			}
			if n := c.Uint("count"); n < 1 || n > mostShown {
				return usage("--count %d: from 1 to %d", n, mostShown)
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				ms, err := a.Peek(c.Context, words[0], int(c.Uint("count")))
				if err != nil {
					return err
				}
				return sh.printMessages(ms)
			})
		},
	}
}

// mostShown is how many messages of a queue the switch shows.
const mostShown = 1000

func (sh *shell) printMessages(ms []client.MessageInfo) error {
	switch {
	case sh.wantsJSON():
		return jsonList(sh, ms)
	case sh.format == formatRaw:
		for _, m := range ms {
			if err := sh.printLine(m.Body); err != nil {
				return err
			}
		}
		return nil
	case len(ms) == 0 && sh.outTerm:
		sh.notice("the queue is empty")
	}
	t := sh.table("ID", "STATE", ">AGE", ">TRIES", "SENDER", ">SIZE", "BODY")
	for _, m := range ms {
		t.row(m.MessageID, messageState(m), brief(m.Age), fmt.Sprint(m.Attempts), plain(m.Sender), sh.size(m.BodyBytes), sh.bodyCell(m))
	}
	return t.print()
}

// bodyCell is a body in a table: what there is room for on a terminal.
func (sh *shell) bodyCell(m client.MessageInfo) string {
	width := sh.width
	if !sh.outTerm {
		width = largestBody // whole
	}
	return excerpt(m.Body, m.BodyBytes, width)
}

// messageState is where a message is in its life, and who has it.
func messageState(m client.MessageInfo) string {
	if m.Holder == "" {
		return strings.ToLower(m.State.String())
	}
	return "held by " + plain(m.Holder)
}

// printLine writes a body as a line of its own.
func (sh *shell) printLine(body []byte) error {
	if !bytes.HasSuffix(body, []byte("\n")) {
		body = append(body[:len(body):len(body)], '\n')
	}
	_, err := sh.out.Write(body)
	return err
}
