package crash_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A memoryWatch samples the resident memory of a daemon.
type memoryWatch struct {
	t     *testing.T
	d     *daemon
	bound int
	quit  chan struct{}
	done  chan struct{}

	mu   sync.Mutex
	name string
	peak map[string]int
}

// watchMemory samples until stop. More than bound bytes fail the test.
func watchMemory(t *testing.T, d *daemon, bound int) *memoryWatch {
	w := &memoryWatch{t: t, d: d, bound: bound, quit: make(chan struct{}), done: make(chan struct{}), peak: map[string]int{}}
	go w.run() // until stop
	return w
}

func (w *memoryWatch) run() {
	defer close(w.done)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.sample()
		case <-w.quit:
			return
		}
	}
}

func (w *memoryWatch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.name != "" && w.name != "closed" {
		w.peak[w.name] = max(w.peak[w.name], memoryOf(w.d.cmd.Process.Pid, "VmRSS"))
	}
}

// phase begins a phase, and reports the one that ends. In phase "closed" the
// process may come and go.
func (w *memoryWatch) phase(name string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.name != "" && w.name != "closed" {
		now, high := memoryOf(w.d.cmd.Process.Pid, "VmRSS"), memoryOf(w.d.cmd.Process.Pid, "VmHWM")
		w.t.Logf("%-9s RSS at most %d MiB, now %d; of the process's life so far %d", w.name+":", w.peak[w.name]>>20, now>>20, high>>20)
		if most := max(w.peak[w.name], high); most > w.bound {
			w.t.Errorf("%s: %d MiB are more than %d", w.name, most>>20, w.bound>>20)
		}
	}
	w.name = name
}

func (w *memoryWatch) stop() {
	w.t.Helper()
	w.phase("")
	close(w.quit)
	<-w.done
}

var statusLine = map[string]*regexp.Regexp{
	"VmRSS": regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB`),
	"VmHWM": regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`),
}

// memoryOf reads a line of /proc/PID/status, in bytes; zero if it is not there.
func memoryOf(pid int, what string) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := statusLine[what].FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
