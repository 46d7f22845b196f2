package main

import (
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/d3b0a776/switch/rpc/grpcqueue"
	"github.com/d3b0a776/switch/server"
)

const daemonDescription = `
Runs the switch until SIGINT, SIGTERM or the verb shutdown. Then it takes no more messages, and
waits until those that are being worked on have been acked, at most for the time of --drain. A
second signal ends it at once.

Calls of gRPC services that the switch does not have go to the queues that serve them; see
docs/grpc.md.

The log goes to standard error. With --data-dir queues are durable unless they are made with
--durability memory: what is answered is on disk, and a restart is a pause. Without it everything is kept in
memory, and ends with the process.

In memory it keeps half of the cores busy at a time as long as they are enough, which costs less;
with --data-dir it uses all of them. GOMAXPROCS in the environment says otherwise.`

// defaultDrain is how long work may take to end: below the 30 s or more that
// service managers wait before they kill.
const defaultDrain = 20 * time.Second

// daemonFlags are of the daemon alone.
func daemonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", DefaultText: server.DefaultListen, EnvVars: []string{"SWITCH_LISTEN"},
			Usage: "`ADDR`: where to listen, HOST:PORT or unix:///PATH; may be repeated, or hold several with commas between"},
		&cli.StringFlag{Name: "data-dir", EnvVars: []string{"SWITCH_DATA_DIR"},
			Usage: "`DIR`: where durable queues are kept; made if it is missing. One switch at a time"},
		sizeFlag("max-payload", "`SIZE`: the largest body of a message; at most 64 MiB", 1<<20, "SWITCH_MAX_PAYLOAD"),
		sizeFlag("memory-budget", "`SIZE`: what bodies of messages may take in memory; durable queues leave the rest on disk", 256<<20, "SWITCH_MEMORY_BUDGET"),
		sizeFlag("disk-reserve", "`SIZE`: what to keep free of the data directory's disk; below it nothing new is stored; at least 1 MiB", server.DefaultDiskReserve, "SWITCH_DISK_RESERVE"),
		&cli.IntFlag{Name: "max-sessions", Value: 20_000, EnvVars: []string{"SWITCH_MAX_SESSIONS"}, Usage: "`N`: at most so many clients at a time"},
		&cli.IntFlag{Name: "max-queues", Value: 200_000, EnvVars: []string{"SWITCH_MAX_QUEUES"}, Usage: "`N`: at most so many queues, temporary ones among them"},
	}
}

// gcFloor is memory that the daemon reserves and never touches, so that it is
// never resident. It only makes the heap look larger: a switch whose queues are
// short has so little live that the collector would run with every 4 MiB of
// messages, which took 14 % of its CPU at 64 callers. With long queues it makes no
// difference.
const gcFloor = 16 << 20

// tidyAfter is when what starting has left behind is given back to the system: a
// megabyte of an idle daemon's 24. Nothing else would collect it, as the floor makes
// the heap look as if it held little garbage.
const tidyAfter = time.Second

// daemon runs the switch.
func (sh *shell) daemon(c *cli.Context) error {
	if err := sh.onlyDaemon(); err != nil {
		return err
	}
	cfg, err := sh.daemonConfig(c)
	if err != nil {
		return err
	}
	useCores(c.Context, cfg.DataDir != "")
	floor := make([]byte, gcFloor)
	defer runtime.KeepAlive(floor)
	log := cfg.Logger
	if cfg.DataDir == "" {
		log.Info("queues and messages are kept in memory only: they are lost when this process ends", "version", cfg.Version)
	} else {
		log.Info("queues are durable", "data_dir", cfg.DataDir, "version", cfg.Version)
	}
	var gateway grpcqueue.Gateway
	cfg.Unknown, cfg.Register = gateway.Handle, gateway.RegisterReflection
	s, err := server.Open(cfg)
	if err != nil {
		return err
	}
	closeGateway, err := openGateway(&gateway, s.InProcess())
	if err != nil {
		return err
	}
	defer closeGateway()
	if err := s.Listen(); err != nil {
		return err
	}
	for _, a := range s.Addrs() {
		log.Info("listening", "addr", dialAddr(a))
	}
	defer time.AfterFunc(tidyAfter, debug.FreeOSMemory).Stop()
	err = s.ListenAndServe(c.Context)
	if err == nil {
		log.Info("ended")
	}
	return err
}

// onlyDaemon refuses what is for serving a queue.
func (sh *shell) onlyDaemon() error {
	typed := sh.typedOf(respondFlags())
	if len(typed) == 0 {
		return nil
	}
	bad := usage("%s: for serving a queue, and no QUEUE is given", names(typed)).
		hint("to serve a queue, type: %s", sh.typedLine([]string{"QUEUE"}, respondFlags(), serverFlags()))
	daemon := sh.typedLine(nil, daemonFlags(), serverFlags())
	for _, f := range typed {
		if f.name == "addr" { // they probably meant this
			daemon += " --listen " + quoteWord(f.value)
		}
	}
	return bad.hint("to run the switch, type: %s", daemon)
}

// daemonConfig reads the flags.
func (sh *shell) daemonConfig(c *cli.Context) (server.Config, error) {
	cfg := server.Config{
		MaxPayload:   int(size(c, "max-payload")),
		MemoryBudget: int(size(c, "memory-budget")),
		DiskReserve:  size(c, "disk-reserve"),
		MaxSessions:  c.Int("max-sessions"),
		MaxQueues:    c.Int("max-queues"),
		DataDir:      c.String("data-dir"),
		DrainBound:   duration(c, "drain"),
		Version:      thisBuild().Version,
	}
	for _, l := range c.StringSlice("listen") {
		cfg.Listen = append(cfg.Listen, strings.FieldsFunc(l, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	switch {
	case cfg.MaxPayload < 1 || cfg.MaxPayload > server.MaxPayloadLimit:
		return cfg, usage("--max-payload %s: from 1 B to %s", byteSize(uint64(cfg.MaxPayload)), byteSize(server.MaxPayloadLimit))
	case cfg.MemoryBudget < cfg.MaxPayload:
		return cfg, usage("--memory-budget %s is less than one message of --max-payload %s",
			byteSize(uint64(cfg.MemoryBudget)), byteSize(uint64(cfg.MaxPayload)))
	case cfg.DiskReserve < 1<<20:
		return cfg, usage("--disk-reserve %s: at least 1 MiB", byteSize(cfg.DiskReserve))
	case cfg.MaxSessions < 1 || cfg.MaxQueues < 1:
		return cfg, usage("--max-sessions and --max-queues: at least 1")
	}
	for _, l := range cfg.Listen {
		if err := checkAddr("--listen", l); err != nil {
			return cfg, err
		}
	}
	var err error
	cfg.Logger, err = sh.logger(c)
	return cfg, err
}

// checkAddr says what is wrong with an address before it is used.
func checkAddr(flag, addr string) error {
	if path, unix := strings.CutPrefix(addr, "unix://"); unix {
		if !strings.HasPrefix(path, "/") {
			return usage("%s %s: the path of a Unix socket is absolute, as in unix:///run/switch.sock", flag, addr)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil || strings.Contains(addr, "/") { // ftp://host is a host "ftp" with a port
		return usage("%s %q is neither HOST:PORT nor unix:///PATH", flag, addr)
	}
	return nil
}

// dialAddr is an address in the form that --addr takes.
func dialAddr(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix://" + a.String()
	}
	return a.String()
}

// logger logs to stderr as the flags say.
func (sh *shell) logger(c *cli.Context) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, usage("--log-level %q: one of debug, info, warn, error", c.String("log-level"))
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // in JSON it would be a number of nanoseconds
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	switch f := c.String("log-format"); f {
	case "text":
		return slog.New(slog.NewTextHandler(sh.err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(sh.err, opts)), nil
	default:
		return nil, usage("--log-format %q: one of text, json", f)
	}
}
