package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const mscgenDescription = `
Prints the recent trace as a message sequence chart, input for the tool mscgen:

  switch mscgen | mscgen -T svg -o chart.svg

Sessions and named queues are the columns; a reply goes straight from who served the request to
who made it, as temporary queues are left out.`

func (sh *shell) mscgenCommand() *cli.Command {
	return &cli.Command{
		Name: "mscgen", Category: groupLook, Usage: "print what happened as input of the chart tool mscgen",
		ArgsUsage:   "[--queue QUEUE] [--count N]",
		Description: mscgenDescription,
		Flags: flags(
			&cli.StringFlag{Name: "queue", Aliases: []string{"q"}, Usage: "`QUEUE`: only what happened to this one"},
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, Value: 200, Usage: "`N`: how many of the last events to draw; 0 is all there are"},
			addrFlag()),
		Action: func(c *cli.Context) error {
			if _, err := sh.words(c); err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error {
				events, _, err := recent(c.Context, a, client.TraceQuery{Queue: c.String("queue")}, int(c.Uint("count")))
				if err != nil {
					return err
				}
				_, err = io.WriteString(sh.out, newChart(events).String())
				return err
			})
		},
	}
}

// A chart is a message sequence chart in mscgen's language.
type chart struct {
	columns []string // in the order in which they first appear
	arcs    []string
}

func newChart(events []client.TraceEvent) *chart {
	ch := &chart{}
	for _, e := range events {
		ch.add(e)
	}
	return ch
}

// maxLabel is what fits over an arrow between neighbours, in letters.
const maxLabel = 20

// temporaryPrefix begins the names of temporary queues, and no others.
const temporaryPrefix = "tmp."

// add draws an event, unless it is about no message.
func (ch *chart) add(e client.TraceEvent) {
	body := excerpt(e.BodyPrefix, e.BodyBytes, maxLabel)
	switch temporary := strings.HasPrefix(e.Queue, temporaryPrefix); {
	case temporary && e.Kind == client.TraceDelivered:
		ch.arc(e.Sender, ">>", e.Receiver, body)
	case temporary:
	case e.Kind == client.TraceSent:
		ch.arc(e.Sender, "=>", e.Queue, body)
	case e.Kind == client.TraceDelivered && e.Attempt > 1:
		ch.arc(e.Queue, "=>", e.Receiver, fmt.Sprintf("attempt %d", e.Attempt))
	case e.Kind == client.TraceDelivered:
		ch.arc(e.Queue, "=>", e.Receiver, "")
	case e.Kind == client.TraceAcked, e.Kind == client.TraceReplied:
		ch.arc(e.Receiver, "->", e.Queue, e.Kind.String()+", "+brief(e.Took))
	case e.Kind == client.TraceReturned:
		ch.arc(e.Receiver, "-x", e.Queue, traceText(e))
	case e.MessageID != "":
		ch.arc(e.Queue, "note", e.Queue, traceText(e))
	}
}

// arc draws from one column to another.
func (ch *chart) arc(from, how, to, label string) {
	for _, c := range []string{from, to} {
		if !slices.Contains(ch.columns, c) {
			ch.columns = append(ch.columns, c)
		}
	}
	arc := fmt.Sprintf("  %s %s %s", mscString(from), how, mscString(to))
	if label != "" {
		arc += fmt.Sprintf(" [label=%s]", mscString(label))
	}
	ch.arcs = append(ch.arcs, arc+";\n")
}

// String is the whole chart. mscgen takes none without a column and an arc.
func (ch *chart) String() string {
	if len(ch.arcs) == 0 {
		ch = &chart{columns: []string{"switch"}, arcs: []string{"  --- [label=\"nothing happened\"];\n"}}
	}
	columns := make([]string, len(ch.columns))
	for i, c := range ch.columns {
		columns[i] = mscString(c)
	}
	return fmt.Sprintf("msc {\n  hscale=\"%.1f\";\n\n  %s;\n\n%s}\n",
		max(1, float64(len(columns))/4), strings.Join(columns, ", "), strings.Join(ch.arcs, ""))
}

// mscString quotes for mscgen. Its escapes are \" and \n, and there is none for the
// backslash: one that looks alike stands for it.
func mscString(s string) string {
	return `"` + strings.NewReplacer(`\`, "\u2216", `"`, `\"`).Replace(s) + `"`
}
