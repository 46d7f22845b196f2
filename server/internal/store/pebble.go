package store

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pebbleVersion is the newest format of Pebble 2.1 that is not experimental. We
// want what it brings over the oldest one: logs whose chunks say how far the log
// was synced, so that most damage is told from a torn end (since
// FormatWALSyncChunks), and tables whose footer has a checksum (since
// FormatTableFormatV6). It is named, not FormatNewest, so that an update of
// Pebble doesn't change the format of stores unasked. Values are not separated:
// the format only allows it.
const pebbleVersion = pebble.FormatValueSeparation

// Memory, in bytes: the cache holds the memtables, and blocks in what those
// leave. Together with the daemon's own it stays far below 512 MiB.
const (
	memTableSize  = 16 << 20 // a flush of that takes well under a second
	memTableStop  = 4        // writes wait while so many memtables are full
	cacheSize     = 96 << 20
	blockSize     = 32 << 10 // messages are read in order, many at a time
	indexSize     = 256 << 10
	maxOpenFiles  = 500      // 10 million messages of 1 KiB are some 300 tables
	maxManifest   = 8 << 20  // is read at the start
	flushEvery    = 1000     // range deletions; see Batch.Commit
	flushDeleted  = 64 << 20 // the same
	rangesFlushed = 10 * time.Second
	slowDisk      = 5 * time.Second // a call that takes longer is logged
)

// comparer is Pebble's own under our name: so no other program's database is
// taken for ours, or ours for its.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "switch"
	return &c
}()

func (d *Disk) pebbleOptions(o Options) *pebble.Options {
	size := o.MemTableBytes
	if size == 0 {
		size = memTableSize
	}
	p := &pebble.Options{
		FS:                          guardFS{FS: o.FS, g: d.guard},
		Lock:                        d.lock,
		Comparer:                    comparer,
		Cache:                       pebble.NewCache(cacheSize),
		FormatMajorVersion:          pebbleVersion,
		ReadOnly:                    o.ReadOnly,
		MemTableSize:                size,
		MemTableStopWritesThreshold: memTableStop,
		MaxOpenFiles:                maxOpenFiles,
		MaxManifestFileSize:         maxManifest,
		L0CompactionThreshold:       2, // fewer layers to read, and deleted messages go early
		L0StopWritesThreshold:       40,
		// A second compaction only when the first falls behind: with two cores,
		// it takes one from the senders.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		// What a destroyed queue held is given back also when nobody writes.
		FlushDelayDeleteRange: rangesFlushed,
		Logger:                pebbleLogger{d.guard, o.Logger},
		EventListener:         &pebble.EventListener{BackgroundError: d.guard.background, DataCorruption: d.damaged, PossibleAPIMisuse: d.misused},
		DisableTableStats:     o.ReadOnly, // they only help compactions
	}
	if o.ReadOnly { // nothing to lose: who reads it, gets the error
		p.FS = o.FS
		p.EventListener.BackgroundError = func(error) {}
		p.EventListener.DataCorruption = func(pebble.DataCorruptionInfo) {}
	}
	// Snappy or its like: text shrinks, and what doesn't costs next to nothing.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range p.Levels {
		p.Levels[i].BlockSize = blockSize
		p.Levels[i].IndexBlockSize = indexSize
		// No Bloom filters: nothing is looked up that isn't there.
	}
	p.Experimental.SpanPolicyFunc = d.tableEnd
	p.Experimental.EnableColumnarBlocks = func() bool { return true } // the tables with checksums in the footer
	return p
}

// damaged ends the use of a store with a table that can't be read: messages of it
// that were to be deleted would come back, and others never be delivered. It does
// not return, as a merge would panic then.
func (d *Disk) damaged(i pebble.DataCorruptionInfo) {
	d.guard.fail(fmt.Errorf("%s is %w: %w", i.Path, ErrCorrupt, i.Details))
	block()
}

// misused ends the use of a store in which a message was written twice: its one
// deletion would leave the other, which would be delivered again.
func (d *Disk) misused(i pebble.PossibleAPIMisuseInfo) {
	if i.Kind == pebble.NondeterministicSingleDelete {
		d.guard.fail(fmt.Errorf("%s was written twice, so that it would come back: %w; restore a copy", name(i.UserKey), ErrCorrupt))
		block()
	}
}

// slow logs a call to the file system that takes long.
func (d *Disk) slow(i vfs.DiskSlowInfo) {
	d.log.Warn("the disk is slow", "op", i.OpType.String(), "took", i.Duration, "path", i.Path)
}

// pebbleLogger is where Pebble logs. What it tells in passing is dropped.
type pebbleLogger struct {
	g   *guard
	log *slog.Logger
}

// Infof drops the message.
func (l pebbleLogger) Infof(string, ...any) {}

// Errorf logs what went wrong without stopping anything.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Warn("the store has a problem", "err", fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble can't go on, and must not return to it.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.g.fail(fmt.Errorf(format, args...))
	block()
}
