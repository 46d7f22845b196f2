// Bench measures the switch beside what one would take instead of it: NATS with
// and without JetStream, Redis, and RabbitMQ; and beside a bare gRPC relay, which
// is the limit of what a switch on gRPC can do, without and with a disk.
//
//	go run . [flags] [WORK…]           # measure
//	go run . report [-w FILE] FILE.jsonl # make the tables of docs/benchmarks.md
//
// # Processes
//
// This process only starts others and writes down what they report. Each broker,
// responder, caller, producer and consumer is a process of its own: the same
// binary again, with a job in its environment. They talk over loopback. A child
// prints "ready" when it is connected, gets the pids of those whose CPU it is to
// read on its standard input, measures, prints its sample, and ends when its
// standard input does.
//
// # A measurement
//
// The process that sees an operation complete owns the window: it reads the CPU
// of everybody at both ends of it, and counts what completed between. Warm-up is
// before the window, and what is under way at its end is finished and checked,
// but not counted. Rounds are interleaved, so that a noisy minute of the machine
// meets all systems.
//
// # Reading the source
//
// work.go is the table of what is measured, beside what, and how good it has to
// be. runner.go goes through it. peer.go is what a system has to be able to do;
// switch.go, nats.go, jetstream.go, redis.go, rabbitmq.go, relay.go and
// relaydurable.go are the systems. calls.go, sends.go, pipe.go, footprint.go and growth.go are the loads.
// process.go is a child seen from its parent, child.go from itself. report.go
// makes Markdown of the samples.
package main
