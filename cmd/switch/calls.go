package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const callsDescription = `
Shows the calls that wait or run, of one queue or of all: requests whose reply somebody wants. A
call's name is the message id of its request. On a terminal, calls that a handler made for the
one that it works on stand below that one.

TRY is the attempt that runs, or ran last, LEFT the time until the call expires. Off a terminal
the columns are: call, queue, state, caller, server, try, age, running, left, parent.`

func (sh *shell) callsCommand() *cli.Command {
	return &cli.Command{
		Name: "calls", Category: groupLook, Usage: "show the calls that wait or run",
		ArgsUsage:   "[QUEUE] [--prefix P]",
		Description: callsDescription,
		Flags: flags(
			&cli.StringFlag{Name: "prefix", Aliases: []string{"p"}, Usage: "`P`: only queues whose names begin with this"},
			&cli.UintFlag{Name: "limit", Aliases: []string{"n"}, Value: 1000, Usage: "`N`: at most so many; at most 100000"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL, formatRaw), addrFlag()),
		Action: sh.calls,
	}
}

func (sh *shell) calls(c *cli.Context) error {
	query := client.CallQuery{Prefix: c.String("prefix"), Limit: int(min(c.Uint("limit"), 1<<20))}
	if c.Args().Present() {
		words, err := sh.words(c, "QUEUE")
		if err != nil {
			return err
		}
		query.Queue = words[0]
	}
	return sh.withAdmin(c, func(a *client.Admin) error {
		calls, more, err := callsOf(c.Context, a, query)
		if err != nil {
			return err
		}
		if err := sh.printCalls(calls); err != nil {
			return err
		}
		if more {
			sh.notice("there are more than %d; say --limit, or name a queue", len(calls))
		}
		return nil
	})
}

// callsOf are the calls, and whether there are more.
func callsOf(ctx context.Context, a *client.Admin, query client.CallQuery) (calls []client.CallInfo, more bool, err error) {
	for call, err := range a.Calls(ctx, query) {
		switch {
		case errors.Is(err, client.ErrMoreCalls):
			return calls, true, nil
		case err != nil:
			return nil, false, err
		}
		calls = append(calls, call)
	}
	return calls, false, nil
}

func (sh *shell) printCalls(calls []client.CallInfo) error {
	switch {
	case sh.wantsJSON():
		return jsonList(sh, calls)
	case sh.format == formatRaw:
		for _, c := range calls {
			if _, err := fmt.Fprintln(sh.out, c.Call); err != nil {
				return err
			}
		}
		return nil
	case len(calls) == 0 && sh.outTerm:
		sh.notice("no calls wait or run")
	}
	heads := []string{"CALL", "QUEUE", "STATE", "CALLER", "SERVER", ">TRY", ">AGE", ">RUNNING", ">LEFT"}
	if !sh.outTerm {
		t := sh.table(append(heads, "PARENT")...)
		for _, c := range calls {
			t.row(append(callCells(c), c.Parent)...)
		}
		return t.print()
	}
	t := sh.table(heads...)
	for _, c := range callTree(calls) {
		cells := callCells(c.CallInfo)
		cells[0] = strings.Repeat("  ", c.depth) + cells[0]
		t.row(cells...)
	}
	return t.print()
}

// callCells are the columns of a call.
func callCells(c client.CallInfo) []string {
	caller, server := plain(c.Caller), ""
	switch c.CallerState {
	case client.CallerGone, client.CallerLost:
		caller += " (" + string(c.CallerState) + ")"
	default:
	}
	if c.Server != "" {
		server = plain(c.Server)
		if !c.ServerConnected {
			server += " (lost)"
		}
	}
	return []string{c.Call, plain(c.Queue), callState(c), caller, server, fmt.Sprintf("%d/%d", c.Attempt, c.MaxAttempts), brief(c.Age), briefOr(c.Running), briefOr(c.Timeout)}
}

// callState is a call's state in a word or two.
func callState(c client.CallInfo) string {
	switch {
	case c.State == client.MessageLeased:
		return "running"
	case c.State == client.MessageDelayed:
		return "delayed"
	case c.Consumers == 0:
		return "queued, unserved"
	}
	return "queued"
}

// briefOr is a time for people; nothing for none.
func briefOr(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return brief(d)
}

// A branch is a call with its place in the tree.
type branch struct {
	client.CallInfo
	depth int
}

// callTree puts calls below those that they were made for. A parent that is not
// there, or that is a child's own child, counts as none.
func callTree(calls []client.CallInfo) (tree []branch) {
	known, children := map[string]bool{}, map[string][]client.CallInfo{}
	for _, c := range calls {
		known[c.Call] = true
	}
	placed := map[string]bool{}
	var place func(c client.CallInfo, depth int)
	place = func(c client.CallInfo, depth int) {
		if placed[c.Call] {
			return
		}
		placed[c.Call] = true
		tree = append(tree, branch{c, depth})
		for _, child := range children[c.Call] {
			place(child, depth+1)
		}
	}
	for _, c := range calls {
		if known[c.Parent] {
			children[c.Parent] = append(children[c.Parent], c)
		}
	}
	for _, c := range calls {
		if !known[c.Parent] {
			place(c, 0)
		}
	}
	for _, c := range calls { // what a circle would hide
		place(c, 0)
	}
	return tree
}
