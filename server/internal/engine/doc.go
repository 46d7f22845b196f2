// Package engine drives the core: it owns the State and its lock, the clock,
// the one timer, the store and the keys of sessions. It knows nothing of gRPC.
//
// Whoever has operations begins a Tx, which takes the lock, applies them, and
// ends it. Effects go to Sinks under the lock, so that everybody sees them in
// one order; a Sink only notes them. What was noted is flushed after the lock
// is free, by whoever made the Sink dirty, on the same goroutine: no hand-off
// stands between a message that comes in and the delivery that it causes.
//
// An operation on a memory queue is applied in place. Durable queues come with
// a store that has a disk: their operations will wait here for the sync that
// covers them, and then take the same way.
package engine
