//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk: a stranger fills the disk. Nothing new is stored, and says why; all
// else goes on; once he has gone, it is stored again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	dir, hog := filepath.Join(disk, "data"), filepath.Join(disk, "hog")
	d := startDaemon(t, "--data-dir", dir, "--disk-reserve", "32MiB")
	d.run(t, "send", "foo", "--create", "--body", "one").says(t, 0)
	d.run(t, "send", "foo", "--body", "two").says(t, 0)
	if out := d.run(t, "diagnostics").out; !strings.Contains(out, "stored in "+dir+": ") || !strings.Contains(out, ", 32 MiB in reserve") {
		t.Errorf("%s", out)
	}
	eventually(t, "a ballast", func() bool { return exists(filepath.Join(dir, "ballast")) })

	fill(t, hog)
	late := -1 // that were taken before it was noticed
	eventually(t, "a refusal", func() bool {
		late++
		return d.run(t, "send", "foo", "--body", "late").code != 0
	})
	d.run(t, "send", "foo", "--body", "late").says(t, 72, `the disk of the data directory "`+dir+`" has `, "32.0 MiB in reserve", "make room on the disk")
	d.run(t, "create", "bar").says(t, 72)
	d.run(t, "create", "bar", "--durability", "memory").says(t, 0)
	server := d.start(t, "serve", "bar", "--echo")
	d.run(t, "call", "bar", "--body", "hello").want(t, 0, "hello")
	server.signal(t, syscall.SIGTERM)
	server.wait(t)
	if out := d.run(t, "diagnostics").out; !strings.Contains(out, "The disk is nearly full: nothing new is stored") {
		t.Errorf("%s", out)
	}
	eventually(t, "a ballast that is given up", func() bool { return !exists(filepath.Join(dir, "ballast")) })
	d.run(t, "recv", "foo").want(t, 0, "one")
	d.run(t, "dlq", "ls").want(t, 0, "")

	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room", func() bool { return d.run(t, "send", "foo", "--body", "three").code == 0 })
	eventually(t, "a ballast", func() bool { return exists(filepath.Join(dir, "ballast")) })
	for _, text := range []string{`"level":"WARN","msg":"the disk is nearly full`, `"level":"INFO","msg":"the disk has room again`} {
		if n := strings.Count(d.err.String(), text); n != 1 {
			t.Errorf("%s is logged %d times", text, n)
		}
	}
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	again := startDaemon(t, "--data-dir", dir, "--disk-reserve", "32MiB")
	again.run(t, "peek", "foo", "-n100", "-o", "raw").want(t, 0, "two\n"+strings.Repeat("late\n", late)+"three\n")
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
}

// fill takes all the space of a disk.
func fill(t *testing.T, hog string) {
	t.Helper()
	f, err := os.Create(hog)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for part := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(part)
	}
}
