// Package store keeps what outlives the process: the switch's epoch, the key
// that signs session tokens and, in a form that has a disk, the durable half of
// the queues. The engine is its only caller.
//
// Memory is the form without a disk. Nothing outlives the process there, so
// each start has a new key and an epoch taken from the clock, and queues can't
// be durable.
package store
