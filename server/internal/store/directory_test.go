package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// refused opens a store that must be refused with an error that says all of it.
func refused(t *testing.T, fs vfs.FS, dir string, want error, says ...string) {
	t.Helper()
	d, err := store.Open(dir, store.Options{FS: fs})
	if err == nil {
		d.Close()
		t.Fatal("the store opened")
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("error %v does not wrap %v", err, want)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %v does not say %q", err, s)
		}
	}
}

func TestADirectoryHasOneUser(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "real": nil} {
		t.Run(name, func(t *testing.T) {
			dir := "store"
			if fs == nil {
				dir = t.TempDir()
			}
			d := open(t, fs, dir)
			refused(t, fs, dir, store.ErrInUse, dir, "is in use by another process")
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, fs, dir)
		})
	}
}

// The test runs itself as the other process, which finds the directory in use.
func TestADirectoryHasOneProcess(t *testing.T) {
	const env = "STORE_TEST_DIRECTORY"
	if dir := os.Getenv(env); dir != "" {
		refused(t, nil, dir, store.ErrInUse, dir)
		return
	}
	dir := t.TempDir()
	open(t, nil, dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestADirectoryHasOneProcess$", "-test.v")
	cmd.Env = append(os.Environ(), env+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestADirectoryIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	open(t, nil, dir)
	i, err := os.Stat(dir)
	if err != nil || i.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", i.Mode(), err)
	}
}

func TestAStrangeDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, nil, dir, store.ErrFormat, "thesis.txt", dir)
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("the directory was changed: %v", names)
	}
	if _, err := store.Open(t.TempDir(), store.Options{ReadOnly: true}); !errors.Is(err, store.ErrFormat) {
		t.Errorf("an empty directory was read: %v", err)
	}
	if _, err := store.Open(dir+"/missing", store.Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory was read: %v", err)
	}
	if err := os.Mkdir(dir+"/disk", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/disk/lost+found", 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, nil, dir+"/disk")
}

func TestAnotherProgramsDatabaseIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebble.Open("store", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("x"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, fs, "store", store.ErrFormat, "another program")
	if db, err = pebble.Open("store", &pebble.Options{FS: fs, Logger: quiet{}}); err != nil {
		t.Errorf("the other program can't open it any more: %v", err)
	} else if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// quiet is Pebble without its log.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// rewrite changes a closed store behind its back.
func rewrite(t *testing.T, fs vfs.FS, change func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open("store", &pebble.Options{FS: fs, Comparer: store.Comparer, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func made(t *testing.T) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	begin(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestANewerFormatIsRefused(t *testing.T) {
	fs := made(t)
	rewrite(t, fs, func(db *pebble.DB) error {
		return db.Set([]byte{1}, binary.AppendUvarint([]byte{1}, 77), pebble.Sync)
	})
	refused(t, fs, "store", store.ErrFormat, "77", "formats 1 to 3", "newer")
}

func TestANewerPebbleIsRefused(t *testing.T) {
	fs := made(t)
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "marker.format-version.") {
			newer := name[:strings.LastIndexByte(name, '.')+1] + "999"
			if err := fs.Rename("store/"+name, "store/"+newer); err != nil {
				t.Fatal(err)
			}
		}
	}
	refused(t, fs, "store", store.ErrFormat, "999", "Pebble")
}

func TestAStoreWithoutItsFormatIsRefused(t *testing.T) {
	fs := made(t)
	rewrite(t, fs, func(db *pebble.DB) error { return db.Delete([]byte{1}, pebble.Sync) })
	refused(t, fs, "store", store.ErrFormat)
}

func TestADamagedRecordIsNamed(t *testing.T) {
	fs := made(t)
	rewrite(t, fs, func(db *pebble.DB) error {
		return db.Set([]byte{5, 0, 0, 0, 0, 0, 0, 0, 9}, []byte{1, 200}, pebble.Sync)
	})
	d := open(t, fs, "store")
	if _, err := d.Start(noon); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "queue 9") {
		t.Errorf("error %v", err)
	}
}
