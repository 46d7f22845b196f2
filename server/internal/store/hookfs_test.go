package store_test

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A hookFS calls before and after each call that changes files; an error of
// before is that of the call, which is then not made. Read comes before each
// reading of a table in the same way.
type hookFS struct {
	vfs.FS
	before func(op, name string) error
	after  func(op, name string)
	read   func(op, name string) error
}

func (h hookFS) do(op, name string, f func() error) error {
	if h.before != nil {
		if err := h.before(op, name); err != nil {
			return &os.PathError{Op: op, Path: name, Err: err}
		}
	}
	err := f()
	if h.after != nil {
		h.after(op, name)
	}
	return err
}

func (h hookFS) open(op, name string, f func() (vfs.File, error)) (file vfs.File, err error) {
	err = h.do(op, name, func() error {
		file, err = f()
		return err
	})
	if err != nil {
		return nil, err
	}
	return hookFile{file, h, name}, nil
}

func (h hookFS) Unwrap() vfs.FS { return h.FS }

func (h hookFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return h.open("create", name, func() (vfs.File, error) { return h.FS.Create(name, c) })
}

func (h hookFS) ReuseForWrite(from, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return h.open("reuse", name, func() (vfs.File, error) { return h.FS.ReuseForWrite(from, name, c) })
}

func (h hookFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return h.open("create", name, func() (vfs.File, error) { return h.FS.OpenReadWrite(name, c, o...) })
}

func (h hookFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := h.FS.Open(name, o...)
	if err != nil {
		return nil, err
	}
	return hookFile{f, h, name}, nil
}

func (h hookFS) OpenDir(name string) (vfs.File, error) {
	f, err := h.FS.OpenDir(name)
	return hookFile{f, h, name}, err
}

func (h hookFS) Remove(name string) error {
	return h.do("remove", name, func() error { return h.FS.Remove(name) })
}

func (h hookFS) Rename(from, name string) error {
	return h.do("rename", name, func() error { return h.FS.Rename(from, name) })
}

func (h hookFS) Link(from, name string) error {
	return h.do("link", name, func() error { return h.FS.Link(from, name) })
}

func (h hookFS) MkdirAll(dir string, perm os.FileMode) error {
	return h.do("mkdir", dir, func() error { return h.FS.MkdirAll(dir, perm) })
}

type hookFile struct {
	vfs.File
	h    hookFS
	name string
}

func (f hookFile) Write(p []byte) (n int, err error) {
	err = f.h.do("write", f.name, func() error {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f hookFile) ReadAt(p []byte, at int64) (int, error) {
	if f.h.read != nil {
		if err := f.h.read("read", f.name); err != nil {
			return 0, err
		}
	}
	return f.File.ReadAt(p, at)
}

func (f hookFile) Sync() error { return f.h.do("sync", f.name, f.File.Sync) }

func (f hookFile) SyncData() error { return f.h.do("sync", f.name, f.File.SyncData) }

func (f hookFile) SyncTo(length int64) (full bool, err error) {
	err = f.h.do("sync", f.name, func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f hookFile) Close() error { return f.h.do("close", f.name, f.File.Close) }
