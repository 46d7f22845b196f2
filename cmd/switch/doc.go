// Command switch is the command line of the message switch: it runs the daemon,
// serves queues, calls them, and shows what happens.
//
// It is flags, signals, output and wiring. What it can do, every Go program can
// with packages server, server/datadir, client, rpc, rpc/grpcqueue and
// rpc/upstream; it imports nothing else of this module.
//
// A run is one shell (shell.go): main gives it the command line, it puts that in
// order (permute.go), has package cli find the verb (app.go), and turns the error
// that comes back into words and an exit code (exit.go). Each verb has a file of
// its own name. Three things are more than a verb:
//
//   - serve is the daemon without a QUEUE and serves a queue with one (serve.go,
//     daemon.go, respond.go). The words decide, never the environment.
//   - A program serves a queue by being run for each request (program.go); its
//     contract is the comment there.
//   - The report of diagnostics for people (diagnosis.go).
//
// # Input and output
//
// Flags may stand before and after the words. A flag goes before its SWITCH_*
// variable, and that before the default. Data goes to standard output, everything
// else to standard error. -o chooses the form of the data; the first one is the
// default:
//
//	table, json, jsonl        create, describe, destroy, diagnostics, purge, ack,
//	                          dlq, send, shutdown, tail, backup, restore, check,
//	                          dump, service, cancel, why
//	table, json, jsonl, raw   list, peek, calls
//	raw, json, jsonl          attach, call, recv
//	table, json               version, bench
//
// table is for people. On a terminal its columns are aligned under a head and cut
// to what there is room for; off it there is no head, one tab between columns,
// and nothing is cut. json is one indented document, with recv one for each
// message; jsonl is one document a line; raw is bodies, or names, as they are.
// With json and jsonl an error is a document too, {"error": {…}}, on standard
// error. Bodies in documents are "body" when they are UTF-8 and "body_base64" when
// not, except in what peek, diagnostics, dlq and dump show, where they are always
// base64.
//
// # Exit codes
//
//	0         done
//	1         a local failure
//	2         a command line that can't be carried out
//	64 + n    a refusal with gRPC code n, by the switch or by who served the request:
//	          68 time is up, 69 not found, 78 unavailable
//	128 + n   signal n
//
// # Names
//
// switch is a word of fish, PowerShell and csh, so the binary is installed as
// mswitch too, by a link. It is the same under any name, and its help and hints
// are in terms of the one that it was called by.
package main
