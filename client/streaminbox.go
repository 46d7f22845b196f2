package client

import (
	"context"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// StreamInboxOptions say how an inbox takes the parts of a stream.
type StreamInboxOptions struct {
	// WindowBytes is how many bytes of parts may be on their way to the program: at
	// the switch, and here before they are acked. One part, of any size, always may.
	// Zero means 1 MiB.
	WindowBytes int
	// WindowParts is how many parts may be. Zero means 1,024.
	WindowParts int
	// Part takes the parts, in order, under the rules of SubscriptionHandler. Required.
	// The program acks each one when it is done with it, which lets more come; after
	// the reply that is no use.
	Part func(*Delivery)
}

// wire is the options of the queue. For other inboxes there are none.
func (o *StreamInboxOptions) wire() *pb.QueueOptions {
	if o == nil {
		return nil
	}
	return &pb.QueueOptions{MaxBytes: uint64(o.WindowBytes), MaxMessages: uint64(o.WindowParts)}
}

// OpenStreamInbox makes an inbox for the parts of one stream: its own, with Request
// and Message.Stream, or of a request that this client holds, with
// PartSender.Accept. It does no I/O. A stream does not outlive its session.
func (c *Client) OpenStreamInbox(o StreamInboxOptions) (*Inbox, error) {
	switch {
	case o.Part == nil:
		return nil, invalid("nobody takes the parts of the stream")
	case o.WindowBytes < 0 || o.WindowParts < 0:
		return nil, invalid("a window of %d bytes and %d parts: it can't be negative", o.WindowBytes, o.WindowParts)
	}
	return c.openInbox(&o)
}

// Open makes the queue of the inbox, if there is none yet.
func (i *Inbox) Open(ctx context.Context) error {
	err := i.enter(ctx)
	if err == nil {
		i.client.exit()
	}
	return err
}
