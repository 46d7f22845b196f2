// Package frames is the codec of the hot path: the frames of DataService.Attach
// that carry messages (Send, Reply, Ack, Delivery and the answer to Send), read
// in place and written without garbage. Everything else goes through the
// generated code.
//
// It is protobuf, byte for byte: what the generated code of
// proto/messageswitch/v1 writes is read here, and the reverse. The tests compare
// the two.
//
// Codec is the gRPC codec that lets a stream send an Outgoing and receive an
// Incoming; with it, all other messages stay as they are.
//
// Strings and bytes that are read alias the buffer that they were read from.
// Whoever keeps one clones it.
package frames
