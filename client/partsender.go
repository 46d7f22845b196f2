package client

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// askAgain is after what time a sender that waits for room asks whether there is
// some: the notice may have been lost with a connection.
const askAgain = time.Second

// Part is one part of a stream.
type Part struct {
	// Body is the payload; it may be empty. Its limit is that of a message's.
	Body []byte
	// Headers travel with it; limits as those of a message. Nil means none.
	Headers map[string]string
}

// A PartSender sends the parts of one half of a stream: from who holds a request to
// its caller, or from the caller to the holder. What is sent stays within the window
// of its receiver. One goroutine may send at a time; Accept, End and Close may be
// called from any, and never wait.
type PartSender struct {
	// Set at construction.
	client *Client
	half   half
	ended  func(error)   // may be nil
	told   func(error)   // p.refused, once
	more   chan struct{} // capacity 1: there may be room, or it failed; never closed

	// Guarded by Client.mu.
	number, bytes            uint64 // parts sent, and bytes of their bodies
	takenParts, takenBytes   uint64 // of those
	windowParts, windowBytes uint64 // zero: the switch has not said yet
	asking                   bool   // the switch is to say when there is room
	done                     bool   // the end was sent
	err                      error  // why no more parts can be sent
}

// A half names one half of a stream to the switch.
type half struct {
	lease   uint64 // of the holder's
	replyTo string // of the caller's, with id
	id      string
}

// Parts sends parts of the reply to a request with Stream. The reply comes after
// them. ended is called once if that goes wrong by itself: the lease or the session
// is gone, or the caller is. It comes under the rules of SubscriptionHandler, and may
// be nil.
func (d *Delivery) Parts(ended func(error)) (*PartSender, error) {
	c := d.batch.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := d.heldLocked(); err != nil {
		return nil, err
	}
	if !d.Stream() {
		return nil, &Error{Code: codes.FailedPrecondition, Reason: "NO_STREAM", Message: "message " + d.MessageID + " was sent without stream; reply to it"}
	}
	d.extra.sender = c.partsLocked(half{lease: d.lease}, ended)
	return d.extra.sender, nil
}

// Parts sends parts to who holds the request with that correlation id. The switch
// refuses them before it has said, by a part with a ReplyTo, that they are taken.
// For ended see Delivery.Parts.
func (i *Inbox) Parts(correlationID string, ended func(error)) (*PartSender, error) {
	c := i.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shut != nil:
		return nil, c.shut
	case i.closed || i.queue == "":
		return nil, ErrClosed
	}
	return c.partsLocked(half{replyTo: i.queue, id: correlationID}, ended), nil
}

func (c *Client) partsLocked(h half, ended func(error)) *PartSender {
	p := &PartSender{client: c, half: h, ended: ended, more: make(chan struct{}, 1)}
	p.told = p.refused
	if c.senders == nil {
		c.senders = map[half]*PartSender{}
	}
	c.senders[h] = p
	return p
}

// Send sends a part, once there is room for it in the receiver's window. It keeps
// nothing of it. The part may be refused later: then nothing of what was sent after
// it arrives either, the next Send says so, and a Reply fails.
func (p *PartSender) Send(ctx context.Context, m Part) error {
	c := p.client
	headers, err := fillHeaders(nil, m.Headers)
	if err != nil {
		return err
	}
	for {
		if err := c.enter(ctx); err != nil {
			return err
		}
		fits := p.fitsLocked(len(m.Body))
		err := p.overLocked()
		switch {
		case err != nil:
		case len(m.Body) > c.limits.payload: // known: a stream has a session. The switch's refusal would end this half
			err = tooLarge(len(m.Body), c.limits.payload)
		case fits:
			err = p.putLocked(&frames.Part{Body: m.Body, Headers: headers})
		default:
			p.askLocked()
		}
		c.exit()
		if err != nil || fits {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
	}
}

// Accept says that parts are taken, into an inbox that is open and that nothing else
// uses.
func (p *PartSender) Accept(i *Inbox) error {
	return p.put(func() (*frames.Part, error) {
		if i.closed || i.queue == "" {
			return nil, ErrClosed
		}
		return &frames.Part{ReplyTo: i.queue}, nil
	})
}

// End says that no part follows.
func (p *PartSender) End() error {
	return p.put(func() (*frames.Part, error) { return &frames.Part{End: true}, nil })
}

// Close forgets the sender. It does not end the stream.
func (p *PartSender) Close() {
	c := p.client
	c.mu.Lock()
	defer c.mu.Unlock()
	p.closeLocked(ErrClosed)
}

// put sends what always fits. part is called with the lock held.
func (p *PartSender) put(part func() (*frames.Part, error)) error {
	c := p.client
	c.mu.Lock()
	defer c.exit()
	if err := p.overLocked(); err != nil {
		return err
	}
	m, err := part()
	if err != nil {
		return err
	}
	p.done = m.End
	return p.putLocked(m)
}

// overLocked says why no part can be sent any more, if so.
func (p *PartSender) overLocked() error {
	if p.err == nil && p.done {
		return &Error{Code: codes.FailedPrecondition, Reason: "NO_STREAM", Message: "the end of the parts was sent; none can follow"}
	}
	return p.err
}

// fitsLocked reports whether a part of n bytes stays within the window. The first
// one may go to learn it.
func (p *PartSender) fitsLocked(n int) bool {
	waiting := p.number - p.takenParts
	switch {
	case p.number == 0 || waiting == 0 && p.windowParts > 0:
		return true
	case p.windowParts == 0:
		return false
	}
	return waiting < p.windowParts && p.bytes-p.takenBytes+uint64(n) <= p.windowBytes
}

// putLocked appends a part. As long as the window is not known, it is answered.
func (p *PartSender) putLocked(m *frames.Part) error {
	out := &p.client.out
	p.number++
	p.bytes += uint64(len(m.Body))
	m.Lease, m.CorrelationID, m.Part = p.half.lease, p.half.id, p.number
	if m.Lease == 0 {
		m.ReplyTo = p.half.replyTo
	}
	if p.windowParts > 0 {
		out.addPart(m, slot{told: p.told})
		return nil
	}
	k := newCall(frames.VerbPart, &pb.PartRequest{Lease: m.Lease, Body: m.Body, Headers: headerMap(m.Headers), ReplyTo: m.ReplyTo,
		CorrelationId: m.CorrelationID, Part: m.Part, End: m.End})
	k.then = p.answered
	err := out.add(k)
	k.msg = nil // the program's body is its own again
	return err
}

func headerMap(hs []frames.Header) map[string]string {
	var m map[string]string
	if len(hs) > 0 {
		m = make(map[string]string, len(hs))
	}
	for _, h := range hs {
		m[h.Key] = h.Value
	}
	return m
}

// askLocked has the switch say how much room there is, and when there is more.
func (p *PartSender) askLocked() {
	if p.asking || p.windowParts == 0 { // then an answer is on its way
		return
	}
	p.asking = true
	k := newCall(frames.VerbPart, &pb.PartRequest{Lease: p.half.lease, ReplyTo: p.half.replyTo, CorrelationId: p.half.id, Ask: true})
	k.then = p.answered
	_ = p.client.out.add(k) // its texts were sent before
}

// await waits until there may be room.
func (p *PartSender) await(ctx context.Context) error {
	timer := time.NewTimer(askAgain)
	defer timer.Stop()
	select {
	case <-p.more:
	case <-timer.C:
		p.client.mu.Lock()
		p.asking = false
		p.client.mu.Unlock()
	case <-ctx.Done():
		return ended(ctx, "not sent: the receiver of the stream has not taken what came before")
	}
	return nil
}

// answered takes the answer to a Part, on the session loop.
func (p *PartSender) answered(a answer) {
	if a.err != nil {
		p.fail(a.err)
		return
	}
	r := a.reply.(*pb.PartResponse)
	c := p.client
	c.mu.Lock()
	p.windowParts, p.windowBytes = r.GetWindowParts(), r.GetWindowBytes()
	p.takenLocked(r.GetConsumedParts(), r.GetConsumedBytes())
	c.mu.Unlock()
}

// taken takes the switch's notice that a receiver took some.
func (c *Client) taken(w *pb.Window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.senders[half{w.GetLease(), w.GetReplyTo(), w.GetCorrelationId()}]
	if p != nil {
		p.asking = false
		p.takenLocked(w.GetConsumedParts(), w.GetConsumedBytes())
	}
}

func (p *PartSender) takenLocked(parts, bytes uint64) {
	p.takenParts, p.takenBytes = max(p.takenParts, parts), max(p.takenBytes, bytes)
	p.wake()
}

func (p *PartSender) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// refused takes the word about a part that was sent quietly.
func (p *PartSender) refused(err error) {
	if err != nil {
		p.fail(err)
	}
}

// fail ends the sender, on the session loop.
func (p *PartSender) fail(err error) {
	c := p.client
	c.mu.Lock()
	first := p.closeLocked(err)
	c.mu.Unlock()
	if first && p.ended != nil {
		p.ended(err)
	}
}

func (p *PartSender) closeLocked(err error) (first bool) {
	if p.err != nil {
		return false
	}
	p.err = err
	if p.client.senders[p.half] == p {
		delete(p.client.senders, p.half)
	}
	p.wake()
	return true
}

// sendersLocked are those whose streams are broken: by the end of the session, or a
// restart of the switch.
func (c *Client) sendersLocked(broken func(half) bool) []*PartSender {
	var all []*PartSender
	for h, p := range c.senders {
		if broken(h) {
			all = append(all, p)
		}
	}
	return all
}
