package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

const recvDescription = `
Takes messages off a queue and prints their bodies: the only one as it is, more than one each with
a newline at its end. A message is acked once it has been written to standard output, so one that
could not be written is delivered again. With --no-ack all that was shown goes back to its place.

It waits for each message, for ever or for the time of --wait; when that is over it exits 0 if
anything came, and 68 if nothing did.

To look without taking, see peek; to answer requests, see serve.`

func (sh *shell) recvCommand() *cli.Command {
	return &cli.Command{
		Name: "recv", Category: groupMove, Usage: "take messages off a queue and print them",
		ArgsUsage:   "QUEUE [--count N] [--wait TIME]",
		Description: recvDescription,
		Flags: flags(
			&cli.UintFlag{Name: "count", Aliases: []string{"n"}, Value: 1, Usage: "`N`: how many messages to take; 0 is all that ever come"},
			durationFlag("wait", "`TIME`: how long to wait for each message; for ever if none is given", 0),
			&cli.BoolFlag{Name: "no-ack", Usage: "give back what was shown"},
			&cli.BoolFlag{Name: "create", Usage: "make the queue if it is missing"},
			sh.outputFlag(formatRaw, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: sh.recv,
	}
}

// A receiver takes messages off a queue.
type receiver struct {
	sh    *shell
	count uint          // zero: no bound
	wait  time.Duration // for each message; zero: for ever
	ack   bool
	held  []*client.Delivery // shown, and to be given back
	taken uint
}

func (sh *shell) recv(c *cli.Context) error {
	words, err := sh.words(c, "QUEUE")
	if err != nil {
		return err
	}
	r := &receiver{sh: sh, count: c.Uint("count"), wait: duration(c, "wait"), ack: !c.Bool("no-ack")}
	if !r.ack && r.count == 0 {
		return usage("--no-ack needs a --count: what was shown is held until the end")
	}
	opts := client.ConsumeOptions{Credit: r.credit()}
	if c.Bool("create") {
		opts.Create = &client.QueueOptions{}
	}
	return sh.withClient(c, func(cl *client.Client) error {
		err := r.take(c.Context, cl, words[0], opts)
		return errors.Join(err, r.giveBack(c.Context))
	})
}

// giveBackTime is how long the switch may take to take messages back. If it is
// longer away, their leases end by themselves.
const giveBackTime = 2 * time.Second

// giveBack releases what was shown and not acked.
func (r *receiver) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	for _, d := range r.held {
		if err := d.Release(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recvCredit is how many messages are under way while one is written: enough to
// hide the way to the switch, few enough to leave work for others.
const recvCredit = 16

// credit is how many messages may be held at a time. Those that are given back
// are all held at the end.
func (r *receiver) credit() int {
	if r.ack && (r.count == 0 || r.count > recvCredit) {
		return recvCredit
	}
	return int(r.count)
}

// take takes messages until there were enough, or none came in time.
func (r *receiver) take(ctx context.Context, cl *client.Client, queue string, opts client.ConsumeOptions) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(max(r.wait, time.Hour), cancel) // set below
	defer timer.Stop()
	if r.wait == 0 {
		timer.Stop()
	} else {
		timer.Reset(r.wait)
	}
	for d, err := range cl.Consume(waiting, queue, opts) {
		if err != nil {
			return err
		}
		timer.Stop()
		if err := r.show(ctx, d); err != nil {
			return err
		}
		if r.taken == r.count {
			return nil
		}
		if r.wait > 0 {
			timer.Reset(r.wait)
		}
	}
	if ctx.Err() == nil && r.taken == 0 {
		return &client.Error{Code: codes.DeadlineExceeded, Message: fmt.Sprintf("nothing came to %s within %v", plain(queue), r.wait)}
	}
	return ctx.Err()
}

// show writes a message, and acks it once it is written.
func (r *receiver) show(ctx context.Context, d *client.Delivery) error {
	r.taken++
	r.held = append(r.held, d)
	if err := r.print(d); err != nil {
		return err
	}
	if !r.ack {
		return nil
	}
	r.held = nil
	if d.ReplyTo != "" {
		r.sh.notice("%s: message %s wanted a reply, and was taken without one", r.sh.name, d.MessageID)
	}
	return d.AckWait(context.WithoutCancel(ctx))
}

// print writes a message in the format that was asked for.
func (r *receiver) print(d *client.Delivery) error {
	if r.sh.wantsJSON() {
		return r.sh.json(newReceived(d))
	}
	if r.count == 1 {
		return r.sh.printBody(d.Body)
	}
	return r.sh.printLine(d.Body)
}

// received is a delivery as a document.
type received struct {
	Queue         string            `json:"queue"`
	MessageID     string            `json:"message_id"`
	Attempt       int               `json:"attempt"`
	Sent          time.Time         `json:"sent"`
	Headers       map[string]string `json:"headers,omitempty"`
	CorrelationID string            `json:"correlation_id,omitempty"`
	ReplyTo       string            `json:"reply_to,omitempty"`
	payload
}

func newReceived(d *client.Delivery) received {
	return received{
		Queue: d.Queue, MessageID: d.MessageID, Attempt: d.Attempt, Sent: d.Sent(), Headers: d.Headers,
		CorrelationID: d.CorrelationID, ReplyTo: d.ReplyTo, payload: newPayload(d.Body),
	}
}
