package crash_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// traced has the daemon run under strace from its next life on, and returns
// where that writes. The daemon stays our child.
func (d *daemon) traced(t *testing.T, args ...string) (log string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing: apt-get install strace")
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	log = filepath.Join(t.TempDir(), "strace")
	d.under = append([]string{"strace", "-D", "-f", "-ttt", "-yy", "-s", "65536", "-o", log}, args...)
	return log
}

// only has strace look at files of the store with such names alone; empty: at
// everything. Tables are counted from those on that are written after the start.
func (d *daemon) only(names string) (args []string) {
	if !strings.Contains(names, "*") && names != "" {
		return []string{"-P", filepath.Join(d.dir, names)}
	}
	from := 0
	if strings.HasSuffix(names, ".sst") {
		from = 6
	}
	for n := from; names != "" && n < 64; n++ { // strace has no patterns
		args = append(args, "-P", filepath.Join(d.dir, strings.Replace(names, "*", fmt.Sprintf("%06d", n), 1)))
	}
	return args
}

// A tracedCall is a system call that strace saw. Entry and exit are lines of its log: strace
// holds a thread until it has written the line, so what one thread does because
// of another's syscall comes after its exit.
type tracedCall struct {
	name        string
	text        string // arguments and result
	entry, exit int
	began       time.Time
	done        bool // it succeeded
	injected    bool // strace made it fail
}

var (
	wholeCall   = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (\w+)\((.*)$`)
	resumedCall = regexp.MustCompile(`^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$`)
	failed      = regexp.MustCompile(` = -1 E[A-Z]+ `)
	exited      = regexp.MustCompile(`(\d+\.\d+) \+\+\+ exited with (\d+) \+\+\+`)
)

// readTrace reads the log of a life that has ended.
func readTrace(t *testing.T, log string) (calls []*tracedCall, ended time.Time) {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]*tracedCall{} // by thread
	for n, line := range strings.Split(string(b), "\n") {
		if m := exited.FindStringSubmatch(line); m != nil {
			ended = stamp(m[1])
		} else if m := resumedCall.FindStringSubmatch(line); m != nil {
			if c := open[m[1]]; c != nil {
				c.finish(n, m[4])
				delete(open, m[1])
			}
		} else if m := wholeCall.FindStringSubmatch(line); m != nil {
			c := &tracedCall{name: m[3], entry: n, began: stamp(m[2])}
			calls = append(calls, c)
			if begun, unfinished := strings.CutSuffix(m[4], "<unfinished ...>"); unfinished {
				c.text, c.exit = begun, int(never>>32)
				open[m[1]] = c
			} else {
				c.finish(n, m[4])
			}
		}
	}
	if len(calls) == 0 {
		t.Fatalf("strace saw nothing: %.1000s", b)
	}
	return calls, ended
}

func (c *tracedCall) finish(line int, rest string) {
	c.text += rest
	c.exit = line
	c.injected = strings.HasSuffix(rest, "(INJECTED)")
	c.done = !failed.MatchString(rest + " ")
}

func stamp(s string) time.Time {
	sec, frac, _ := strings.Cut(s, ".")
	a, _ := strconv.ParseInt(sec, 10, 64)
	b, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	return time.Unix(a, b)
}

// onLog and onSocket say what a call works on: the store's log, or a client's
// connection.
func (c *tracedCall) onLog() bool    { return strings.Contains(c.target(), ".log>") }
func (c *tracedCall) onSocket() bool { return strings.Contains(c.target(), "<TCP:") }

// target is the first argument, with what it names.
func (c *tracedCall) target() string {
	to, _, _ := strings.Cut(c.text, ", ")
	return to
}

func (c *tracedCall) writes() bool {
	return strings.HasPrefix(c.name, "write") || strings.HasPrefix(c.name, "pwrite") || strings.HasPrefix(c.name, "send")
}

func (c *tracedCall) syncs() bool { return c.name == "fdatasync" || c.name == "fsync" }
