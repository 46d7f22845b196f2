// Package frames is the codec of the hot path: the frames of DataService.Attach
// that carry messages (Send, Reply, Ack, Delivery and the answer to Send), read
// in place and written without garbage. Everything else goes through the
// generated code.
//
// It is protobuf, byte for byte: what the generated code of
// proto/messageswitch/v1 writes is read here, and the reverse. The tests compare
// the two, also on bytes that nobody should send. They differ in this:
//
//   - Reading goes frame by frame, so those before a malformed one have been
//     handed out.
//   - A verb or event that a later one replaces is not looked at, and one that
//     comes in pieces is joined before it is read, as are Create and Failure.
//     The generated code wants every piece to be well-formed by itself.
//   - What is kept encoded (Raw, Create, Failure) is checked by who decodes it.
//   - Unknown fields and the session of a frame are dropped.
//   - Append takes strings as they are. If they are not UTF-8, nobody will read
//     the message.
//
// Codec is the gRPC codec that lets a stream send an Outgoing and receive an
// Incoming; with it, all other messages stay as they are.
//
// Strings and bytes that are read alias the buffer that they were read from.
// Whoever keeps one clones it.
package frames
