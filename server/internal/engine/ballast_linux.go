package engine

import (
	"errors"
	"os"
	"syscall"
)

// allocate makes f take n bytes of the disk.
func allocate(f *os.File, n int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return fill(f, n)
	}
	return os.NewSyscallError("fallocate", err)
}
