package crash_test

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// diskUse is what a directory takes on the disk, in bytes, as du counts it. The
// ballast is not counted: it is there to be given up when the disk is full.
func diskUse(t *testing.T, dir string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() == "ballast" {
			return nil // an error: it was removed meanwhile
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += s.Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
