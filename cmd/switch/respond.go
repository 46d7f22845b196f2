package main

import (
	"cmp"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

const respondDescription = `
Serves a queue until SIGINT or SIGTERM; the queue is made if it is missing. Several processes may
serve one queue: each request goes to one of them.

--program runs PATH for each request, and "--" runs PATH with arguments, without a shell:

  stdin     the request's body
  stdout    the reply
  stderr    passed on to our stderr, line by line
  exit      0: the reply is good. 65 to 80: that gRPC status, 64 less, with the last line of
            stderr as its message; 69 is NOT_FOUND. Any other: UNKNOWN, and the code is named.

The environment has SWITCH_ADDR, SWITCH_QUEUE, SWITCH_CORRELATION_ID, SWITCH_ATTEMPT,
SWITCH_DEADLINE (RFC 3339; empty if there is none) and, from the headers of the same names,
TRACEPARENT and TRACESTATE, which switch call and switch send pass on.
At the caller's deadline, and when the call is cancelled, the program's process group gets
SIGTERM, and SIGKILL 2 s later.

For switch call --stream and the like, stdin has the parts of the request as they come, and what
the program writes is sent as it writes it; its writes wait for a slow reader.

--upstream passes requests on to a server nearby, which needs to know nothing of queues:

  HOST:PORT           calls of any gRPC service, of all four kinds (also unix:///PATH)
  http://HOST:PORT/…  HTTP requests; headers http-method and http-path say which, POST / if not

A message that wants no reply is acked when the program exits with 0, and tried again if not.

The queue is served as a service, which switch service shows and pings; see there.`

// respondFlags are of serving a queue alone.
func respondFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "program", Usage: "`PATH`: what to run for each request"},
		&cli.BoolFlag{Name: "echo", Usage: "answer each request with its own body"},
		&cli.StringFlag{Name: "upstream", Usage: "`ADDR`: what to pass requests on to: HOST:PORT of a gRPC server, or http://HOST:PORT/PATH"},
		durationFlag("upstream-timeout", "`TIME`: how long the upstream may take; as long as the caller waits if none is given", 0, "SWITCH_UPSTREAM_TIMEOUT"),
		&cli.IntFlag{Name: "concurrency", EnvVars: []string{"SWITCH_CONCURRENCY"}, DefaultText: "one for each CPU; 64 with --echo and --upstream",
			Usage: "`N`: how many requests to serve at a time"},
		durationFlag("lease", "`TIME`: after so much silence of ours the switch gives our requests to others; the queue decides if none is given", 0, "SWITCH_LEASE"),
		&cli.StringFlag{Name: "service", EnvVars: []string{"SWITCH_SERVICE"}, DefaultText: "QUEUE", Usage: "`NAME`: of the service that this is an instance of"},
		&cli.StringFlag{Name: "service-version", EnvVars: []string{"SWITCH_SERVICE_VERSION"}, Usage: "`VERSION`: of that service, such as 1.4.2"},
		nameFlag(),
		addrFlag(),
	}
}

// echoConcurrency is that of rpc.Serve: an echo waits for nothing.
const echoConcurrency = 64

// respond serves a queue.
func (sh *shell) respond(c *cli.Context) error {
	queue, argv, err := sh.respondWords(c)
	if err != nil {
		return err
	}
	concurrency := c.Int("concurrency")
	switch {
	case c.IsSet("concurrency") && concurrency < 1:
		return usage("--concurrency %d: at least 1", concurrency)
	case concurrency == 0 && argv == nil:
		concurrency = echoConcurrency
	case concurrency == 0:
		concurrency = runtime.NumCPU()
	}
	log, err := sh.logger(c)
	if err != nil {
		return err
	}
	handler, with := echo, "--echo"
	info := client.ServiceInfo{Name: cmp.Or(c.String("service"), queue), Version: c.String("service-version"), Description: "switch serve, with --echo"}
	switch addr := c.String("upstream"); {
	case addr != "":
		up, err := newUpstream(addr, duration(c, "upstream-timeout"))
		if err != nil {
			return err
		}
		defer func() { _ = up.Close() }() // its calls are over
		handler, with = up.Handle, addr
		info.Description, info.Metadata = "switch serve, for "+addr, up.Metadata()
	case argv != nil:
		p, err := newProgram(argv, c.String("addr"), largestBody, sh.err)
		if err != nil {
			return err
		}
		handler, with = p.handle, argv[0] // its arguments are nobody else's business
		info.Description = "switch serve, with " + filepath.Base(with)
	}
	cl, err := sh.dial(c, log)
	if err != nil {
		return err
	}
	defer func() { _ = cl.Close() }() // what it would tell has been told
	log.Info("serving", "queue", queue, "addr", c.String("addr"), "with", with, "concurrency", concurrency)
	return rpc.Serve(c.Context, cl, queue, handler,
		rpc.Concurrency(concurrency),
		rpc.Lease(duration(c, "lease")),
		rpc.Drain(duration(c, "drain")),
		rpc.CreateQueue(client.QueueOptions{}),
		rpc.Describe(info),
		rpc.OnError(func(err error) { log.Warn("a request went wrong", "queue", queue, "err", err) }))
}

// respondWords gives the queue and the argv to serve it with; no argv for an
// echo.
func (sh *shell) respondWords(c *cli.Context) (queue string, argv []string, err error) {
	words := c.Args().Slice()
	if len(words) > 0 && words[0] == "--" { // so QUEUE may begin with a dash
		words = words[1:]
	}
	var ways []string
	if at := slices.Index(words, "--"); at >= 0 {
		words, argv = words[:at], words[at+1:]
		ways = append(ways, "--")
	}
	if c.IsSet("program") {
		argv = []string{c.String("program")}
		ways = append(ways, "--program")
	}
	for _, other := range []string{"echo", "upstream"} {
		if c.IsSet(other) {
			argv = nil
			ways = append(ways, "--"+other)
		}
	}
	if typed := sh.typedOf(daemonFlags()); len(typed) > 0 && len(words) > 0 {
		return "", nil, usage("%s: for running the switch, but a QUEUE is given", names(typed)).
			hint("to run the switch, type: %s", sh.typedLine(nil, daemonFlags(), serverFlags())).
			hint("to serve the queue, type: %s", sh.typedLine([]string{quoteWord(words[0])}, respondFlags(), serverFlags()))
	}
	switch {
	case len(words) == 0 || words[0] == "":
		return "", nil, usage("QUEUE is missing").hint("type: %s serve QUEUE --program PATH", sh.name)
	case len(words) > 1:
		return "", nil, usage("serve takes one QUEUE, and no %q", words[1]).
			hint("to run a program with arguments, type: %s serve %s -- PATH ARG…", sh.name, quoteWord(words[0]))
	case len(ways) == 0:
		return "", nil, usage("what shall serve %s?", words[0]).
			hint("type: %s serve %s --program PATH", sh.name, quoteWord(words[0])).
			hint("  or: %s serve %s -- PATH ARG…", sh.name, quoteWord(words[0])).
			hint("  or: %s serve %s --upstream HOST:PORT", sh.name, quoteWord(words[0])).
			hint("  or: %s serve %s --echo", sh.name, quoteWord(words[0]))
	case len(ways) > 1:
		return "", nil, usage("%s exclude each other", strings.Join(ways, " and "))
	case !c.IsSet("upstream") && slices.ContainsFunc(sh.line.flags, func(f typedFlag) bool { return f.name == "upstream-timeout" }):
		return "", nil, usage("--upstream-timeout is for --upstream")
	case !c.Bool("echo") && !c.IsSet("upstream") && (len(argv) == 0 || argv[0] == ""):
		return "", nil, usage("no program follows %s", ways[0])
	}
	return words[0], argv, nil
}
