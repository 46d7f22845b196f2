package main

import (
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// A durationValue is a flag's time. Unlike package flag's, it says what is wrong
// with a number that has no unit.
type durationValue time.Duration

// Set is part of flag.Value.
func (v *durationValue) Set(s string) error {
	d, err := parseDuration(s)
	*v = durationValue(d)
	return err
}

// String is part of flag.Value.
func (v *durationValue) String() string { return time.Duration(*v).String() }

// durationFlag is a flag whose value is a time; a zero default is not shown.
func durationFlag(name, usage string, value time.Duration, env ...string) *cli.GenericFlag {
	v := durationValue(value)
	f := &cli.GenericFlag{Name: name, Usage: usage, Value: &v, EnvVars: env}
	if value == 0 {
		f.DefaultText = "-"
	}
	return f
}

// duration gives the value of a durationFlag.
func duration(c *cli.Context, name string) time.Duration {
	return time.Duration(*c.Generic(name).(*durationValue))
}

// A sizeValue is a flag's number of bytes.
type sizeValue uint64

// Set is part of flag.Value.
func (v *sizeValue) Set(s string) error {
	n, err := parseSize(s)
	*v = sizeValue(n)
	return err
}

// String is part of flag.Value.
func (v *sizeValue) String() string { return byteSize(uint64(*v)) }

// sizeFlag is a flag whose value is a number of bytes; a zero default is not
// shown.
func sizeFlag(name, usage string, value uint64, env ...string) *cli.GenericFlag {
	v := sizeValue(value)
	f := &cli.GenericFlag{Name: name, Usage: usage, Value: &v, EnvVars: env}
	if value == 0 {
		f.DefaultText = "-"
	}
	return f
}

// size gives the value of a sizeFlag.
func size(c *cli.Context, name string) uint64 {
	return uint64(*c.Generic(name).(*sizeValue))
}

// addrFlag says where the switch is.
func addrFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "addr", Value: client.DefaultAddr, EnvVars: []string{"SWITCH_ADDR"},
		Usage: "`ADDR`: where the switch is, HOST:PORT or unix:///PATH",
	}
}

// nameFlag says what the session calls itself.
func nameFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "name", EnvVars: []string{"SWITCH_NAME"}, DefaultText: "-",
		Usage: "`NAME`: what to be called in diagnostics and traces; VERB:PID@HOST if none is given",
	}
}

// bodyFlags say what a message carries.
func bodyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "body", Aliases: []string{"b"}, Usage: "`TEXT`: the body"},
		&cli.StringFlag{Name: "file", Usage: "`FILE`: where the body is; - is standard input"},
		&cli.StringSliceFlag{Name: "header", Aliases: []string{"H"}, Usage: "`KEY=VALUE`: a header; may be repeated"},
		&cli.UintFlag{Name: "max-attempts", DefaultText: "-",
			Usage: "`N`: how many attempts without an ack make the message dead; 1 is at most once; the queue decides if none is given"},
		&cli.StringFlag{Name: "wait", DefaultText: "queue", EnvVars: []string{"SWITCH_WAIT"},
			Usage: "`HOW`: fail: at once when nobody serves the queue; queue: as long as --timeout says; a TIME, such as 2s: until it has to be begun"},
		&cli.BoolFlag{Name: "fail-fast", Usage: "the same as --wait fail"},
	}
}

// A waiting is how long a message waits to be begun.
type waiting struct {
	fail   bool          // not at all: when nobody serves the queue
	within time.Duration // so long; zero: as long as it lives
}

// waitFlag reads --wait and --fail-fast.
func waitFlag(c *cli.Context) (w waiting, err error) {
	how := c.String("wait")
	switch how {
	case "", "queue":
	case "fail":
		w.fail = true
	default:
		if w.within, err = parseDuration(how); err != nil || w.within == 0 {
			return w, usage("--wait %q: fail, queue, or a time such as 2s is wanted", how)
		}
	}
	if c.Bool("fail-fast") {
		if how != "" && !w.fail {
			return w, usage("--fail-fast and --wait %s exclude each other", how)
		}
		w.fail = true
	}
	return w, nil
}

// options adds what w means for a call.
func (w waiting) options(opts []rpc.CallOption) []rpc.CallOption {
	if w.fail {
		opts = append(opts, rpc.RequireServer())
	}
	return append(opts, rpc.StartWithin(w.within))
}

// parentCall is the call that this process works on, if it was started to answer
// one: what it calls ends with that.
func parentCall() string {
	if id := os.Getenv(envCall); callID.MatchString(id) {
		return id
	}
	return ""
}

// envCall names the call that a program answers.
const envCall = "SWITCH_CALL"

// callID is what a message id looks like.
var callID = regexp.MustCompile(`^[0-9a-v]+-[0-9a-v]+-[0-9a-v]+$`)

// mostAttempts is the protocol's limit.
const mostAttempts = 1_000_000

// maxAttempts reads --max-attempts; zero leaves it to the queue.
func maxAttempts(c *cli.Context) (int, error) {
	n := c.Uint("max-attempts")
	if n > mostAttempts {
		return 0, usage("--max-attempts %d: at most %d", n, mostAttempts)
	}
	return int(n), nil
}

// A traceparent of W3C Trace Context, and a tracestate that is to be passed on.
var (
	traceparent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	tracestate  = regexp.MustCompile(`^[ -~]{1,512}$`)
)

// headers reads the --header flags. What stands in TRACEPARENT, and with it in
// TRACESTATE, becomes a header as well: so what a program calls belongs to the
// trace of the request that it works on.
func headers(c *cli.Context) (map[string]string, error) {
	h := map[string]string{}
	for _, s := range c.StringSlice("header") {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, usage("--header %q has no key and value; type it as --header KEY=VALUE", s)
		}
		h[k] = v
	}
	if _, own := h["traceparent"]; own {
		return h, nil
	}
	if parent := os.Getenv("TRACEPARENT"); traceparent.MatchString(parent) {
		h["traceparent"] = parent
		if _, own := h["tracestate"]; !own && tracestate.MatchString(os.Getenv("TRACESTATE")) {
			h["tracestate"] = os.Getenv("TRACESTATE")
		}
	}
	return h, nil
}

// flags joins groups of flags.
func flags(groups ...any) []cli.Flag {
	var all []cli.Flag
	for _, g := range groups {
		switch g := g.(type) {
		case cli.Flag:
			all = append(all, g)
		case []cli.Flag:
			all = append(all, g...)
		}
	}
	return all
}
