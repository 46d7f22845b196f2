package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/server/datadir"
)

const checkDescription = `
Reads all of a data directory, or of an unpacked backup, down to the checksum of each block, and
says whether the records are whole and fit together. No switch may be using it. Nothing is
changed and nothing repaired: what is wrong is listed on standard output, and the exit code is 1.`

func (sh *shell) checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Category: groupKeep, Usage: "verify a data directory",
		ArgsUsage:   "DIR",
		Description: checkDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL)),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "DIR")
			if err != nil {
				return err
			}
			p := &progress{sh: sh, what: "checked"}
			r, err := datadir.Check(words[0], p.update)
			p.end()
			if err != nil {
				return err
			}
			return sh.printReport(words[0], r)
		},
	}
}

// printReport prints what was found; problems are an error.
func (sh *shell) printReport(dir string, r *datadir.Report) error {
	if sh.wantsJSON() {
		if err := sh.json(r); err != nil {
			return err
		}
	} else {
		t := sh.table("", "")
		t.row("queues", fmt.Sprint(r.Queues))
		t.row("messages", fmt.Sprint(r.Messages))
		t.row("size", byteSize(uint64(r.Bytes)))
		t.row("requests", fmt.Sprint(r.Requests))
		t.row("sessions", fmt.Sprint(r.Sessions))
		t.row("calls with keys", fmt.Sprint(r.Keyed))
		t.row("tables", fmt.Sprint(r.Tables))
		for _, p := range r.Problems {
			t.row("problem", printable(p))
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	return badReport(dir, r)
}

// badReport is the error of a report with problems.
func badReport(dir string, r *datadir.Report) error {
	if r.Good() {
		return nil
	}
	return fmt.Errorf("%s is damaged: %s; keep a copy of it, and see docs/runbook.md for the ways out", dir, plural(len(r.Problems), "problem"))
}
