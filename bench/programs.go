package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The programs that the systems need.
const (
	programSwitch   = "switch"
	programNATS     = "nats-server"
	programRedis    = "redis-server"
	programRabbitMQ = "rabbitmq-server"
)

// programs are the binaries of the systems.
type programs struct {
	dir     string            // temporary, for everything
	paths   map[string]string // by name
	missing map[string]string // by name: why it is missing
}

func (p programs) path(name string) string { return p.paths[name] }

// findPrograms builds or finds what the plan's systems need. Without a switch
// there is nothing to measure; without the others there is less.
func findPrograms(ctx context.Context, p *plan, dir string) (programs, error) {
	found := programs{dir: dir, paths: make(map[string]string), missing: make(map[string]string)}
	for name := range neededPrograms(p) {
		path, err := p.binaries[name], error(nil)
		if path == "" {
			path, err = findProgram(ctx, name, dir)
		}
		switch {
		case err == nil:
			found.paths[name] = path
		case name == programSwitch || ctx.Err() != nil:
			return found, err
		default:
			found.missing[name] = missing(name)
			fmt.Fprintf(os.Stderr, "bench: %s: %s (%v)\n", name, missing(name), err)
		}
	}
	return found, nil
}

// missing is what to do about a program that is not there.
func missing(name string) string {
	if name == programNATS {
		return "not installed: its module could not be built"
	}
	return "not installed: apt-get install " + name
}

func findProgram(ctx context.Context, name, dir string) (string, error) {
	switch name {
	case programSwitch:
		return goBuildSwitch(ctx, dir)
	case programNATS:
		return goBuild(ctx, "", filepath.Join(dir, name), "github.com/nats-io/nats-server/v2")
	case programRabbitMQ:
		return findRabbitMQ()
	default:
		return exec.LookPath(name)
	}
}

// neededPrograms are those that the works of a plan need.
func neededPrograms(p *plan) map[string]bool {
	needed := make(map[string]bool)
	for _, w := range works(p) {
		for _, r := range w.runs {
			if p.includes(w, r.peer) {
				needed[peerNamed(r.peer).program] = true
			}
		}
	}
	delete(needed, "") // the relay is this binary
	return needed
}

// goBuildSwitch builds the switch of this tree, as its own module says.
func goBuildSwitch(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/d3b0a776/switch").Output()
	if err != nil {
		return "", fmt.Errorf("find the module of the switch: %w", err)
	}
	in := strings.TrimSpace(string(root))
	return goBuild(ctx, in, filepath.Join(dir, programSwitch), "-ldflags=-X main.version=dev-"+revision(ctx, in), "./cmd/switch")
}

// revision is the commit that a tree is at, and whether it has changes since.
func revision(ctx context.Context, dir string) string {
	commit, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	text := strings.TrimSpace(string(commit))
	changes, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain").Output()
	if err != nil || len(changes) > 0 {
		text += "+changes"
	}
	return text
}

// goBuild builds a command of the module that from is in; empty is this one.
func goBuild(ctx context.Context, from, to string, flagsAndPackage ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", to}, flagsAndPackage...)...)
	cmd.Dir = from
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", filepath.Base(to), err, out)
	}
	return to, nil
}

// findRabbitMQ finds the server's own script: the one in PATH insists on its user.
func findRabbitMQ() (string, error) {
	found, err := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no rabbitmq-server")
	}
	return found[len(found)-1], nil
}

// versionPattern is what a version looks like in what programs print: redis says
// v=7.0.15, nats-server v2.15.2, and the switch dev-0123456789ab.
var versionPattern = regexp.MustCompile(`\d+(\.\d+)+[\w.+-]*|\bdev\S*`)

// versions asks each program for its version.
func (p programs) versions(ctx context.Context) map[string]string {
	versions := make(map[string]string)
	for name, path := range p.paths {
		text := path // RabbitMQ's has it, and its command takes seconds to say it
		if name != programRabbitMQ {
			flag := "--version"
			if name == programSwitch {
				flag = "version"
			}
			out, err := exec.CommandContext(ctx, path, flag).Output()
			if err != nil {
				fmt.Fprintf(os.Stderr, "bench: the version of %s: %v\n", name, err)
			}
			text = string(out)
		}
		versions[name] = versionPattern.FindString(text)
	}
	return versions
}
