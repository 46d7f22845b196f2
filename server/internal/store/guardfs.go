package store

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS shows every call that changes the store's files to the guard, and those
// that read its tables: on an error from those, a merge of Pebble's may panic.
// Removing is not among them: a file too many does no harm.
type guardFS struct {
	vfs.FS
	g *guard
}

// Unwrap is the file system below.
func (fs guardFS) Unwrap() vfs.FS { return fs.FS }

// Create makes a file.
func (fs guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return fs.file("create", name, f, err)
}

// ReuseForWrite makes a file out of an old one.
func (fs guardFS) ReuseForWrite(from, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, name, c)
	return fs.file("reuse", name, f, err)
}

// OpenReadWrite opens a file for both.
func (fs guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, c, o...)
	return fs.file("open", name, f, err)
}

// Open opens a file for reading.
func (fs guardFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, o...)
	if !isTable(name) {
		return f, err
	}
	if err != nil {
		if fs.g.armed.Load() {
			err = fs.g.outcome("open", name, err)
		}
		return nil, err
	}
	return guardFile{File: f, name: name, g: fs.g}, nil
}

// OpenDir opens a directory for syncing it.
func (fs guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return fs.file("open", name, f, err)
}

// Rename moves a file.
func (fs guardFS) Rename(from, name string) error {
	return fs.g.outcome("rename to", name, fs.FS.Rename(from, name))
}

// Link gives a file a second name.
func (fs guardFS) Link(from, name string) error {
	return fs.g.outcome("link", name, fs.FS.Link(from, name))
}

func (fs guardFS) file(verb, name string, f vfs.File, err error) (vfs.File, error) {
	if err := fs.g.outcome(verb, name, err); err != nil {
		return nil, err
	}
	return guardFile{File: f, name: name, g: fs.g}, nil
}

// guardFile is a file that is written, or a table.
type guardFile struct {
	vfs.File
	name string
	g    *guard
}

// ReadAt reads at a place.
func (f guardFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	if err != nil && f.g.armed.Load() && (n < len(p) || !errors.Is(err, io.EOF)) {
		return n, f.g.outcome("read", f.name, err)
	}
	return n, err
}

// Write appends.
func (f guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.g.outcome("write", f.name, err)
}

// WriteAt writes at a place.
func (f guardFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	return n, f.g.outcome("write", f.name, err)
}

// Sync makes all of the file durable.
func (f guardFile) Sync() error { return f.g.outcome("sync", f.name, f.File.Sync()) }

// SyncData makes what was written durable.
func (f guardFile) SyncData() error { return f.g.outcome("sync", f.name, f.File.SyncData()) }

// SyncTo begins to make the first bytes durable.
func (f guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.g.outcome("sync", f.name, err)
}

// Close closes the file.
func (f guardFile) Close() error { return f.g.outcome("close", f.name, f.File.Close()) }
