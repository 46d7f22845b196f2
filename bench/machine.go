package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A preface says what was measured where, and how to do it again.
type preface struct {
	Date     time.Time
	Command  string
	Rounds   int
	Window   time.Duration
	CPU      string
	Cores    int
	Kernel   string
	Disk     string // of the temporary directory, where the brokers' data are
	Load     string
	Programs map[string]string // versions, by name
	Modules  map[string]string // versions of the libraries, by module path
}

// A footer is the end of a run.
type footer struct{ Load string }

// libraries are the modules whose versions are reported.
var libraries = []string{
	"github.com/cockroachdb/pebble/v2",
	"github.com/nats-io/nats.go",
	"github.com/rabbitmq/amqp091-go",
	"github.com/redis/go-redis/v9",
	"google.golang.org/grpc",
}

func newPreface(ctx context.Context, p *plan, with programs) *preface {
	h := &preface{Date: time.Now().UTC().Truncate(time.Second), Command: p.command(), Rounds: p.rounds, Window: p.duration,
		CPU: processor(), Cores: runtime.NumCPU(), Kernel: kernel(), Disk: disk(os.TempDir()), Load: loadAverage(),
		Programs: with.versions(ctx), Modules: make(map[string]string)}
	h.Programs["go"] = strings.TrimPrefix(runtime.Version(), "go")
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains(libraries, m.Path) {
				h.Modules[m.Path] = strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return h
}

// procText is a file of /proc without the space around it; empty if there is none.
func procText(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func kernel() string { return "Linux " + procText("/proc/sys/kernel/osrelease") }

func processor() string {
	for line := range strings.Lines(procText("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// loadAverage is the load of the last minute, and of the last five and fifteen.
func loadAverage() string {
	f := strings.Fields(procText("/proc/loadavg"))
	return strings.Join(f[:min(len(f), 3)], " ")
}

// disk is the file system and the device that a directory is on.
func disk(dir string) string {
	longest, found := -1, "unknown"
	for line := range strings.Lines(procText("/proc/self/mounts")) {
		f := strings.Fields(line)
		if len(f) < 3 || !below(dir, f[1]) || len(f[1]) < longest {
			continue
		}
		longest, found = len(f[1]), fmt.Sprintf("%s on %s", f[2], f[0])
	}
	return found
}

// below says whether a path is in a directory.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
