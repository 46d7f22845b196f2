package client

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/d3b0a776/switch/proto/frames"
)

const (
	// maxHeaders and maxHeaderBytes are the protocol's limits on headers.
	maxHeaders     = 64
	maxHeaderBytes = 16 << 10
	// headerPrefix begins the headers that only the switch sets.
	headerPrefix = "switch-"
	// fewHeaders is how many headers a message has at most whose frame is made on
	// the stack.
	fewHeaders = 8
	// surelyFits is a body that fits into the first stream message to a switch
	// whose largest payload is not known yet.
	surelyFits = 128 << 10
)

// Message is what Send puts into a queue.
type Message struct {
	// Body is the payload, opaque to the switch. At most 1 MiB, unless the switch
	// is configured otherwise. The client does not keep it.
	Body []byte
	// Headers are passed through untouched. At most 64, at most 16 KiB in all.
	Headers map[string]string
	// CorrelationID ties a reply to its request. At most 255 bytes.
	CorrelationID string
	// ReplyTo is the queue for the reply. It makes the message a request, and
	// needs a CorrelationID.
	ReplyTo string
	// Timeout is how long the message is worth delivering. Zero: for ever; at most
	// 30 days.
	Timeout time.Duration
	// MaxAttempts is how often the message may be attempted. Zero: as often as the
	// queue says; 1 is at most once.
	MaxAttempts int
	// RequireConsumer fails with ErrNoConsumer when nobody serves the queue.
	RequireConsumer bool
	// Parent is the message that the program works on, by its MessageID: a request
	// whose reply comes to a temporary queue ends with that one, unless that one is
	// answered. Empty: none. A parent that nobody holds any more is none either; one
	// that was cancelled is ErrParentGone.
	Parent string
	// StartWithin is how long the message may wait for its first delivery; then it
	// fails with ErrNotStarted. Zero: as long as Timeout says; at most 30 days.
	StartWithin time.Duration
	// Stream lets the reply come in parts, and the request have parts. It goes with
	// Inbox.Request of an inbox that OpenStreamInbox made.
	Stream bool
	// Create makes the queue with these options if it is missing. Nil: it must
	// exist.
	Create *QueueOptions
	// Key makes the message a call of which there is one in the queue: while it is
	// queued or runs, and for KeyTTL after its reply, a further Send with the key and
	// the same body joins it, and its ReplyTo gets the same reply. Without a ReplyTo
	// nobody waits yet; see Inbox.Join. At most 255 bytes. Empty: no key.
	Key string
	// KeyTTL is how long the reply is kept for the Key. Zero means 10 minutes; at
	// least 1 s, at most 24 h.
	KeyTTL time.Duration
	// Producer and Sequence make retries by the program idempotent, also across
	// processes: the same pair is enqueued once. Sequences of a producer rise from
	// Send to Send. Zero: the client has a key of its own, for reconnects.
	Producer []byte
	Sequence uint64
}

// Receipt is the switch's word that a message is in its queue.
type Receipt struct {
	// MessageID is the message's id, never used again.
	MessageID string `json:"message_id"`
	// Duplicate says that the same producer and sequence were sent before: nothing
	// was enqueued now.
	Duplicate bool `json:"duplicate"`
	// Joined says that the Key was known: nothing was enqueued now, and MessageID is
	// the call's.
	Joined bool `json:"joined,omitempty"`
	// Durability is what was actually achieved.
	Durability Durability `json:"durability"`
}

func receipt(m *frames.Sent) Receipt {
	return Receipt{MessageID: strings.Clone(m.MessageID), Duplicate: m.Duplicate, Joined: m.Joined, Durability: Durability(m.Durability)}
}

// Send puts a message into a queue and waits for the switch's word. After a
// reconnect it is sent again under the same key, so never twice. A queue that
// does not exist is ErrQueueNotFound.
//
// When ctx ends first, the message may or may not be in the queue.
func (c *Client) Send(ctx context.Context, queue string, m Message) (Receipt, error) {
	k := c.sendCall()
	if err := c.fill(ctx, &k.send, queue, &m); err != nil {
		return Receipt{}, err
	}
	var err error
	if k.send.Headers, err = fillHeaders(k.send.Headers[:0], m.Headers); err != nil {
		return Receipt{}, err
	}
	if err := c.enter(ctx); err != nil {
		return Receipt{}, err
	}
	if len(m.Producer) == 0 {
		k.send.Sequence = c.out.nextSequence()
	}
	c.out.addSend(&k.send, false, slot{call: k, sequence: ownSequence(&k.send)})
	c.exit()
	a := c.await(ctx, k)
	c.recycle(k)
	return a.receipt, a.err
}

// SendAsync puts a message on its way and returns. It waits only for room: at most
// 2,048 messages or 16 MiB are under way. told is called once, under the rules of
// SubscriptionHandler: with nil when the message is in its queue, as durably as
// that is, or with why it is not. After a reconnect the message is sent again
// under the same key; ErrSessionLost says that the message may or may not be in
// the queue. After an error of SendAsync itself told is not called. The client
// keeps neither body nor headers.
//
// It is for many messages: the switch answers once for all that share a stream
// message. Messages of one goroutine stay in order.
func (c *Client) SendAsync(ctx context.Context, queue string, m Message, told func(error)) error {
	if told == nil {
		return invalid("nobody is told what becomes of a message to queue %q", queue)
	}
	var send frames.Send
	if err := c.fill(ctx, &send, queue, &m); err != nil {
		return err
	}
	var room [fewHeaders]frames.Header
	var err error
	if send.Headers, err = fillHeaders(room[:0], m.Headers); err != nil {
		return err
	}
	if err := c.enter(ctx); err != nil {
		return err
	}
	if len(m.Producer) == 0 {
		send.Sequence = c.out.nextSequence()
	}
	c.out.addSend(&send, true, slot{told: told, sequence: ownSequence(&send)})
	c.leave()
	return nil
}

// ownSequence is the sequence if it is the client's own, not the program's.
func ownSequence(m *frames.Send) uint64 {
	if len(m.Producer) == 0 {
		return m.Sequence
	}
	return 0
}

// recycle keeps a call for the next Send, unless its answer may still come.
func (c *Client) recycle(k *call) {
	c.mu.Lock()
	left := k.left
	c.mu.Unlock()
	if !left {
		k.send = frames.Send{Headers: k.send.Headers[:0]}
		k.answer = answer{}
		c.sends.Put(k)
	}
}

// fill translates m, but for its headers, into f, which has nothing but memory for
// those.
func (c *Client) fill(ctx context.Context, f *frames.Send, queue string, m *Message) error {
	if err := c.check(ctx, queue, m); err != nil {
		return err
	}
	create, err := m.Create.encode()
	if err != nil {
		return invalid("options of queue %q: %v", queue, err)
	}
	f.Queue = queue
	f.Body = m.Body
	f.CorrelationID = m.CorrelationID
	f.ReplyTo = m.ReplyTo
	f.TimeoutMS = toMillis(m.Timeout)
	f.Producer = m.Producer
	f.Sequence = m.Sequence
	f.Create = create
	f.RequireConsumer = m.RequireConsumer
	f.MaxAttempts = uint32(m.MaxAttempts)
	f.Key = m.Key
	f.KeyTTLMS = toMillis(m.KeyTTL)
	f.Parent = m.Parent
	f.StartMS = toMillis(m.StartWithin)
	f.Stream = m.Stream
	return nil
}

// check refuses what would harm more than itself: what is not UTF-8 or too large
// spoils the whole stream.
func (c *Client) check(ctx context.Context, queue string, m *Message) error {
	if err := c.checkPayload(ctx, len(m.Body)); err != nil {
		return err
	}
	switch {
	case !utf8.ValidString(queue):
		return invalid("queue name %q is not UTF-8", queue)
	case queue == "":
		return invalid("the queue has no name; name the one to send to")
	case !utf8.ValidString(m.CorrelationID) || !utf8.ValidString(m.ReplyTo):
		return invalid("correlation id %q or reply-to %q is not UTF-8", m.CorrelationID, m.ReplyTo)
	case (len(m.Producer) == 0) != (m.Sequence == 0):
		return invalid("a producer needs a sequence, and a sequence a producer; give both or neither")
	case !utf8.ValidString(m.Parent):
		return invalid("parent %q is not UTF-8", m.Parent)
	case m.StartWithin < 0:
		return invalid("start within %v: that is over", m.StartWithin)
	case m.Timeout < 0:
		return invalid("timeout is %v: the message has expired", m.Timeout)
	case !utf8.ValidString(m.Key):
		return invalid("key %q is not UTF-8", m.Key)
	}
	return nil
}

// checkPayload refuses a body that the switch would not read. A large one has to
// wait until the switch has said what it takes.
func (c *Client) checkPayload(ctx context.Context, n int) error {
	if n <= surelyFits {
		return nil
	}
	limit := c.maxPayload()
	if limit == 0 {
		if err := c.Connect(ctx); err != nil {
			return err
		}
		limit = c.maxPayload()
	}
	if n > limit {
		return tooLarge(n, limit)
	}
	return nil
}

func (c *Client) maxPayload() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits.payload
}

func tooLarge(n, limit int) error {
	e := invalid("the body is %d bytes: this switch takes at most %d", n, limit).(*Error) //nolint:errorlint // it is one
	e.Reason, e.Metadata = "PAYLOAD_TOO_LARGE", map[string]string{"limit": "max_payload_bytes"}
	return e
}

func fillHeaders(into []frames.Header, headers map[string]string) ([]frames.Header, error) {
	switch {
	case len(headers) == 0:
		return into, nil
	case len(headers) > maxHeaders:
		return nil, invalid("%d headers: at most %d", len(headers), maxHeaders)
	}
	size := 0
	for k, v := range headers {
		size += len(k) + len(v)
		switch {
		case !utf8.ValidString(k) || !utf8.ValidString(v):
			return nil, invalid("header %q is not UTF-8", k)
		case k == "" || len(k) > maxNameBytes || strings.HasPrefix(k, headerPrefix):
			return nil, invalid("header name %q: names have 1 to %d bytes and do not begin with %q, which marks the switch's own",
				clip(k, maxNameBytes), maxNameBytes, headerPrefix)
		}
		into = append(into, frames.Header{Key: k, Value: v})
	}
	if size > maxHeaderBytes {
		return nil, invalid("headers of %d bytes: at most %d in all", size, maxHeaderBytes)
	}
	return into, nil
}
