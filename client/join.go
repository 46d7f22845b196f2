package client

import (
	"context"
	"unicode/utf8"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// Join waits in the inbox for the reply to a call with a key that was sent before,
// by any client of the same principal; messageID is its Receipt's. p is told under
// correlationID, which no other request of the inbox may have while it waits, like
// the sender of a request: Lost with ErrCallNotFound when the switch does not know
// the call, or not any more. Cancel ends the wait; the call goes on while others
// wait for it, or when it was sent without a ReplyTo. After an error, p is not
// called.
func (i *Inbox) Join(ctx context.Context, messageID, correlationID string, p Pending) error {
	switch {
	case messageID == "" || correlationID == "" || !utf8.ValidString(messageID) || !utf8.ValidString(correlationID):
		return invalid("a call %q can't be joined under correlation id %q: both are needed, as UTF-8", messageID, correlationID)
	case p == nil:
		return invalid("nobody waits for the reply to call %q", messageID)
	}
	if err := i.enter(ctx); err != nil {
		return err
	}
	c := i.client
	if _, inUse := i.waiting[correlationID]; inUse {
		c.mu.Unlock()
		return invalid("a request with correlation id %q waits already; use another", correlationID)
	}
	m := &pb.JoinRequest{MessageId: messageID, ReplyTo: i.queue, CorrelationId: correlationID}
	if err := c.out.addVerb(frames.VerbJoin, m, true, slot{inbox: i, id: correlationID}); err != nil {
		c.mu.Unlock()
		return err
	}
	i.waiting[correlationID] = request{c.out.tag, p}
	c.exit()
	return nil
}
