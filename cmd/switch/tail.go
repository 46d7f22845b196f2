package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const tailDescription = `
Prints what the switch has done lately, oldest first, from its flight recorder, which keeps some
thousand events. With --follow it goes on with what happens from then on.

The columns are: time, sender, arrow, queue, arrow, receiver, the time from delivery to the end of
it, and what happened. Names are cut on a terminal; nothing is off it, where tabs stand between
the columns and times are in full.`

func (sh *shell) tailCommand() *cli.Command {
	return &cli.Command{
		Name: "tail", Category: groupLook, Usage: "print what happens, message by message",
		ArgsUsage:   "[--follow] [--queue QUEUE]",
		Description: tailDescription,
		Flags: flags(
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "stay, and print what happens from now on"},
			&cli.StringFlag{Name: "queue", Aliases: []string{"q"}, Usage: "`QUEUE`: only what happens to this one"},
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, Value: 50, Usage: "`N`: how many of the last events to begin with; 0 is all there are"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: sh.tail,
	}
}

func (sh *shell) tail(c *cli.Context) error {
	if _, err := sh.words(c); err != nil {
		return err
	}
	if c.Bool("follow") && sh.format == formatJSON {
		return usage("--follow has no end, and -o json prints one document; use -o jsonl")
	}
	return sh.withAdmin(c, func(a *client.Admin) error {
		query := client.TraceQuery{Queue: c.String("queue")}
		events, last, err := recent(c.Context, a, query, int(c.Uint("count")))
		if err != nil {
			return err
		}
		if sh.format == formatJSON {
			return jsonList(sh, events)
		}
		p := &tracePrinter{sh: sh}
		for _, e := range events {
			if err := p.print(e); err != nil {
				return err
			}
		}
		if !c.Bool("follow") {
			return nil
		}
		query.After, query.Follow = last, true
		for e, err := range a.Trace(c.Context, query) {
			if err != nil {
				return err
			}
			if err := p.print(e); err != nil {
				return err
			}
		}
		return c.Err()
	})
}

// recent gives the last n events, all if n is 0, and the number of the last one
// that there was.
func recent(ctx context.Context, a *client.Admin, query client.TraceQuery, n int) (events []client.TraceEvent, last uint64, err error) {
	for e, err := range a.Trace(ctx, query) {
		if err != nil {
			return nil, 0, err
		}
		last = e.Number
		if events = append(events, e); n > 0 && len(events) > n {
			events = events[1:]
		}
	}
	return events, last, nil
}

// A tracePrinter writes events as they come.
type tracePrinter struct {
	sh     *shell
	begun  bool
	widths [3]int // of sender, queue and receiver
}

// print writes one event in the format that was asked for.
func (p *tracePrinter) print(e client.TraceEvent) error {
	if p.sh.wantsJSON() {
		return p.sh.json(e)
	}
	if e.Missed > 0 {
		p.sh.notice("%s: %s missed: the recorder had written over them", p.sh.name, plural(e.Missed, "event"))
	}
	cells := traceCells(e)
	if !p.sh.outTerm {
		cells[0] = e.Time.Format(time.RFC3339Nano)
		_, err := fmt.Fprintln(p.sh.out, strings.Join(cells, "\t"))
		return err
	}
	if !p.begun {
		p.begin()
		head := []string{"TIME", "SENDER", " ", "QUEUE", " ", "RECEIVER", "TOOK", "EVENT"}
		if err := p.line(head, p.sh.faint); err != nil {
			return err
		}
	}
	return p.line(cells, func(s string) string { return s })
}

// begin shares out the width: what time, arrows and took leave, and a quarter
// of the rest or more for the event.
func (p *tracePrinter) begin() {
	p.begun = true
	room := p.sh.width - 12 - 6 - 2 - 7*1
	p.widths = [3]int{min(room*22/100, 24), min(room*19/100, 30), min(room*22/100, 24)}
}

func (p *tracePrinter) line(cells []string, style func(string) string) error {
	w := p.widths
	line := fmt.Sprintf("%-12s %s %s %s %s %s %6s %s", cells[0],
		pad(cells[1], w[0]), pad(cells[2], 1), pad(cells[3], w[1]), pad(cells[4], 1), pad(cells[5], w[2]), cells[6], cells[7])
	_, err := io.WriteString(p.sh.out, style(fit(strings.TrimRight(line, " "), p.sh.width))+"\n")
	return err
}

// pad is s in exactly width columns.
func pad(s string, width int) string {
	s = fit(s, width)
	return s + strings.Repeat(" ", width-len([]rune(s)))
}

// traceCells are the columns of an event. What is sent goes to a queue, what is
// delivered from a queue to its receiver, and what ends a delivery comes back.
func traceCells(e client.TraceEvent) []string {
	cells := []string{e.Time.Local().Format("15:04:05.000"), nameCell(e.Sender), "", nameCell(e.Queue), "", nameCell(e.Receiver), "", traceText(e)}
	switch e.Kind {
	case client.TraceSent:
		cells[2], cells[5] = "→", ""
	case client.TraceDelivered:
		cells[4] = "→"
	case client.TraceAcked, client.TraceReplied, client.TraceReturned, client.TraceDead:
		cells[4] = "←"
	default:
	}
	if e.Took > 0 {
		cells[6] = brief(e.Took)
	}
	return cells
}

func nameCell(name string) string {
	if name == "" {
		return ""
	}
	return plain(name)
}

// traceText is what happened, in words.
func traceText(e client.TraceEvent) string {
	text := strings.ToLower(e.Kind.String())
	switch e.Kind {
	case client.TraceSent, client.TraceDelivered:
		text = excerpt(e.BodyPrefix, e.BodyBytes, largestBody)
	default:
	}
	if e.Attempt > 1 {
		text = fmt.Sprintf("attempt %d: %s", e.Attempt, text)
	}
	if e.Reason != "" {
		text += ": " + strings.ToLower(strings.ReplaceAll(e.Reason, "_", " "))
	}
	return text
}
