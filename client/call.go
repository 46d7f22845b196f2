package client

import (
	"context"
	"runtime"

	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// A call is a verb that waits for its answer.
type call struct {
	verb frames.Verb
	send frames.Send   // of VerbSend
	msg  proto.Message // of all others
	redo bool          // when the session ends, the next one does it again

	// then is called with the answer by the session loop, before the waiting
	// goroutine goes on. It holds no lock. May be nil.
	then func(answer)

	// Guarded by Client.mu.
	left bool // nobody waits any more

	answer answer        // set before done is signalled
	done   chan struct{} // capacity 1; never closed
}

// An answer is what came of a call.
type answer struct {
	tag     uint64
	receipt Receipt       // of VerbSend
	reply   proto.Message // of all others
	err     error
	lost    bool // no answer came: the session ended
	left    bool // nobody waits for it
}

func newCall(verb frames.Verb, m proto.Message) *call {
	return &call{verb: verb, msg: m, done: make(chan struct{}, 1)}
}

// sendCall is a call of Send, used again: each needs a channel. The pool is the
// client's own, because a channel of one synctest bubble is no good in another.
func (c *Client) sendCall() *call {
	if k, ok := c.sends.Get().(*call); ok {
		return k
	}
	return &call{verb: frames.VerbSend, redo: true, done: make(chan struct{}, 1)}
}

// ask does a verb that a new session repeats if need be.
func (c *Client) ask(ctx context.Context, verb frames.Verb, m proto.Message) (proto.Message, error) {
	k := newCall(verb, m)
	k.redo = true
	a := c.do(ctx, k)
	return a.reply, a.err
}

// do sends a verb, when there is room for it, and waits for its answer.
func (c *Client) do(ctx context.Context, k *call) answer {
	err := c.enter(ctx)
	if err != nil {
		return answer{err: err}
	}
	if err = c.out.add(k); err != nil {
		c.mu.Unlock()
		return answer{err: err}
	}
	c.exit()
	return c.await(ctx, k)
}

// await waits for the answer of a call that is on its way.
func (c *Client) await(ctx context.Context, k *call) answer {
	select {
	case <-k.done:
		return k.answer
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-k.done: // the answer was quicker
		return k.answer
	default:
	}
	k.left = true
	k.send = frames.Send{} // its body is the program's again
	return answer{err: ended(ctx, "no answer from the switch")}
}

// post appends a call that nobody waits for. It never blocks, so the session
// loop may use it.
func (c *Client) post(k *call) {
	c.mu.Lock()
	err := c.shut
	if err == nil {
		err = c.out.add(k)
	}
	c.exit()
	if err != nil && k.then != nil {
		k.then(answer{err: err, lost: true})
	}
}

// tell appends a quiet verb: nobody wants to know what becomes of it.
func (c *Client) tell(verb frames.Verb, m proto.Message) {
	c.mu.Lock()
	defer c.exit()
	if c.shut == nil {
		_ = c.out.addVerb(verb, m, true, slot{}) // what isn't UTF-8 was refused before
	}
}

// enter locks c.mu once there is room for another verb. The caller appends it
// and calls exit.
func (c *Client) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx, "not sent")
	}
	c.mu.Lock()
	for c.shut == nil && !c.out.room() {
		if c.roomy == nil {
			c.roomy = make(chan struct{})
		}
		roomy := c.roomy
		c.mu.Unlock()
		select {
		case <-roomy:
		case <-ctx.Done():
			return ended(ctx, "not sent: the switch is slow or away")
		}
		c.mu.Lock()
	}
	if err := c.shut; err != nil {
		c.mu.Unlock()
		return err
	}
	c.wantLocked()
	return nil
}

// exit unlocks c.mu and sees to it that what was appended is sent: by the
// session loop, if it is at work on a stream message, else here.
func (c *Client) exit() {
	mine := c.takeFlushLocked()
	c.mu.Unlock()
	if mine {
		runtime.Gosched() // others may append first
		c.flush()
	}
}

// takeFlushLocked reports whether the caller is to see to a flush: nobody else is
// on the way to one.
func (c *Client) takeFlushLocked() bool {
	mine := c.stream != nil && !c.flushing && !c.receiving.Load()
	if mine {
		c.flushing = true
	}
	return mine
}

// leave frees the lock after a verb that nobody waits for. The flusher takes
// along what comes in the next moment: handlers that end together share a stream
// message, and none of them yields for it.
func (c *Client) leave() {
	mine := c.takeFlushLocked()
	c.mu.Unlock()
	if mine {
		c.kickFlusher()
	}
}

// makeRoomLocked wakes who waits to enter.
func (c *Client) makeRoomLocked() {
	if c.roomy != nil && (c.shut != nil || c.out.roomy()) {
		close(c.roomy)
		c.roomy = nil
	}
}

// finish gives a call its answer. Only the session loop calls it.
func (c *Client) finish(k *call, a answer) {
	if k.then != nil {
		c.mu.Lock()
		a.left = k.left
		c.mu.Unlock()
		k.then(a)
	}
	c.mu.Lock()
	k.answer = a
	k.done <- struct{}{}
	c.mu.Unlock()
}

// answerTo is the answer to a verb, as the protocol numbers them.
func answerTo(v frames.Verb) frames.Event {
	if v >= frames.VerbPart {
		return v + 4
	}
	return v + 1
}

// replies make the message of an answer.
var replies = map[frames.Event]func() proto.Message{
	frames.EventLogout:      func() proto.Message { return new(pb.LogoutResponse) },
	frames.EventCreate:      func() proto.Message { return new(pb.CreateResponse) },
	frames.EventDestroy:     func() proto.Message { return new(pb.DestroyResponse) },
	frames.EventSubscribe:   func() proto.Message { return new(pb.SubscribeResponse) },
	frames.EventUnsubscribe: func() proto.Message { return new(pb.UnsubscribeResponse) },
	frames.EventAck:         func() proto.Message { return new(pb.AckResponse) },
	frames.EventNack:        func() proto.Message { return new(pb.NackResponse) },
	frames.EventExtend:      func() proto.Message { return new(pb.ExtendResponse) },
	frames.EventReply:       func() proto.Message { return new(pb.ReplyResponse) },
	frames.EventCancel:      func() proto.Message { return new(pb.CancelResponse) },
	frames.EventPart:        func() proto.Message { return new(pb.PartResponse) },
	frames.EventJoin:        func() proto.Message { return new(pb.JoinResponse) },
}

// readAnswer decodes an answer. err is for a frame that can't be read.
func readAnswer(f *frames.ServerFrame) (a answer, err error) {
	a.tag = f.Tag
	switch f.Event {
	case frames.EventSend:
		var m frames.Sent
		err = m.Unmarshal(f.Raw)
		a.receipt = receipt(&m)
	case frames.EventFailure:
		var m pb.Failure
		err = proto.Unmarshal(f.Raw, &m)
		a.err = fromWire(&m)
	default:
		if make := replies[f.Event]; make != nil {
			a.reply = make()
			err = proto.Unmarshal(f.Raw, a.reply)
		}
	}
	return a, err
}
