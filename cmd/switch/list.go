package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const listDescription = `
Names the queues that are being served: those with a consumer whose session lives. --all names
the others too, and --temporary those that belong to a session, such as reply queues.

In the table, delayed messages count as waiting, and the age is that of the oldest message. Off a
terminal the columns are: queue, state, waiting, leased, bytes, consumers, age.`

func (sh *shell) listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Category: groupQueue, Usage: "name the queues",
		ArgsUsage:   "[--prefix P] [--all] [--temporary]",
		Description: listDescription,
		Flags: flags(
			&cli.StringFlag{Name: "prefix", Aliases: []string{"p"}, Usage: "`P`: only names that begin with this"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also queues that nobody serves"},
			&cli.BoolFlag{Name: "temporary", Aliases: []string{"t"}, Usage: "also temporary queues"},
			sh.outputFlag(formatTable, formatJSON, formatJSONL, formatRaw), addrFlag()),
		Action: sh.list,
	}
}

func (sh *shell) list(c *cli.Context) error {
	if _, err := sh.words(c); err != nil {
		return err
	}
	query := client.ListQuery{Prefix: c.String("prefix"), ServedOnly: !c.Bool("all"), Temporary: c.Bool("temporary")}
	return sh.withAdmin(c, func(a *client.Admin) error {
		var queues []client.QueueSummary
		for q, err := range a.List(c.Context, query) {
			if err != nil {
				return err
			}
			queues = append(queues, q)
		}
		return sh.printQueues(queues, query)
	})
}

func (sh *shell) printQueues(queues []client.QueueSummary, query client.ListQuery) error {
	switch {
	case sh.wantsJSON():
		return jsonList(sh, queues)
	case sh.format == formatRaw:
		for _, q := range queues {
			if _, err := fmt.Fprintln(sh.out, q.Queue); err != nil {
				return err
			}
		}
		return nil
	case len(queues) == 0 && sh.outTerm && query.ServedOnly:
		sh.notice("no queue is being served; list --all names the others")
	case len(queues) == 0 && sh.outTerm:
		sh.notice("there are no queues")
	}
	t := sh.table("QUEUE", "STATE", ">WAITING", ">LEASED", ">SIZE", ">CONSUMERS", ">AGE")
	for _, q := range queues {
		age := ""
		if q.Waiting+q.Leased > 0 {
			age = brief(q.OldestAge)
		}
		t.row(plain(q.Queue), queueState(q), fmt.Sprint(q.Waiting), fmt.Sprint(q.Leased), sh.size(q.Bytes), fmt.Sprint(q.Consumers), age)
	}
	return t.print()
}

// size is a number of bytes: for people on a terminal, plain elsewhere.
func (sh *shell) size(n uint64) string {
	if sh.outTerm {
		return byteSize(n)
	}
	return fmt.Sprint(n)
}

// queueState is a queue's kind and state in a word or two.
func queueState(q client.QueueSummary) string {
	var words []string
	if q.Consumers > 0 {
		words = append(words, "served")
	} else {
		words = append(words, "unserved")
	}
	switch {
	case q.Temporary:
		words = append(words, "temporary")
	case q.Durability == client.Durable:
		words = append(words, "durable")
	}
	return strings.Join(words, ", ")
}
