package engine_test

import "github.com/cockroachdb/pebble/v2/vfs"

// clonedFS is a file system in memory that may be cloned at any time: the one of
// Pebble holds a lock for reading twice when a log is used again, which waits for
// ever if a clone asks for it in between.
type clonedFS struct{ *vfs.MemFS }

// ReuseForWrite takes the two steps one by one.
func (f clonedFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(old, name); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(name, category)
}
