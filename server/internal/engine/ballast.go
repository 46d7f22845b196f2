package engine

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// ballastFile is the ballast's name in the data directory. It may be deleted at
// any time: it is made again when there is room.
const ballastFile = "ballast"

// ballastPause is how long making it rests after a failure.
const ballastPause = time.Minute

// ballast is a file that takes space for nothing, so that it can be given up.
type ballast struct {
	dir   string // empty: there is none
	want  uint64 // bytes
	tired time.Time
}

func (b *ballast) path() string { return filepath.Join(b.dir, ballastFile) }

// bytes is how much it takes now.
func (b *ballast) bytes() uint64 {
	if b.dir == "" {
		return 0
	}
	info, err := os.Stat(b.path())
	if err != nil {
		return 0
	}
	return uint64(info.Size())
}

// drop gives its space back.
func (b *ballast) drop() error { return os.Remove(b.path()) }

// make makes it, and says how many bytes it takes. For a moment after a failure
// it does nothing.
func (b *ballast) make() (made uint64, err error) {
	if b.dir == "" || b.want == 0 || time.Since(b.tired) < ballastPause {
		return 0, nil
	}
	f, err := os.OpenFile(b.path(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		b.tired = time.Now()
		return 0, err
	}
	if err = errors.Join(allocate(f, int64(b.want)), f.Close()); err != nil {
		b.tired = time.Now()
		return 0, errors.Join(err, b.drop())
	}
	return b.want, nil
}

// fill takes space by writing it.
func fill(f *os.File, n int64) error {
	zeros := make([]byte, 1<<20)
	for n > 0 {
		part := zeros[:min(n, int64(len(zeros)))]
		if _, err := f.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}
