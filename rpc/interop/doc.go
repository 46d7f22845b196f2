// Package interop runs the interoperability cases of grpc-go, which others have
// written to prove that one implementation of gRPC talks to another, through
// queues of the switch. It is a module of its own because they bring dependencies
// that a switch does not need.
//
// Left out are the cases about what a queue does not have: compression, connections
// and their balancing, and the credentials of one cloud.
package interop
