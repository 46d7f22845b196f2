package main

import (
	"crypto/rand"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const sendDescription = `
Puts a message into a queue and prints its id. The queue must exist, unless --create is given. No
reply is awaited.

The body is what --body or --file say, or what standard input has; at a terminal it is empty.

With --reply-to the message is a request whose reply goes to that named queue, under
--correlation-id; both may be anything that whoever reads there understands.`

func (sh *shell) sendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Category: groupMove, Usage: "put a message into a queue",
		ArgsUsage:   "QUEUE [--body TEXT | --file FILE]",
		Description: sendDescription,
		Flags: flags(bodyFlags(),
			durationFlag("timeout", "`TIME`: how long the message is worth delivering; for ever if none is given", 0),
			&cli.StringFlag{Name: "reply-to", Value: noReply, Usage: "`QUEUE`: where the reply goes; no: none is wanted"},
			&cli.StringFlag{Name: "correlation-id", Usage: "`ID`: what ties the reply to the request; made up if none is given"},
			&cli.BoolFlag{Name: "create", Usage: "make the queue if it is missing"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: sh.send,
	}
}

// noReply is the --reply-to of a message that is no request.
const noReply = "no"

func (sh *shell) send(c *cli.Context) error {
	words, err := sh.words(c, "QUEUE")
	if err != nil {
		return err
	}
	m, err := sh.message(c)
	if err != nil {
		return err
	}
	return sh.withClient(c, func(cl *client.Client) error {
		r, err := cl.Send(c.Context, words[0], m)
		if err != nil {
			return err
		}
		if sh.wantsJSON() {
			return sh.json(sent{words[0], r.MessageID, r.Duplicate, r.Durability, m.CorrelationID})
		}
		_, err = fmt.Fprintln(sh.out, r.MessageID)
		return err
	})
}

// sent is a receipt as a document.
type sent struct {
	Queue         string            `json:"queue"`
	MessageID     string            `json:"message_id"`
	Duplicate     bool              `json:"duplicate"`
	Durability    client.Durability `json:"durability"`
	CorrelationID string            `json:"correlation_id,omitempty"`
}

// message reads the flags.
func (sh *shell) message(c *cli.Context) (m client.Message, err error) {
	m = client.Message{
		Timeout:       duration(c, "timeout"),
		Parent:        parentCall(),
		CorrelationID: c.String("correlation-id"),
	}
	if r := c.String("reply-to"); r != "" && r != noReply {
		m.ReplyTo = r
		if m.CorrelationID == "" {
			m.CorrelationID = rand.Text()
		}
	}
	if c.Bool("create") {
		m.Create = &client.QueueOptions{}
	}
	wait, err := waitFlag(c)
	if err != nil {
		return m, err
	}
	m.RequireConsumer, m.StartWithin = wait.fail, wait.within
	if m.MaxAttempts, err = maxAttempts(c); err != nil {
		return m, err
	}
	if m.Headers, err = headers(c); err != nil {
		return m, err
	}
	m.Body, err = sh.body(c)
	return m, err
}
