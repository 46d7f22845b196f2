package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/d3b0a776/switch/server/internal/store"
)

// restoring is where what is restored is kept until it is known to be good.
const restoring = "restore-in-progress"

// A File is one file of a backup. Its Reader is read before the next one comes.
type File struct {
	Name string // without a directory
	io.Reader
}

// Restore makes the data directory dir from the files of a backup: of a stream of
// Admin.Backup, or of Files. The directory must be empty or missing. Everything is
// checked before it is moved to its place; an error, or a Report that is not
// Good, leaves the directory as it was.
func Restore(dir string, files iter.Seq2[File, error], progress func(done, total uint64)) (*Report, error) {
	made, err := makeEmpty(dir)
	if err != nil {
		return nil, err
	}
	part := filepath.Join(dir, restoring)
	r, err := restore(dir, part, files, progress)
	if err == nil && r.Good() {
		return r, nil
	}
	clean := os.RemoveAll(part)
	if made && clean == nil {
		clean = os.Remove(dir)
	}
	return r, errors.Join(err, clean)
}

func restore(dir, part string, files iter.Seq2[File, error], progress func(done, total uint64)) (*Report, error) {
	names, err := unpack(part, files)
	if err != nil {
		return nil, err
	}
	r, err := Check(part, progress)
	if err != nil || !r.Good() {
		return r, err
	}
	return r, place(dir, part, names)
}

// makeEmpty makes the directory, and refuses one that holds something.
func makeEmpty(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, os.MkdirAll(dir, 0o700)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" { // a fresh file system's own
			return false, fmt.Errorf("the directory %q is not empty: it holds %q; restore into an empty or a new one", dir, e.Name())
		}
	}
	return false, err
}

// unpack writes the files, each synced.
func unpack(part string, files iter.Seq2[File, error]) (names []string, err error) {
	if err := os.Mkdir(part, 0o700); err != nil {
		return nil, err
	}
	for f, err := range files {
		if err != nil {
			return nil, err
		}
		if f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." {
			return nil, fmt.Errorf("the backup holds a file %q, which would not be in the directory", f.Name)
		}
		if err := write(filepath.Join(part, f.Name), f.Reader); err != nil {
			return nil, err
		}
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("the backup holds no files")
	}
	return names, syncDir(part)
}

func write(path string, from io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	return f.Sync()
}

// place moves the files to where they belong. What makes a directory a store
// comes last, so that one that was cut short is none.
func place(dir, part string, names []string) error {
	marker := func(name string) bool { return strings.HasPrefix(name, "marker.") }
	for _, last := range []bool{false, true} {
		for _, name := range names {
			if marker(name) != last {
				continue
			}
			if err := os.Rename(filepath.Join(part, name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(part), syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir))))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Files are the files of an unpacked backup, or of the data directory of a switch
// that does not run: one that does is refused.
func Files(dir string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		hold, err := store.Open(dir, store.Options{ReadOnly: true, Failed: func(error) {}})
		if err != nil {
			yield(File{}, err)
			return
		}
		defer func() { _ = hold.Close() }() // nothing was written
		entries, err := os.ReadDir(dir)
		if err != nil {
			yield(File{}, err)
			return
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || e.Name() == "LOCK" || e.Name() == "ballast" {
				continue
			}
			if !yieldFile(filepath.Join(dir, e.Name()), yield) {
				return
			}
		}
	}
}

func yieldFile(path string, yield func(File, error) bool) bool {
	f, err := os.Open(path)
	if err != nil {
		return yield(File{}, err)
	}
	more := yield(File{filepath.Base(path), f}, nil)
	_ = f.Close() // it was read only
	return more
}
