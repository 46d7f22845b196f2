package server

import (
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// Attach serves one stream. The handler only waits; the receive loop works.
func (d *dataService) Attach(ss pb.DataService_AttachServer) error {
	principal, err := d.s.principal(ss.Context())
	if err != nil {
		return d.s.status(err)
	}
	st := newStream(d.s, ss)
	r := &receiver{s: d.s, st: st, principal: principal, loggedIn: make(chan struct{}), lost: make(chan error, 1)}
	d.s.streams.Add(1)
	go r.run() // it ends with the stream; Server.Close waits for it
	patience := time.NewTimer(loginTimeout)
	defer patience.Stop()
	select {
	case <-r.loggedIn:
	case err := <-r.lost:
		return err
	case <-patience.C:
		return d.s.status(&queue.Error{Kind: errProtocol, Text: fmt.Sprintf("the stream has had %v to log in; begin with a Login", loginTimeout)})
	}
	select {
	case err := <-st.over:
		return err
	case err := <-r.lost:
		return err
	}
}

// receiver is the receive loop of a stream. Its fields are the loop's own.
type receiver struct {
	s         *Server
	st        *stream
	principal string
	loggedIn  chan struct{} // closed by the loop after the Login
	lost      chan error    // gets the loop's end; buffered, never closed

	tx    engine.Tx
	in    frames.Incoming
	read  int // bytes, since the last batch was applied
	batch []command

	// Operations of the hot verbs, used again for each stream message.
	send  frames.Send
	reply frames.Reply
	ack   frames.Ack
	part  frames.Part
}

// command is one client frame on its way to the core.
type command struct {
	tag   uint64
	quiet bool
	verb  frames.Verb
	raw   []byte // of a verb that is not hot
	err   error  // what is wrong with it already
	send  queue.Send
	reply queue.Reply
	ack   queue.Ack
	part  *queue.Part // memory for VerbPart, which most commands never need
}

// forget lets go of what the core has kept, or refused.
func (c *command) forget() {
	c.send.Body, c.send.Buffer, c.send.Headers = nil, nil, nil
	c.reply.Body, c.reply.Buffer, c.reply.Headers, c.reply.Failure = nil, nil, nil, nil
	if c.verb == frames.VerbPart {
		*c.part = queue.Part{}
	}
}

// refused frees what the core does not keep.
func (c *command) refused() {
	for _, m := range []queue.Buffer{c.send.Buffer, c.reply.Buffer} {
		if m != nil {
			m.Free()
		}
	}
	if c.verb == frames.VerbPart && c.part.Buffer != nil {
		c.part.Buffer.Free()
	}
}

// body is a body for the core. A small one is lent: copying it is nothing. A large
// one stays where it is, in the buffer of the stream message, if it fills most of
// that.
func (r *receiver) body(b []byte) (body []byte, lent bool, buffer queue.Buffer) {
	switch {
	case len(b) <= queue.LentBytes:
		return b, true, nil
	case len(b) > largeBody:
		if m := r.in.Share(b); m != nil {
			return b, false, m
		}
	}
	return cloneBytes(b), false, nil
}

// maxBatch bounds how many frames are applied under one hold of the lock.
const maxBatch = 256

func (r *receiver) run() {
	defer r.s.streams.Done()
	err := r.receive()
	r.detach()
	r.lost <- err
}

func (r *receiver) receive() error {
	for {
		if err := r.st.ss.RecvMsg(&r.in); err != nil {
			return r.ended(err)
		}
		err := r.handle(r.in.Bytes())
		r.in.Free()
		if err != nil {
			return r.s.status(err)
		}
		r.st.waitRoom()
	}
}

// ended is the stream's status when the client has no more to say: a closed
// sending side is a lost stream, as the client can't ack any more.
func (r *receiver) ended(err error) error {
	if status.Code(err) == codes.Canceled || status.Code(err) == codes.Unknown {
		return nil
	}
	return err
}

// handle decodes one stream message, and applies it batch by batch.
func (r *receiver) handle(b []byte) error {
	n := 0
	r.read += len(b)
	seen, err := frames.ReadRequest(b, func(f *frames.ClientFrame) error {
		if r.st.link == nil {
			return r.login(f)
		}
		if n == len(r.batch) {
			r.batch = append(r.batch, command{})
		}
		r.decode(&r.batch[n], f)
		if n++; n == maxBatch {
			n = 0
			return r.apply(r.batch[:maxBatch], 0)
		}
		return nil
	})
	if err == frames.ErrMalformed { //nolint:errorlint // it comes bare from ReadRequest; a wrapped one says more
		return malformed("AttachRequest")
	}
	if err != nil {
		return err
	}
	if r.st.link == nil {
		return errProtocol
	}
	return r.apply(r.batch[:n], seen)
}

// login handles the first frame.
func (r *receiver) login(f *frames.ClientFrame) error {
	var req pb.LoginRequest
	if f.Verb != frames.VerbLogin {
		return errProtocol
	}
	if err := proto.Unmarshal(f.Raw, &req); err != nil {
		return malformed("LoginRequest")
	}
	r.s.engine.Begin(&r.tx)
	defer r.tx.End()
	id, res, err := r.s.login(&r.tx, &req, r.principal)
	if err != nil {
		return err
	}
	if _, err := r.tx.Apply(&queue.Attach{Session: id, Sink: r.st}); err != nil {
		return err
	}
	l := r.s.links[id]
	if l == nil {
		l = &link{session: id}
		if res.GetResumed() { // it outlived a restart: counts go on where the client is
			l.applied, l.answers.made = req.GetApplied(), req.GetAnswersReceived()
			res.Restarted = true
		}
		r.s.links[id] = l
	}
	res.Applied = l.settled()
	r.st.notice(frames.EventLogin, f.Tag, res)
	l.attach(&r.tx, r.st, req.GetAnswersReceived())
	if _, err := r.tx.Apply(&queue.Retell{Session: id}); err != nil {
		return err
	}
	close(r.loggedIn)
	return nil
}

// decode reads a frame without the lock. What is kept of it is copied here.
func (r *receiver) decode(c *command, f *frames.ClientFrame) {
	c.tag, c.quiet, c.verb, c.raw, c.err = f.Tag, f.Quiet, f.Verb, nil, nil
	switch f.Verb {
	case frames.VerbSend:
		if c.err = r.send.Unmarshal(f.Raw); c.err == nil {
			c.err = sendOp(&c.send, &r.send)
			c.send.Body, c.send.BodyLent, c.send.Buffer = r.body(r.send.Body)
		} else {
			c.err = malformed("SendRequest")
		}
	case frames.VerbReply:
		if c.err = r.reply.Unmarshal(f.Raw); c.err == nil {
			c.err = replyOp(&c.reply, &r.reply)
			c.reply.Body, c.reply.BodyLent, c.reply.Buffer = r.body(r.reply.Body)
		} else {
			c.err = malformed("ReplyRequest")
		}
	case frames.VerbAck:
		if c.err = r.ack.Unmarshal(f.Raw); c.err == nil {
			ackOp(&c.ack, &r.ack)
		} else {
			c.err = malformed("AckRequest")
		}
	case frames.VerbPart:
		r.decodePart(c, f.Raw)
	default:
		c.raw = f.Raw
	}
}

func (r *receiver) decodePart(c *command, raw []byte) {
	if c.part == nil {
		c.part = new(queue.Part)
	}
	if r.part.Unmarshal(raw) != nil {
		c.err = malformed("PartRequest")
		return
	}
	partOp(c.part, &r.part)
	c.part.Body, c.part.BodyLent, c.part.Buffer = r.body(r.part.Body)
}

// apply applies a batch under one hold of the lock, and flushes what it caused
// once the lock is free.
func (r *receiver) apply(batch []command, answersSeen uint64) error {
	if len(batch) == 0 && answersSeen == 0 {
		return nil
	}
	r.s.engine.Begin(&r.tx)
	defer r.tx.End()
	l := r.st.link
	if l.stream != r.st {
		return nil // another stream took over; this one is ending
	}
	l.answers.forget(answersSeen)
	r.tx.Dirty(r.st) // for the answers
	for i := range batch {
		c := &batch[i]
		if c.tag <= l.applied {
			if c.tag == 0 {
				return &queue.Error{Kind: errProtocol, Text: "a frame has tag 0, which is for the Login alone; number frames from 1"}
			}
			c.refused() // it was sent again after a reconnect, and had arrived
			c.forget()
			continue
		}
		l.applied = c.tag
		if err := r.execute(l, c); err != nil {
			c.refused()
			l.answer(&r.tx, r.st, c.tag, frames.EventFailure, r.s.failure(err))
		} else if c.quiet && r.tx.Batch() != 0 {
			l.hold(&r.tx, c.tag, nil)
		}
		c.forget()
	}
	r.st.batchApplied(l.settled(), r.read)
	r.read = 0
	return nil
}

// execute does one verb, and appends its answer unless it is quiet.
func (r *receiver) execute(l *link, c *command) error {
	if c.err != nil {
		return c.err
	}
	switch c.verb {
	case frames.VerbSend:
		c.send.Session = l.session
		fx, err := r.tx.Apply(&c.send)
		if err == nil {
			err = answerLost(&r.tx, &c.send, fx)
		}
		if err == nil && (fx.Duplicate || fx.Joined) {
			c.refused()
		}
		if err == nil && !c.quiet {
			var id [40]byte
			sent := frames.Sent{Duplicate: fx.Duplicate, Durability: uint32(durability(fx.Queue)), Joined: fx.Joined}
			if !fx.ID.IsZero() {
				sent.MessageID = alias(fx.ID.Append(id[:0]))
			}
			l.answerEncoded(&r.tx, r.st, c.tag, sent.Append(r.st.scratch[:0], c.tag))
		}
		return err
	case frames.VerbReply:
		c.reply.Session = l.session
		fx, err := r.tx.Apply(&c.reply)
		if err == nil {
			err = fx.Undelivered(c.reply.Lease)
		}
		if err == nil && !c.quiet {
			l.answer(&r.tx, r.st, c.tag, frames.EventReply, &pb.ReplyResponse{})
		}
		return err
	case frames.VerbAck:
		c.ack.Session = l.session
		fx, err := r.tx.Apply(&c.ack)
		if err == nil && (!c.quiet || len(fx.Refused) > 0) {
			l.answer(&r.tx, r.st, c.tag, frames.EventAck, ackResponse(r.s, fx))
		}
		return err
	case frames.VerbPart:
		c.part.Session = l.session
		fx, err := r.tx.Apply(c.part)
		if err == nil && (fx.Duplicate || c.part.Ask) {
			c.refused()
		}
		if err == nil && !c.quiet {
			l.answer(&r.tx, r.st, c.tag, frames.EventPart, partResponse(fx.Half))
		}
		return err
	default:
		event, answer, err := r.s.cold(&r.tx, l.session, r.st, c)
		if err == nil && !c.quiet {
			l.answer(&r.tx, r.st, c.tag, event, answer)
		}
		return err
	}
}

// cold does a verb that is not hot.
func (s *Server) cold(tx *engine.Tx, id queue.SessionID, st *stream, c *command) (frames.Event, proto.Message, error) {
	switch c.verb {
	case frames.VerbCreate:
		return frameVerb(tx, id, c.raw, &pb.CreateRequest{}, frames.EventCreate, s.create)
	case frames.VerbDestroy:
		return frameVerb(tx, id, c.raw, &pb.DestroyRequest{}, frames.EventDestroy, s.destroy)
	case frames.VerbSubscribe:
		return frameVerb(tx, id, c.raw, &pb.SubscribeRequest{}, frames.EventSubscribe,
			func(tx *engine.Tx, id queue.SessionID, req *pb.SubscribeRequest) (*pb.SubscribeResponse, error) {
				return s.subscribe(tx, id, req, st)
			})
	case frames.VerbUnsubscribe:
		return frameVerb(tx, id, c.raw, &pb.UnsubscribeRequest{}, frames.EventUnsubscribe, s.unsubscribe)
	case frames.VerbNack:
		return frameVerb(tx, id, c.raw, &pb.NackRequest{}, frames.EventNack, s.nack)
	case frames.VerbExtend:
		return frameVerb(tx, id, c.raw, &pb.ExtendRequest{}, frames.EventExtend, s.extend)
	case frames.VerbCancel:
		return frameVerb(tx, id, c.raw, &pb.CancelRequest{}, frames.EventCancel, s.cancel)
	case frames.VerbJoin:
		return frameVerb(tx, id, c.raw, &pb.JoinRequest{}, frames.EventJoin, s.join)
	case frames.VerbLogout:
		return frameVerb(tx, id, c.raw, &pb.LogoutRequest{}, frames.EventLogout,
			func(tx *engine.Tx, id queue.SessionID, req *pb.LogoutRequest) (*pb.LogoutResponse, error) {
				st.finish(nil) // first: a stream that logs out ends well
				return s.logout(tx, id, req)
			})
	case frames.VerbLogin:
		return 0, nil, errProtocol
	default:
		return 0, nil, invalid("the frame names no verb that this switch knows; use protocol version %d", protocolVersion)
	}
}

// frameVerb decodes a verb's request and does it.
func frameVerb[Req, Res proto.Message](tx *engine.Tx, id queue.SessionID, raw []byte, req Req, event frames.Event,
	do func(*engine.Tx, queue.SessionID, Req) (Res, error),
) (frames.Event, proto.Message, error) {
	if err := proto.Unmarshal(raw, req); err != nil {
		return 0, nil, malformed(string(req.ProtoReflect().Descriptor().Name()))
	}
	res, err := do(tx, id, req)
	return event, res, err
}

// detach starts the session's grace, unless another stream took over.
func (r *receiver) detach() {
	r.st.lose()
	if r.st.link == nil {
		return
	}
	r.s.engine.Begin(&r.tx)
	defer r.tx.End()
	l := r.st.link
	if l.stream == r.st {
		l.stream = nil
	}
	_, _ = r.tx.Apply(&queue.Detach{Session: l.session, Sink: r.st}) // it has no error
}

// alias is b as a string without a copy, for as long as b stays as it is.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
