package main

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/d3b0a776/switch/server/datadir"
)

// keeping runs a daemon on a data directory, with a queue of a few messages.
func keeping(t *testing.T, bodies ...string) (d *daemon, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	d = startDaemon(t, "--data-dir", dir)
	for _, b := range bodies {
		d.run(t, "send", "foo", "--create", "--body", b).says(t, 0)
	}
	return d, dir
}

// holds checks that a switch on a directory has these messages.
func holds(t *testing.T, dir, bodies string) {
	t.Helper()
	d := startDaemon(t, "--data-dir", dir)
	d.run(t, "peek", "foo", "-o", "raw").want(t, 0, bodies)
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
}

func TestBackupAndRestore(t *testing.T) {
	d, dir := keeping(t, "one", "two")
	tmp := t.TempDir()
	file, unpacked, empty := filepath.Join(tmp, "b.tar"), filepath.Join(tmp, "unpacked"), filepath.Join(tmp, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	d.run(t, "backup", file).says(t, 0, "b.tar: ", " files")
	d.run(t, "backup", unpacked+"/").says(t, 0, " files")
	d.run(t, "backup", empty).says(t, 0)
	piped := d.run(t, "backup", "-")
	piped.says(t, 0)
	if piped.err != "" {
		t.Errorf("it says %q", piped.err)
	}
	doc := decode[backedUp](t, d.run(t, "backup", filepath.Join(tmp, "c.tar"), "-o", "json"))
	if doc.Files < 4 || doc.Bytes == 0 {
		t.Errorf("%+v", doc)
	}
	for _, there := range []string{file, unpacked, unpacked + "/", empty} {
		d.run(t, "backup", there).says(t, 2, "is there", "nothing is overwritten")
	}
	d.run(t, "send", "foo", "--body", "late").says(t, 0)
	for path, mode := range map[string]os.FileMode{file: 0o600, unpacked: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	start(t, nil, "switch", "restore", dir, "--data-dir", filepath.Join(tmp, "x")).wait(t).says(t, 1, "in use by another process")
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) != 4 {
		t.Errorf("there is more than was made: %v, %v", entries, err)
	}
	if err := os.RemoveAll(dir); err != nil { // the disaster
		t.Fatal(err)
	}
	for i, from := range []string{file, unpacked, "-"} {
		to := filepath.Join(tmp, "restored", string(rune('a'+i)))
		cmd := command(nil, "switch", "restore", from, "--data-dir", to)
		cmd.Stdin = strings.NewReader(piped.out)
		launch(t, cmd).wait(t).says(t, 0, "is restored and checked: 2 messages in 1 queue", "switch serve --data-dir "+to)
		holds(t, to, "one\ntwo\n")
	}
	holds(t, empty, "one\ntwo\n") // an unpacked backup is a data directory
}

func TestBackupFails(t *testing.T) {
	d, _ := keeping(t, "one")
	tmp := t.TempDir()
	d.run(t, "backup").says(t, 2, "FILE is missing")
	d.run(t, "backup", filepath.Join(tmp, "no", "b.tar")).says(t, 1, "no such file")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := command([]string{"SWITCH_ADDR=" + d.addr}, "switch", "backup", "-")
	cmd.Stdout = full
	launch(t, cmd).wait(t).says(t, 1, "no space")
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	d.run(t, "backup", filepath.Join(tmp, "b.tar")).says(t, 78, "no switch answers")
	memory := startDaemon(t)
	memory.run(t, "backup", filepath.Join(tmp, "b.tar")).says(t, 73, "no data directory", "--data-dir")
	memory.run(t, "backup", tmp+"/dir/").says(t, 73)
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestRestoreFails(t *testing.T) {
	d, _ := keeping(t, "one", "two")
	tmp := t.TempDir()
	file, to := filepath.Join(tmp, "b.tar"), filepath.Join(tmp, "to")
	d.run(t, "backup", file).says(t, 0)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(from string, content []byte) result {
		t.Helper()
		if content != nil {
			if err := os.WriteFile(from, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := start(t, nil, "switch", "restore", from, "--data-dir", to).wait(t)
		if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %s is there: %v", from, to, err)
		}
		return r
	}
	bad := filepath.Join(tmp, "bad.tar")
	for n := 512; n < len(whole)-2048; n += 2048 { // whatever is missing
		restore(bad, whole[:n]).says(t, 1, "was cut short")
	}
	restore(bad, whole[:700]).says(t, 1, "was cut short")
	restore(bad, []byte(strings.Repeat("no tar ", 1000))).says(t, 1, "is no backup")
	restore(bad, []byte{}).says(t, 1, "cut short")
	restore(filepath.Join(tmp, "none"), nil).says(t, 1, "no such file")
	restore(tmp, nil).says(t, 1, "unknown format")
	restore(bad, damaged(t, whole)).says(t, 1, "nothing was restored: "+bad+" is damaged")
	start(t, nil, "switch", "restore", file).wait(t).says(t, 2, "--data-dir is missing", "type: switch restore "+file+" --data-dir DIR")
	start(t, nil, "switch", "restore", file, "--data-dir", tmp).wait(t).says(t, 1, "is not empty")
	start(t, []string{"SWITCH_DATA_DIR=" + to}, "switch", "restore", file).wait(t).says(t, 0)
	holds(t, to, "one\ntwo\n")
}

// damaged is a backup's tar with a bit of its log turned.
func damaged(t *testing.T, whole []byte) []byte {
	t.Helper()
	bad := append([]byte(nil), whole...)
	in := tar.NewReader(strings.NewReader(string(whole)))
	for at := 0; ; {
		h, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		at += 512
		if strings.HasSuffix(h.Name, ".log") && h.Size > 100 || strings.HasSuffix(h.Name, ".sst") {
			for i := at + 40; i < at+int(h.Size)-40; i += 16 {
				bad[i] ^= 0x10
			}
		}
		if h.Name == completeName {
			return bad
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Fatal(err)
		}
		at += int(h.Size+511) / 512 * 512
	}
}

func TestCheck(t *testing.T) {
	d, dir := keeping(t, "one", "two")
	start(t, nil, "switch", "check", dir).wait(t).says(t, 1, "in use by another process")
	start(t, nil, "switch", "check", t.TempDir()).wait(t).says(t, 1, "no store")
	start(t, nil, "switch", "check").wait(t).says(t, 2, "DIR is missing")
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	before := contents(t, dir)
	r := start(t, nil, "switch", "check", dir).wait(t)
	if r.code != 0 || !strings.HasPrefix(r.out, "queues\t1\nmessages\t2\nsize\t6 B\n") || r.err != "" {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	report := decode[datadir.Report](t, start(t, nil, "switch", "check", dir, "-o", "json").wait(t))
	if report.Messages != 2 || report.Problems == nil {
		t.Errorf("%+v", report)
	}
	if after := contents(t, dir); after != before {
		t.Errorf("it was changed:\n%s\n%s", before, after)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	table, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	table[20] ^= 1
	if err := os.WriteFile(tables[0], table, 0o600); err != nil {
		t.Fatal(err)
	}
	r = start(t, nil, "switch", "check", dir).wait(t)
	r.says(t, 1, "is damaged: ", "docs/runbook.md")
	if !strings.Contains(r.out, "problem\t") || !strings.Contains(r.out, "mismatch") {
		t.Errorf("%s", r.out)
	}
	start(t, nil, "switch", "restore", dir, "--data-dir", filepath.Join(t.TempDir(), "x")).wait(t).says(t, 1, "is corrupt")
}

// contents are the names and sizes of what is in a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if len(data) > 1<<20 {
			data = nil // the ballast
		}
		b.WriteString(path + " " + string(data) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDump(t *testing.T) {
	d, dir := keeping(t, "one", "t\two")
	d.run(t, "send", "bar", "--create", "--body", "<three>", "-H", "k=v").says(t, 0)
	ids := strings.Fields(d.run(t, "peek", "foo").out)
	start(t, nil, "switch", "dump", dir).wait(t).says(t, 1, "in use by another process")
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	r := start(t, nil, "switch", "dump", dir).wait(t)
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	if r.code != 0 || len(lines) != 5 || !strings.HasPrefix(lines[0], "queue\tbar\t1\t7\t") || !strings.HasPrefix(lines[1], "queue\tfoo\t2\t7\t") ||
		!strings.HasPrefix(lines[2], "message\tfoo\t"+ids[0]+"\t") || !strings.HasSuffix(lines[3], "\t\"t\\two\"") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	r = start(t, nil, "switch", "dump", dir, "--queue", "bar", "-o", "jsonl").wait(t)
	if r.code != 0 || strings.Count(r.out, "\n") != 2 || !strings.Contains(r.out, `"queue":"bar"`) || !strings.Contains(r.out, `"headers":{"k":"v"}`) ||
		!strings.Contains(r.out, `"body":"PHRocmVlPg=="`) {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	start(t, nil, "switch", "dump", dir, "--queue", "nope").wait(t).says(t, 1, "no queue nope")
	start(t, nil, "switch", "dump", filepath.Join(dir, "none")).wait(t).says(t, 1, "no such file")
}
