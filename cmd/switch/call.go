package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

const callDescription = `
Sends a request to a queue, waits until somebody has served it, and prints the reply as it is; on
a terminal a newline is added if it has none. The queue is made if it is missing, so that the
caller may come before the server.

The body is what --body or --file say, or what standard input has; at a terminal it is empty.

With --stream the reply is printed in parts, as they come. So is the request sent: what --file or
standard input have goes out as it is read, in parts of up to 64 KiB, however much that is; --body
travels with the request. The server sees a stream (rpc's Request.Stream; a program's stdin and
stdout). If it is lost once a part of the reply came, the call fails with STREAM_BROKEN.

Started by a server's --program, it belongs to the call that the program answers (SWITCH_CALL):
it ends with that one.

Without --timeout the call waits for ever. When its time is up it exits 68, and a request that
still waits is withdrawn. When the handler failed, its gRPC code and 64 is the exit code.

With --key the call may be typed again until there is a reply: whoever calls with the same key and
body joins the call that runs, or gets the reply that is kept for --key-ttl. With --detach nobody
waits: it prints the id of the call once the switch has it, and "attach ID" waits for the reply;
--timeout is then how long the request is worth serving.`

func (sh *shell) callCommand() *cli.Command {
	return &cli.Command{
		Name: "call", Category: groupRun, Usage: "send a request and print the reply",
		ArgsUsage:   "QUEUE [--body TEXT | --file FILE]",
		Description: callDescription,
		Flags: flags(bodyFlags(),
			&cli.BoolFlag{Name: "stream", Usage: "send the input, and print the reply, in parts as they come"},
			durationFlag("timeout", "`TIME`: how long to wait for the reply; for ever if none is given", 0, "SWITCH_TIMEOUT"),
			&cli.StringFlag{Name: "key", Usage: "`KEY`: of calls with one key, one runs, and all get its reply"},
			durationFlag("key-ttl", "`TIME`: how long the reply is kept for the key; 10m if none is given", 0),
			&cli.BoolFlag{Name: "detach", Usage: "print the id of the call and do not wait for the reply"},
			sh.outputFlag(formatRaw, formatJSON, formatJSONL), nameFlag(), addrFlag()),
		Action: sh.call,
	}
}

func (sh *shell) call(c *cli.Context) error {
	words, err := sh.words(c, "QUEUE")
	if err != nil {
		return err
	}
	req := rpc.Request{Queue: words[0]}
	if req.Headers, err = headers(c); err != nil {
		return err
	}
	streams := c.Bool("stream")
	switch {
	case streams && sh.format == formatJSON:
		return usage("--stream prints as it goes; use -o jsonl")
	case streams && (c.IsSet("key") || c.Bool("detach")):
		return usage("--stream with --key or --detach: the parts of a stream are not kept")
	case streams:
		req.Body = []byte(c.String("body"))
	default:
		if req.Body, err = sh.body(c); err != nil {
			return err
		}
	}
	attempts, err := maxAttempts(c)
	if err != nil {
		return err
	}
	opts := []rpc.CallOption{rpc.CreateQueue(client.QueueOptions{}), rpc.WithMaxAttempts(attempts)}
	wait, err := waitFlag(c)
	if err != nil {
		return err
	}
	opts = append(wait.options(opts), rpc.ChildOf(parentCall()))
	key, err := keyOptions(c)
	if err != nil {
		return err
	}
	opts = append(opts, key...)
	if c.Bool("detach") {
		return sh.detach(c, req, opts)
	}
	late := fmt.Sprintf("no reply from queue %q within %v; it was withdrawn if it still waited", req.Queue, duration(c, "timeout"))
	return sh.await(c, late, func(caller *rpc.Caller) (*rpc.Response, error) {
		if streams {
			return nil, sh.callStream(c, caller, req, opts)
		}
		return caller.Do(c.Context, req, opts...)
	})
}

// await prints the reply for which a call waits as long as --timeout says; late is
// what to say when that was not enough. A call that has printed by itself has no
// reply.
func (sh *shell) await(c *cli.Context, late string, call func(*rpc.Caller) (*rpc.Response, error)) error {
	if t := duration(c, "timeout"); t > 0 {
		timed, cancel := context.WithTimeout(c.Context, t)
		defer cancel()
		c.Context = timed // for connecting too
	}
	return sh.withClient(c, func(cl *client.Client) error {
		caller := rpc.NewCaller(cl)
		defer func() { _ = caller.Close() }() // the call is over
		res, err := call(caller)
		if e := (*rpc.Error)(nil); errors.As(err, &e) && e.Origin == rpc.OriginLocal && errors.Is(c.Err(), context.DeadlineExceeded) {
			return &worded{err, late}
		}
		if err != nil || res == nil {
			return err
		}
		return sh.printReply(res)
	})
}

// A reply is a reply as a document.
type reply struct {
	Headers map[string]string `json:"headers,omitempty"`
	payload
}

func (sh *shell) printReply(res *rpc.Response) error {
	if sh.wantsJSON() {
		return sh.json(reply{Headers: res.Headers, payload: newPayload(res.Body)})
	}
	return sh.printBody(res.Body)
}

// printBody writes a body as it is. On a terminal it ends with a newline, lest
// the prompt stand behind it.
func (sh *shell) printBody(body []byte) error {
	if sh.outTerm && len(body) > 0 && !bytes.HasSuffix(body, []byte("\n")) {
		body = append(body[:len(body):len(body)], '\n')
	}
	_, err := sh.out.Write(body)
	return err
}
