// Package engine drives the core: it owns the State and its lock, the clock,
// the one timer, the store and the keys of sessions. It knows nothing of gRPC.
//
// Whoever has operations begins a Tx, which takes the lock, applies them, and
// ends it. Effects go to Sinks under the lock, so that everybody sees them in
// one order; a Sink only notes them. What was noted is flushed after the lock
// is free, by whoever made the Sink dirty, on the same goroutine: no hand-off
// stands between a message that comes in and the delivery that it causes.
//
// With a disk, what an operation changes in durable queues joins the open batch
// (record.go). A committer takes the whole batch, syncs it, and then lets go of
// what waited for it: answers (Waiter, Ticket) and, by the core's Synced, the
// deliveries of new messages (commit.go). It never waits for more to come: while
// one batch is synced the next one fills. What nobody waits for, such as the
// removal of acked messages, goes with the next batch, or by itself a moment
// later.
//
// A failure of the disk ends the engine: no operation is answered any more. A disk
// that is merely nearly full does not: space.go keeps a reserve, and has the core
// refuse what is new. backup.go copies the store while all of that goes on.
package engine
