package engine_test

import (
	"math/rand/v2"
	"syscall"
)

func mountMemory(dir, size string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
}

func unmount(dir string) error { return syscall.Unmount(dir, 0) }

// noise makes bodies that can't be compressed.
func noise(size int) func() []byte {
	r := rand.NewChaCha8([32]byte{})
	return func() []byte {
		b := make([]byte, size)
		_, _ = r.Read(b) // it has no error
		return b
	}
}
