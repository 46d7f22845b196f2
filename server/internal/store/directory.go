package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// manifestMarker begins the name of the file that every store has.
const manifestMarker = "marker.manifest."

// prepare makes the directory, unless the store is only to be read, and refuses
// one that holds something else than a store.
func prepare(vf vfs.FS, dir string, readOnly bool) error {
	names, err := vf.List(dir)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		return makeDirectory(vf, dir)
	}
	if err != nil {
		return err
	}
	stranger := ""
	for _, name := range names {
		if strings.HasPrefix(name, manifestMarker) {
			return nil
		}
		if !isOurs(name) {
			stranger = name
		}
	}
	if stranger != "" {
		return fmt.Errorf("the directory holds %w: %q and no store; give an empty or another directory", ErrFormat, stranger)
	}
	if readOnly {
		return fmt.Errorf("the directory holds %w: no store; give the directory of one", ErrFormat)
	}
	return nil
}

// isOurs says whether a file may be in a directory without a store: a store that
// crashed while it was made leaves such, and a fresh file system has its own.
func isOurs(name string) bool {
	return name == "LOCK" || name == "lost+found" || strings.HasPrefix(name, "MANIFEST-") ||
		strings.HasPrefix(name, "marker.") || strings.HasPrefix(name, "temporary.") ||
		strings.HasPrefix(name, "OPTIONS-") || strings.HasSuffix(name, ".log")
}

// sweep clears away a store whose making was cut short by a crash: parts of it may
// have reached the disk without the others. Pebble notes its version last, so
// without that nothing was ever stored; to be sure, nothing is removed where a
// table or a log has content.
func sweep(vf vfs.FS, dir string) error {
	names, err := vf.List(dir)
	if err != nil {
		return err
	}
	var parts []string
	for _, name := range names {
		path := vf.PathJoin(dir, name)
		i, err := vf.Stat(path)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(name, "marker.format-version."), isTable(name), strings.HasSuffix(name, ".log") && i.Size() > 0:
			return nil
		case name != "LOCK" && isOurs(name) && !i.IsDir():
			parts = append(parts, path)
		}
	}
	for _, path := range parts {
		if err := vf.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// makeDirectory makes a directory with all that is missing above it, and makes
// their names durable.
func makeDirectory(vf vfs.FS, dir string) error {
	made := []string{dir}
	for {
		parent := vf.PathDir(made[len(made)-1])
		if parent == made[len(made)-1] || parent == "" {
			break
		}
		made = append(made, parent)
		if _, err := vf.Stat(parent); err == nil || parent == "." {
			break
		}
	}
	if err := vf.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, parent := range made[1:] {
		f, err := vf.OpenDir(parent)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync %q: %w", parent, err)
		}
	}
	return nil
}

// lockDirectory takes the directory for this process.
func lockDirectory(vf vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, vf)
	var pathError *fs.PathError
	if err == nil || errors.As(err, &pathError) || errors.Is(err, syscall.ENOLCK) {
		return lock, err
	}
	return nil, fmt.Errorf("the directory %w (%w); end that one, or give another directory", ErrInUse, err)
}

// explain gives an error of Pebble's opening its sentinel.
func explain(vf vfs.FS, dir string, err error) error {
	if errors.Is(err, ErrFailed) || errors.Is(err, ErrFormat) || errors.Is(err, ErrCorrupt) {
		return err
	}
	if v, ok := pebbleFormat(vf, dir); ok && v > uint64(pebbleVersion) {
		return fmt.Errorf("the directory holds %w %d of Pebble; this version reads up to %d; "+
			"use the version that wrote it, or a newer one", ErrFormat, v, uint64(pebbleVersion))
	}
	if strings.Contains(err.Error(), "comparer name from") {
		return fmt.Errorf("the directory holds %w: a Pebble database of another program; give another directory: %w", ErrFormat, err)
	}
	// It compares the OPTIONS file, which has no checksum, with what we ask for: we
	// never ask for a directory of logs elsewhere.
	if strings.Contains(err.Error(), "from file") || errors.As(err, new(pebble.ErrMissingWALRecoveryDir)) {
		return fmt.Errorf("its OPTIONS file is %w: %w", ErrCorrupt, err)
	}
	if errors.Is(err, fs.ErrNotExist) { // a file that the others mention
		return fmt.Errorf("it is %w: %w", ErrCorrupt, err)
	}
	return mark(err)
}

// pebbleFormat is the version that Pebble has noted in the directory.
func pebbleFormat(vf vfs.FS, dir string) (uint64, bool) {
	m, value, err := atomicfs.LocateMarker(vf, dir, "format-version")
	if err != nil {
		return 0, false
	}
	_ = m.Close() // a handle to the directory, opened for reading
	v, err := strconv.ParseUint(value, 10, 64)
	return v, err == nil
}
