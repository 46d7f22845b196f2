package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/server/datadir"
)

const dumpDescription = `
Shows what is in a data directory, or in an unpacked backup: the queues with their counts, and then
the messages, one a line. No switch may be using it. What can't be read is told on standard error,
the rest is shown, and the exit code is 1.

Off a terminal the columns of a queue are: "queue", name, messages, bytes, made; those of a message:
"message", queue, id, sent, attempts, sender, bytes, body. In documents there is one field, queue
or message, and bodies are base64.`

func (sh *shell) dumpCommand() *cli.Command {
	return &cli.Command{
		Name: "dump", Category: groupKeep, Usage: "show what is in a data directory",
		ArgsUsage:   "DIR [--queue NAME]",
		Description: dumpDescription,
		Flags: flags(
			&cli.StringFlag{Name: "queue", Aliases: []string{"q"}, Usage: "`NAME`: only this queue"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL)),
		Action: sh.dump,
	}
}

// dumped is one line of a dump, as a document.
type dumped struct {
	Queue   *datadir.Queue   `json:"queue,omitempty"`
	Message *datadir.Message `json:"message,omitempty"`
	Call    *datadir.Call    `json:"call,omitempty"`
}

func (sh *shell) dump(c *cli.Context) error {
	words, err := sh.words(c, "DIR")
	if err != nil {
		return err
	}
	only, bad, seen := c.String("queue"), 0, false
	var last error
	for r, err := range datadir.Dump(words[0]) {
		switch {
		case c.Err() != nil:
			return c.Err()
		case err != nil:
			bad++
			if last = err; bad > 1 { // the first and only one may be that there is nothing to read
				sh.notice("%s", printable(err.Error()))
			}
			continue
		case only != "" && (r.Queue != nil && r.Queue.Name != only || r.Message != nil && r.Message.Queue != only || r.Call != nil && r.Call.Queue != only):
			continue
		}
		seen = true
		if err := sh.printDumped(dumped(r)); err != nil {
			return err
		}
	}
	switch {
	case bad == 0 && only != "" && !seen:
		return fmt.Errorf("%s has no queue %s", words[0], plain(only))
	case bad > 1:
		return errors.New(plural(bad, "record") + " of " + words[0] + " can't be read")
	}
	return last
}

// printDumped prints one line. A dump may be longer than memory, so the columns
// are not aligned.
func (sh *shell) printDumped(d dumped) error {
	if sh.wantsJSON() {
		return sh.json(d)
	}
	t := sh.table("")
	if k := d.Call; k != nil {
		t.row("call", plain(k.Queue), k.MessageID, plain(k.Key), orElse(k.Answered, "answered", "not answered"), plain(k.Sender),
			sh.size(uint64(len(k.Body))), excerpt(k.Body, uint64(len(k.Body)), orElse(sh.outTerm, sh.width, largestBody)))
	} else if q := d.Queue; q != nil {
		t.row("queue", plain(q.Name), orElse(sh.outTerm, plural(q.Messages, "message"), fmt.Sprint(q.Messages)), sh.size(uint64(q.Bytes)), q.Made.Local().Format(time.RFC3339))
	} else {
		m := d.Message
		t.row("message", plain(m.Queue), m.MessageID, m.Sent.Local().Format(time.RFC3339), fmt.Sprint(m.Attempts), plain(m.Sender),
			sh.size(uint64(len(m.Body))), excerpt(m.Body, uint64(len(m.Body)), orElse(sh.outTerm, sh.width, largestBody)))
	}
	t.heads = make([]string, len(t.rows[0]))
	return t.print()
}
