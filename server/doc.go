// Package server is the message switch as a gRPC server.
//
// A Server translates: requests become operations of the core
// (server/internal/queue), which the engine (server/internal/engine) applies;
// effects become answers and deliveries. It decides nothing about queues.
//
//	unary verb ──► data.go ──┐                        ┌──► poll (Transfer)
//	                         ├─► engine.Tx ─► queue ──┤
//	stream ──► attach.go ────┘                        └──► stream (Attach)
//
// The goroutines: gRPC's own; one receive loop per Attach stream, which applies
// what comes in and flushes what that caused, also to other streams; and a
// flusher for each stream whose peer has stopped reading, while it has.
//
// The zero Config is a complete switch in memory:
//
//	srv := server.New(server.Config{})
//	defer srv.Close()
//	c, err := client.New(client.Config{Conn: srv.InProcess()})
//
// What is durable when: with Config.DataDir, what is answered is on disk; see
// docs/durability.md. Without it everything ends with the process.
package server
