// Package queue is the core of the switch: what a queue, a message, a lease, a
// consumer and a session are, and every rule about them. It decides and does
// nothing else.
//
// State holds everything. It has no lock, no clock and no goroutine, and does
// no I/O: time comes in with each operation, and Apply answers with Effects
// (deliver this to that consumer, this session ended) or with an error and the
// state untouched. NextDeadline is a time before which no Tick is due. So
// one thread may own a State, a test may run a day of it in a millisecond, and the
// same operations may one day come out of a replicated log.
//
//	          Send                     deliver                  Ack, Reply
//	(nothing) ─────► waiting ◄───────────────────────► leased ───────────► done
//	                   ▲  │        return to place        │ │
//	                   │  │ (nack, lease end, session end)│ │ attempts used up,
//	       delay over  │  └──► expired, cancelled,        │ │ or rejected
//	                delayed      dropped, purged          │ ▼
//	                   ▲──────────────────────────────────┘ dead-letter queue
//	                          nack with a delay
//
// Requests that are made for a request stand in a tree (tree.go): they end with it,
// unless it is answered.
//
// Who may call: server/internal/engine owns the State and its lock. server
// builds operations and reads Effects, Views and Messages while the engine
// holds that lock.
//
// The state has two halves. Queues, messages, attempts and producers are the
// durable half: a store can bring it back. Sessions, consumers, leases,
// temporary queues and the trace are the session half.
package queue
