package store

import "context"

// Comparer is what a store is written with.
var Comparer = comparer

// Reset empties a batch.
func (b *Batch) Reset() { b.b.Reset() }

// Flush writes what is in memory to tables, and Compact merges those.
func (d *Disk) Flush() error { return d.db.Flush() }

// Compact merges all tables.
func (d *Disk) Compact() error {
	return d.db.Compact(context.Background(), []byte{0}, []byte{familyEnd}, false)
}

// DecodeRecord reads any record.
var DecodeRecord = decodeRecord
