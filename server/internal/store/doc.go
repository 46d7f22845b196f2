// Package store keeps what outlives the process: the switch's epoch, the key
// that signs session tokens and, in a form that has a disk, the durable half of
// the queues. The engine is its only caller.
//
// Memory is the form without a disk. Nothing outlives the process there, so
// each start has a new key and an epoch taken from the clock, and queues can't
// be durable.
//
// A Disk is the form with one: a Pebble database in a directory of its own.
// Open it, Start a life, and from then on Commit batches and read pages of
// Messages, from any goroutine. A batch is durable as a whole when Commit
// answers nil, and batches are durable in the order of their commits.
//
// The first error of a write or sync ends the use of a Disk: Options.Failed is
// told, everything that waits or comes later answers ErrFailed, and the process
// must end (see guard). Only Open, Start and a Checkpoint may answer other errors
// than that, and reads, when a record is damaged.
//
// What the files hold, and which damage to them isn't noticed, is in
// docs/on-disk-format.md. The records' meaning is the engine's business.
package store
