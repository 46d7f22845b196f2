package engine_test

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// A badDisk is a disk in memory that can be made small, slow, or fail.
type badDisk struct {
	vfs.FS
	free atomic.Uint64
	sync atomic.Pointer[func() error] // before each sync of a log
}

func newBadDisk(free uint64) *badDisk {
	d := &badDisk{FS: vfs.NewMem()}
	d.free.Store(free)
	return d
}

func (d *badDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	free := d.free.Load()
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 30, UsedBytes: 1<<30 - free}, nil
}

func (d *badDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.file(name, f, err)
}

func (d *badDisk) ReuseForWrite(from, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, name, c)
	return d.file(name, f, err)
}

func (d *badDisk) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return badFile{f, d}, nil
}

type badFile struct {
	vfs.File
	d *badDisk
}

func (f badFile) before() error {
	if hook := f.d.sync.Load(); hook != nil {
		return (*hook)()
	}
	return nil
}

func (f badFile) Sync() error {
	if err := f.before(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f badFile) SyncData() error {
	if err := f.before(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// A durable is an engine with a disk, and one session.
type durable struct {
	*testing.T
	*engine.Engine
	session queue.SessionID
	log     *lines
	failed  chan error
}

// openDurable starts an engine on a file system.
func openDurable(t *testing.T, fs vfs.FS, c engine.Config) *durable {
	t.Helper()
	d := &durable{T: t, log: &lines{}, failed: make(chan error, 10)}
	c.Logger = slog.New(slog.NewTextHandler(d.log, nil))
	disk, err := store.Open("data", store.Options{FS: fs, Logger: c.Logger, Failed: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	c.Disk, c.Failed = disk, func(err error) { d.failed <- err }
	if d.Engine, err = engine.New(c); err != nil {
		t.Fatal(err)
	}
	d.begin()
	return d
}

// begin logs in.
func (d *durable) begin() {
	var tx engine.Tx
	d.Begin(&tx)
	d.session = tx.State().NewSessionID()
	tx.End()
	d.must(&queue.Login{Session: d.session, Name: "test", TTL: time.Hour, Grace: time.Hour})
}

// do applies an operation, and waits until its answer may go.
func (d *durable) do(op queue.Op) error {
	var tx engine.Tx
	d.Begin(&tx)
	_, err := tx.Apply(op)
	wait := tx.Ticket()
	tx.End()
	if err != nil {
		return err
	}
	return wait.Wait(d.Context())
}

func (d *durable) must(ops ...queue.Op) {
	d.Helper()
	for _, op := range ops {
		if err := d.do(op); err != nil {
			d.Fatalf("%T: %v", op, err)
		}
	}
}

// until waits for something to come true.
func (d *durable) until(what string, is func() bool) {
	d.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("it never came true that %s\n%s", what, d.log)
		}
	}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// apart runs a test in a process of its own: a store that has failed keeps its
// goroutines until the process ends. It returns false in the parent, which is
// done then.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apartEnv) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), apartEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), apartDone) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

const (
	apartEnv  = "SWITCH_TEST_APART"
	apartDone = "the process of its own has done it"
)

// leave ends the process of its own.
func leave(t *testing.T) {
	if t.Failed() {
		os.Exit(1)
	}
	println(apartDone)
	os.Exit(0)
}
