package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

var (
	// ErrInUse says that another process, or this one, has the directory open.
	ErrInUse = errors.New("is in use by another process")
	// ErrFormat says that the directory holds something this version can't
	// read: a newer store, or no store at all.
	ErrFormat = errors.New("unknown format")
	// ErrCorrupt says that a file or record is not what was written. The error
	// names it.
	ErrCorrupt = errors.New("corrupt")
	// ErrFailed says that a write or sync has failed, or that Pebble found damage.
	// The store then does nothing any more; what of the last batch reached the
	// disk is known after a restart.
	ErrFailed = errors.New("the store has failed")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// mark gives damage that Pebble has found our sentinel.
func mark(err error) error {
	if err != nil && pebble.IsCorruptionError(err) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("it is %w: %w", ErrCorrupt, err)
	}
	return err
}
