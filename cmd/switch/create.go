package main

import (
	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
)

const createDescription = `
Makes a queue. If there is one of that name with the same options, nothing happens; with others it
fails. Options that are not given are not compared.`

func (sh *shell) createCommand() *cli.Command {
	return &cli.Command{
		Name: "create", Category: groupQueue, Usage: "make a queue",
		ArgsUsage:   "QUEUE [OPTIONS]",
		Description: createDescription,
		Flags: flags(
			&cli.StringFlag{Name: "durability", Usage: "`KIND`: what messages survive: memory (lost when the switch ends) or durable; the switch decides if none is given"},
			&cli.Uint64Flag{Name: "max-messages", DefaultText: "1000000", Usage: "`N`: at most so many messages, waiting and leased"},
			sizeFlag("max-bytes", "`SIZE`: at most so many bytes of bodies, waiting and leased; 1 GiB if none is given", 0),
			durationFlag("max-age", "`TIME`: how long a message may wait; for ever if none is given", 0),
			&cli.StringFlag{Name: "overflow", Usage: "`WHAT`: what a full queue does: reject a new message, or drop-oldest", DefaultText: "reject"},
			&cli.UintFlag{Name: "max-attempts", DefaultText: "5", Usage: "`N`: how many attempts without an ack make a message dead"},
			&cli.StringFlag{Name: "dead-letter-queue", DefaultText: "QUEUE.dead", Usage: "`NAME`: where dead messages go"},
			&cli.BoolFlag{Name: "no-dead-letter", Usage: "drop dead messages"},
			durationFlag("lease", "`TIME`: how long a lease lasts unless its consumer says otherwise; 30s if none is given", 0),
			sh.outputFlag(formatTable, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: sh.create,
	}
}

// created is what create did, as a document.
type created struct {
	Queue   string `json:"queue"`
	Created bool   `json:"created"`
}

func (sh *shell) create(c *cli.Context) error {
	words, err := sh.words(c, "QUEUE")
	if err != nil {
		return err
	}
	opts, err := queueOptions(c)
	if err != nil {
		return err
	}
	return sh.withClient(c, func(cl *client.Client) error {
		isNew, err := cl.Create(c.Context, words[0], opts)
		if err != nil {
			return err
		}
		what := "made"
		if !isNew {
			what = "was there already"
		}
		return sh.done(created{words[0], isNew}, "%s %s", plain(words[0]), what)
	})
}

// queueOptions reads the flags.
func queueOptions(c *cli.Context) (client.QueueOptions, error) {
	o := client.QueueOptions{
		MaxMessages:     c.Uint64("max-messages"),
		MaxBytes:        size(c, "max-bytes"),
		MaxAge:          duration(c, "max-age"),
		DeadLetterQueue: c.String("dead-letter-queue"),
		NoDeadLetter:    c.Bool("no-dead-letter"),
		Lease:           duration(c, "lease"),
	}
	var err error
	if o.MaxAttempts, err = maxAttempts(c); err != nil {
		return o, err
	}
	switch d := c.String("durability"); d {
	case "":
	case "memory":
		o.Durability = client.Memory
	case "durable":
		o.Durability = client.Durable
	default:
		return o, usage("--durability %q: one of memory, durable", d)
	}
	switch d := c.String("overflow"); d {
	case "":
	case "reject":
		o.Overflow = client.Reject
	case "drop-oldest":
		o.Overflow = client.DropOldest
	default:
		return o, usage("--overflow %q: one of reject, drop-oldest", d)
	}
	if o.NoDeadLetter && o.DeadLetterQueue != "" {
		return o, usage("--dead-letter-queue and --no-dead-letter exclude each other")
	}
	return o, nil
}
