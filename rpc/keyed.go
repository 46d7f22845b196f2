package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

// persist is a round trip that goes on when the session is lost with the request
// or the reply: sent under the same key again, it joins what there is.
func (c *Caller) persist(ctx context.Context, queue string, m client.Message) (client.Reply, error) {
	return again(ctx, queue, &m, func(try client.Message) (client.Reply, error) { return c.once(ctx, queue, &try, "") })
}

// again repeats try, which is safe to repeat, while the session is lost. A Timeout
// of m is for all tries together.
func again(ctx context.Context, queue string, m *client.Message, try func(client.Message) (client.Reply, error)) (client.Reply, error) {
	after := m.Timeout
	due := time.Now().Add(after)
	for {
		reply, err := try(*m)
		if e := (*Error)(nil); ctx.Err() != nil || !errors.As(err, &e) || e.Origin != OriginTransport || !errors.Is(err, client.ErrSessionLost) {
			return reply, err
		}
		if after > 0 {
			if m.Timeout = time.Until(due); m.Timeout <= 0 {
				return client.Reply{}, errTimedOut(queue, after)
			}
		}
	}
}

// Detach sends a request for whose reply nobody waits yet, and answers the id of
// the call once the switch has it, on disk if the queue is durable. [Caller.Join]
// waits for the reply, from any process of the same principal, until the time of
// [KeyTTL] after it is over. Without [WithKey] the call gets a random key.
//
// Of the context's deadline nothing travels with the request: it is for sending
// it. [Timeout] is how long it is worth serving. Interceptors do not see it.
func (c *Caller) Detach(ctx context.Context, req Request, opts ...CallOption) (id string, err error) {
	m := message(&req, opts)
	if m.Key == "" {
		m.Key = rand.Text()
	}
	if m.Timeout > 0 {
		m.Timeout = travelling(m.Timeout)
	}
	belong(ctx, &m)
	r, err := c.client.Send(ctx, req.Queue, m)
	if err != nil {
		return "", fromClient(req.Queue, err)
	}
	return r.MessageID, nil
}

// Join waits for the reply to a call with a key, of which id is what Detach has
// answered, and answers it as Do does. Of the options only [Timeout] counts. When
// ctx ends, the wait does; the call goes on if others wait for it, or it was
// detached. A call that is not known, or not any more, is client.ErrCallNotFound.
func (c *Caller) Join(ctx context.Context, id string, opts ...CallOption) (*Response, error) {
	if id == "" {
		return nil, &Error{Origin: OriginLocal, code: codes.InvalidArgument, cause: errors.New("the call to join has no id")}
	}
	var m client.Message
	apply(&m, opts)
	reply, err := again(ctx, "", &m, func(try client.Message) (client.Reply, error) { return c.once(ctx, "", &try, id) })
	if err != nil {
		return nil, err
	}
	return &Response{Body: reply.Body, Headers: reply.Headers}, nil
}
