package crash_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// callBound is how long a call may last: none is ever so long without hanging.
const callBound = 20 * time.Second

// TestCallersThroughRestarts has 64 callers whose requests are durable, and
// restarts the switch under them. Every call ends, soon after its client is back:
// in its own reply, or in one clear error.
func TestCallersThroughRestarts(t *testing.T) {
	for name, end := range map[string]func(*daemon, *testing.T){"SIGTERM": (*daemon).terminate, "SIGKILL": (*daemon).kill} {
		t.Run(name, func(t *testing.T) {
			if log := testCallers(t, end); log.twins > 0 {
				t.Errorf("%d requests were answered twice", log.twins)
			}
		})
	}
}

func testCallers(t *testing.T, end func(*daemon, *testing.T)) *callLog {
	r := random(t)
	d := newDaemon(t)
	d.start(t)
	if _, err := d.client(t, "admin").Create(t.Context(), "calls", client.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	startServer(t, d)
	startServer(t, d)
	calling, stop := context.WithCancel(context.Background())
	defer stop()
	log := &callLog{errors: map[string]int{}}
	var callers sync.WaitGroup
	for i := range 8 {
		c, back := returning(t, d, fmt.Sprintf("caller-%d", i))
		do := throughCaller(t, c)
		if i%2 == 1 {
			do = log.throughInbox(t, c)
		}
		for j := range 8 {
			callers.Go(func() { log.callOn(calling, t, fmt.Sprintf("%d.%d", i, j), do, back) })
		}
	}
	for range long(20, 5) {
		time.Sleep(between(r, 200*time.Millisecond, 500*time.Millisecond))
		end(d, t)
		d.start(t)
	}
	time.Sleep(500 * time.Millisecond) // so that they all see the last life
	stop()
	callers.Wait()
	log.report(t)
	return log
}

// startServer runs `switch serve QUEUE --echo` as a process of its own.
func startServer(t *testing.T, d *daemon) {
	t.Helper()
	out := newJournal()
	cmd := exec.Command(daemonBinary, "serve", "calls", "--echo", "--addr", d.addr)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("a server ended by itself: %v", err)
		}
		if err := cmd.Wait(); err != nil || strings.Contains(out.String(), "DATA RACE") || t.Failed() {
			t.Logf("a server: %v\n%s", err, out)
		}
	})
}

// A callLog is what became of the calls.
type callLog struct {
	mu      sync.Mutex
	replies int
	twins   int // second answers that an inbox saw
	errors  map[string]int
	took    []time.Duration // of those that lasted
	after   time.Duration   // the longest wait of a client that was back
}

func (l *callLog) twin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.twins++
}

// callOn calls until ctx ends, and then once more, which must go well.
func (l *callLog) callOn(ctx context.Context, t *testing.T, name string, do call, back *atomic.Int64) {
	for n := 0; ; n++ {
		last := ctx.Err() != nil
		body := fmt.Sprintf("%s/%d", name, n)
		bound, cancel := context.WithTimeout(context.Background(), callBound)
		began := time.Now()
		reply, err := do(bound, body)
		cancel()
		l.note(t, body, reply, err, began, time.Unix(0, back.Load()))
		switch {
		case last && err != nil:
			t.Errorf("caller %s: nothing disturbs the last call, and it fails: %v", name, err)
		case last:
			return
		case err != nil:
			time.Sleep(retryPause)
		}
		if t.Failed() {
			return
		}
	}
}

// note checks one call.
func (l *callLog) note(t *testing.T, body, reply string, err error, began, back time.Time) {
	ended := time.Now()
	if began.After(back) {
		back = began
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = max(l.after, ended.Sub(back))
	l.took = append(l.took, ended.Sub(began))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		t.Errorf("call %s hangs: %v", body, err)
	case err != nil:
		l.errors[wordFor(err)]++
	case reply != body:
		t.Errorf("call %s got the reply %s", body, reply)
	default:
		l.replies++
	}
	if ended.Sub(back) > time.Second {
		t.Errorf("call %s ended %v after its client was back: %v", body, ended.Sub(back), err)
	}
}

// wordFor is the kind of an error: who spoke, the code, the reason. There is no
// other kind than one that leaves it open whether the handler ran.
func wordFor(err error) string {
	origin := "inbox"
	if e := (*rpc.Error)(nil); errors.As(err, &e) {
		origin = e.Origin.String()
	}
	return fmt.Sprintf("%s %s %s", origin, status.Code(err), client.ReasonOf(err))
}

func (l *callLog) report(t *testing.T) {
	slices.Sort(l.took)
	n := len(l.took)
	t.Logf("%d replies, %d of them twice; errors: %v", l.replies, l.twins, l.errors)
	t.Logf("calls took %v in the middle and %v at most; %v at most after their client was back",
		l.took[n/2].Round(time.Microsecond), l.took[n-1].Round(time.Millisecond), l.after.Round(time.Millisecond))
	for word := range l.errors {
		if !strings.Contains(word, "Unavailable") && !strings.Contains(word, "Aborted") {
			t.Errorf("the error %q does not say that a restart was the cause", word)
		}
	}
}
