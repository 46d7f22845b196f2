package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// backupDir is where a copy is while it is being read, inside of the data
// directory: that is the one place that is surely on the same file system, so
// that the copy costs links instead of bytes, and where the switch may surely
// write. The store does not look into directories. It is there only during a
// backup; what a crash has left is removed at the next start.
const backupDir = "backup-in-progress"

// Copy is a copy of the store as it was at one moment. Close removes it.
type Copy struct {
	Files []CopyFile // by name
	Bytes int64      // of all files

	e   *Engine
	dir string
}

// CopyFile is one file of a copy.
type CopyFile struct {
	Name  string
	Bytes int64
}

var (
	errNoDisk     = &queue.Error{Kind: queue.ErrNotDurable, Text: "the switch has no data directory: there is nothing to back up; start it with --data-dir"}
	errBackupRuns = &queue.Error{Kind: queue.ErrLimitReached, Text: "another backup is being read, and there is one at a time; retry when it is done", Meta: []string{"limit", "backups"}}
)

// Backup makes a copy of the store that holds all that was answered so far, and
// maybe more. There is one at a time. The lock must be free.
func (e *Engine) Backup(ctx context.Context) (*Copy, error) {
	if e.disk == nil || e.dir == "" {
		return nil, errNoDisk
	}
	if !e.copying.TryLock() {
		return nil, errBackupRuns
	}
	c := &Copy{e: e, dir: filepath.Join(e.dir, backupDir)}
	err := e.flush(ctx)
	if err == nil {
		err = c.make()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// flush waits until everything that was applied is synced, also what nobody
// waits for.
func (e *Engine) flush(ctx context.Context) error {
	var tx Tx
	e.Begin(&tx)
	if e.closed {
		tx.End()
		return errClosed
	}
	t := tx.ticket()
	tx.End()
	return t.Wait(ctx)
}

func (c *Copy) make() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	if err := c.e.useDisk(func(d *store.Disk) error { return d.Checkpoint(c.dir) }); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("the copy holds %q, which is no file", entry.Name())
		}
		c.Files = append(c.Files, CopyFile{entry.Name(), info.Size()})
		c.Bytes += info.Size()
	}
	return nil
}

// Open opens a file of the copy for reading.
func (c *Copy) Open(name string) (*os.File, error) { return os.Open(filepath.Join(c.dir, name)) }

// Close removes the copy.
func (c *Copy) Close() error {
	defer c.e.copying.Unlock()
	return os.RemoveAll(c.dir)
}

// sweepBackup removes what an earlier life has left of a backup.
func sweepBackup(dir string) error { return os.RemoveAll(filepath.Join(dir, backupDir)) }
