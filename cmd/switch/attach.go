package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

const attachDescription = `
Waits for the reply to a call with a key that was sent before, from here or elsewhere, and prints
it as call does. The id is what "call --detach" has printed. The reply is kept for the call's
--key-ttl; until then it may be asked for any number of times.

Without --timeout it waits for ever. When its time is up it exits 68, and the call goes on. A call
that the switch does not know, or not any more, exits 69.`

func (sh *shell) attachCommand() *cli.Command {
	return &cli.Command{
		Name: "attach", Category: groupRun, Usage: "wait for the reply to a call that was sent before",
		ArgsUsage:   "ID",
		Description: attachDescription,
		Flags: flags(durationFlag("timeout", "`TIME`: how long to wait for the reply; for ever if none is given", 0, "SWITCH_TIMEOUT"),
			sh.outputFlag(formatRaw, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "ID")
			if err != nil {
				return err
			}
			late := fmt.Sprintf("no reply to call %s within %v; the call goes on", plain(words[0]), duration(c, "timeout"))
			return sh.await(c, late, func(caller *rpc.Caller) (*rpc.Response, error) {
				return caller.Join(c.Context, words[0])
			})
		},
	}
}

// keyOptions read --key and --key-ttl. A detached call has a key in any case.
func keyOptions(c *cli.Context) (opts []rpc.CallOption, err error) {
	key, ttl := c.String("key"), duration(c, "key-ttl")
	switch {
	case key == "" && c.IsSet("key"): // as from a variable that is not set: it must not run twice unnoticed
		return nil, usage("--key is empty: it must have 1 to 255 bytes")
	case key == "" && c.Bool("detach"):
		key = rand.Text()
	case key == "" && ttl != 0:
		return nil, usage("--key-ttl without --key: it says how long the reply is kept for a key")
	case key == "":
		return nil, nil
	}
	if ttl != 0 && (ttl < time.Second || ttl > 24*time.Hour) {
		return nil, usage("--key-ttl %v: from 1s to 24h", ttl)
	}
	return []rpc.CallOption{rpc.WithKey(key), rpc.KeyTTL(ttl)}, nil
}

// A detached is a call that was sent, as a document.
type detached struct {
	Queue     string `json:"queue"`
	MessageID string `json:"message_id"`
}

// detach sends the request, and prints the id of the call.
func (sh *shell) detach(c *cli.Context, req rpc.Request, opts []rpc.CallOption) error {
	if t := duration(c, "timeout"); t > 0 {
		opts = append(opts, rpc.Timeout(t))
	}
	return sh.withClient(c, func(cl *client.Client) error {
		id, err := rpc.NewCaller(cl).Detach(c.Context, req, opts...)
		if err != nil {
			return err
		}
		if sh.wantsJSON() {
			return sh.json(detached{req.Queue, id})
		}
		_, err = sh.out.Write([]byte(id + "\n"))
		return err
	})
}
