package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
)

const benchDescription = `
Puts load on a switch, checks all that comes back, and tells how fast it was. Switch and bench
share the machine, if they do: give the CPU seconds a look before comparing.

  rpc    calls, served by an echo on a connection of its own in this process. With --queue a
         queue that others serve; somewhere, type: switch serve QUEUE --echo
  send   messages into a queue, each waiting for its receipt
  pipe   end to end: each caller has up to 16 messages under way without a receipt, and consumers,
         as many as connections and on connections of their own, ack every message. Latency is
         from before the send to the delivery. Callers pause when 64 MiB or 65,536 messages are
         on their way

Every reply is compared with its request, byte for byte, and no two requests are the same. Every
number sent must come out of the queue once, whole: pipe counts as it goes, send reads its queue
back afterwards. A redelivery is no fault, and counted apart. In memory, send's queue keeps the
newest 64 MiB; how many older ones it dropped must be right, too.

With --rate a call has an instant at which it is due, whether or not a caller is free, and its latency
counts from there: what a stall holds up is not left out. If the timer of a free caller is late,
by 2 ms at most, that is this machine's doing and is not counted. "late" are calls that began more
than 2 ms after they were due; "not begun" those that were due and never had a caller.

Operations that began in the warm-up are checked but not counted; errors and mismatches always
count. Per second is what was completed in the time measured. MB are 1,000,000 bytes of bodies,
each body once. bench makes a queue named bench.… and destroys it at the end, also after Ctrl-C,
which ends the run with what there is so far. Any error or mismatch exits 1.`

func (sh *shell) benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Category: groupLook, Usage: "put load on a switch, and measure",
		ArgsUsage:   "rpc [--queue QUEUE]\nsend [--durable]\npipe [--durable]",
		Description: benchDescription,
		Flags: flags(
			&cli.UintFlag{Name: "callers", Aliases: []string{"c"}, Value: 64, Usage: "`N`: how many call or send at a time"},
			&cli.UintFlag{Name: "connections", Value: 1, Usage: "`N`: how many connections the callers share"},
			sizeFlag("size", "`SIZE`: of each body; at least 24 bytes, which make it unique", 128),
			durationFlag("duration", "`TIME`: how long to measure", 5*time.Second),
			durationFlag("warmup", "`TIME`: how long to run before that", time.Second),
			durationFlag("timeout", "`TIME`: how long an operation may take; then it is an error", 10*time.Second),
			&cli.UintFlag{Name: "rate", DefaultText: "as fast as it goes", Usage: "`N`: so many operations a second in all"},
			&cli.BoolFlag{Name: "durable", Usage: "keep the queue on disk; the switch needs a data directory"},
			&cli.StringFlag{Name: "queue", Usage: "`QUEUE`: for rpc, a queue that others serve"},
			sh.outputFlag(formatTable, formatJSON), nameFlag(), addrFlag()),
		Action: sh.bench,
	}
}

func (sh *shell) bench(c *cli.Context) error {
	plan, err := sh.benchPlan(c)
	if err != nil {
		return err
	}
	b := &benchRun{sh: sh, plan: plan, cargo: newCargo(int(plan.Size))}
	res, err := b.measure(c)
	if left := b.close(c.Context); err == nil {
		err = left
	} else if left != nil {
		sh.notice("%v", left)
	}
	if res == nil {
		return err
	}
	err = errors.Join(sh.printBench(res), err)
	switch faults := res.faults(); {
	case faults != "" && err != nil:
		return fmt.Errorf("bench %s: %s\n%v", plan.Bench, faults, err) //nolint:errorlint // faults decide the exit code
	case faults != "":
		return fmt.Errorf("bench %s: %s", plan.Bench, faults)
	case err == nil && res.Interrupted:
		return context.Canceled // finish knows by which signal
	}
	return err
}
