// Package crash_test treats the real binary badly, over real sockets and a real
// disk: it kills it, starts it again, takes its disk away, and fills it. What was
// promised must hold all the same. It sees nothing but what every user sees: the
// client library, the protocol, the process and its directory.
//
// Reading order: daemon_test.go; kill_test.go with lane_test.go, producer_test.go
// and consumer_test.go; history_test.go, audit_test.go, model_test.go and
// mutant_test.go, which judge what they saw; then keystorm_test.go, duplicates_test.go,
// callers_test.go, poller_test.go, sync_test.go and fault_test.go on strace_test.go,
// memory_test.go and churn_test.go.
//
// SWITCH_SLOW=1 runs the long forms, SWITCH_SEED repeats a run's choices,
// SWITCH_BINARY tests that binary instead of building one, and SWITCH_MESSAGES is
// another number of messages for memory_test.go.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// daemonBinary is the switch, built once in TestMain.
var daemonBinary string

// patience is how long a test waits for what must come: much longer than it
// takes, as it is only waited for in full when the test fails.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "switch-crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	if daemonBinary = os.Getenv("SWITCH_BINARY"); daemonBinary != "" {
		return nil
	}
	daemonBinary = filepath.Join(dir, "switch")
	args := []string{"build", "-o", daemonBinary}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "..")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// slow says that the long forms run.
func slow() bool { return os.Getenv("SWITCH_SLOW") != "" }

// long is n in the long form, and short otherwise.
func long[T any](n, short T) T {
	if slow() {
		return n
	}
	return short
}

// notUnderRace skips a test that is about figures: the race detector makes them
// others, and the test long.
func notUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("its figures mean nothing under the race detector")
	}
}

// random makes a test's choices. Its seed is SWITCH_SEED, or a new one; it is
// printed either way. The daemon's timing is not in its hands.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if env := os.Getenv("SWITCH_SEED"); env != "" {
		n, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			t.Fatalf("SWITCH_SEED=%s: %v", env, err)
		}
		seed = n
	}
	t.Logf("repeat with SWITCH_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// fork makes choices for a goroutine of its own.
func fork(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), r.Uint64())) }

// between is a time from low to high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}

// eventually asks every 10 ms until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("there is never %s", what)
		}
	}
}
