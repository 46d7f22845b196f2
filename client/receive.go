package client

import (
	"strings"
	"time"
	"unsafe"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// receiver is the receiving half of the session loop. It reads stream messages
// in place, and copies what it hands out.
type receiver struct {
	on        func(*frames.ServerFrame) error // the loop's frame
	in        frames.Incoming
	answers   uint64                   // seen in this session
	consumers map[uint64]*Subscription // of this session, by number
	holders   map[uint64]*Subscription // of this session, stopped: they may hold leases
	orphans   []orphan                 // came before the answer that names their consumer
	touched   []*Inbox                 // got something in this stream message
	answered  []answered               // to be told at its end
	taken     []func(error)            // the same; memory of the outbox's
	batch     *batch                   // of this stream message; nil before its first delivery
	delivery  frames.Delivery
}

// orphan is a delivery that overtook the answer to its Subscribe.
type orphan struct {
	consumer uint64
	delivery *Delivery
}

// receive reads the stream until it ends.
func (l *loop) receive() error {
	c := l.c
	for {
		if err := l.st.RecvMsg(&l.in); err != nil {
			return err
		}
		c.receiving.Store(true)
		before := l.loggedIn
		l.batch = nil
		p, err := frames.ReadResponse(l.in.Bytes(), l.on)
		if !before {
			// What was applied before is known, but answers to it may follow.
			p.Applied = 0
		}
		l.settle(p)
		l.in.Free()
		if err != nil {
			return err
		}
	}
}

// settle ends the work on one stream message, and sends what it caused.
func (l *loop) settle(p frames.Progress) {
	c := l.c
	c.mu.Lock()
	c.out.answers = l.answers
	if p.Applied > 0 {
		c.out.sweep(p.Applied)
		c.makeRoomLocked()
	}
	for _, i := range l.touched {
		l.answered = i.settleLocked(l.answered)
	}
	clear(l.touched)
	l.touched = l.touched[:0]
	if len(l.answered) > 0 || len(c.out.taken) > 0 {
		l.taken, c.out.taken = c.out.taken, l.taken[:0]
		c.mu.Unlock()
		l.tell()
		c.mu.Lock()
	}
	c.receiving.Store(false)
	pending := c.out.pending()
	c.mu.Unlock()
	if pending {
		c.flush()
	}
}

// tell tells what became of requests, and of messages of SendAsync.
func (l *loop) tell() {
	for _, a := range l.answered {
		a.told.Answered(a.reply)
	}
	for _, told := range l.taken {
		told(nil)
	}
	clear(l.answered)
	clear(l.taken)
	l.answered = l.answered[:0]
}

// errStrange says that the switch speaks another language.
func errStrange(what string) error {
	return &Error{Code: codes.FailedPrecondition, Reason: "PROTOCOL", Message: "the switch sent " + what + "; is it one?"}
}

// frame handles one frame.
func (l *loop) frame(f *frames.ServerFrame) error {
	switch {
	case f.Event == frames.EventLogin && !l.loggedIn:
		var p pb.LoginResponse
		if err := proto.Unmarshal(f.Raw, &p); err != nil {
			return errStrange("a login that can't be read")
		}
		l.login(&p)
		return nil
	case !l.loggedIn:
		return errStrange("a frame before the login")
	case f.Tag != 0:
		l.answers++
		return l.answer(f)
	}
	switch f.Event { //nolint:exhaustive // the rest are answers
	case frames.EventDelivery:
		return l.deliver(f.Raw)
	case frames.EventConsumerEnded:
		var p pb.ConsumerEnded
		if err := proto.Unmarshal(f.Raw, &p); err != nil {
			return errStrange("a notice that can't be read")
		}
		if s := l.consumers[p.GetConsumer()]; s != nil {
			l.drop(s)
			s.end(fromWire(p.GetFailure()))
		}
	case frames.EventCancelled:
		var p pb.Cancelled
		if err := proto.Unmarshal(f.Raw, &p); err != nil {
			return errStrange("a notice that can't be read")
		}
		s := l.consumers[p.GetConsumer()]
		if s == nil {
			s = l.holders[p.GetConsumer()]
		}
		if s != nil && s.handler.Cancelled != nil {
			s.handler.Cancelled(p.GetLease())
		}
	case frames.EventWindow:
		var p pb.Window
		if err := proto.Unmarshal(f.Raw, &p); err != nil {
			return errStrange("a notice that can't be read")
		}
		l.c.taken(&p)
	case frames.EventDrain:
		l.c.log.Info("the switch is shutting down", "addr", l.c.addr)
	}
	return nil // what is newer than this client is for newer clients
}

// answer hands an answer to who waits for it.
func (l *loop) answer(f *frames.ServerFrame) error {
	a, err := readAnswer(f)
	if err != nil {
		return errStrange("an answer that can't be read")
	}
	c := l.c
	c.mu.Lock()
	s, ok := c.out.answered(f.Tag)
	c.makeRoomLocked()
	c.mu.Unlock()
	switch {
	case !ok:
	case s.call != nil:
		if a.err == nil && f.Event != answerTo(s.call.verb) {
			return errStrange("the answer to another verb")
		}
		c.finish(s.call, a)
	case s.told != nil:
		s.told(a.err)
	case a.err == nil:
	case s.inbox != nil:
		s.inbox.refused(s.id, a.err)
	default:
		c.log.Debug("a verb that nobody waits for was refused", "err", a.err)
	}
	return nil
}

// deliver hands a delivery to its subscription.
func (l *loop) deliver(raw []byte) error {
	m := &l.delivery
	if err := m.Unmarshal(raw); err != nil {
		return errStrange("a delivery that can't be read")
	}
	s := l.consumers[m.Consumer]
	if s != nil && m.Lease <= s.last {
		return nil // it was repeated, and had arrived
	}
	if s != nil && s.inbox != nil && m.Part == 0 {
		s.last = m.Lease
		if err := l.takeReply(m, s.inbox); err != nil {
			return errStrange("a failure that can't be read")
		}
		return nil
	}
	d, err := l.newDelivery(m, s)
	if err != nil {
		return errStrange("a failure that can't be read")
	}
	if s == nil {
		l.orphans = append(l.orphans, orphan{m.Consumer, d})
		return nil
	}
	s.last = m.Lease
	s.handler.Deliver(d)
	return nil
}

const (
	// largeBody is from where on memory is handed out in pages.
	largeBody = 32 << 10
	// lastingBytes is from where on a stream message is in memory of its own, in
	// which its body stays. Below, copying the body costs less than new memory for
	// the whole message.
	lastingBytes = 256 << 10
)

// newDelivery copies m.
func (l *loop) newDelivery(m *frames.Delivery, s *Subscription) (*Delivery, error) {
	if l.batch == nil {
		l.batch = &batch{client: l.c, epoch: l.c.epoch, received: time.Now()} // only the loop changes the epoch
	}
	d := &Delivery{
		Attempt:   int(m.Attempt),
		batch:     l.batch,
		lease:     m.Lease,
		expiresIn: m.TimeoutMS,
		leaseFor:  m.LeaseMS,
		age:       m.AgeMS,
	}
	if m.Key != "" || m.Part != 0 || m.Stream {
		d.extra = &extra{key: strings.Clone(m.Key), part: m.Part, end: m.End, stream: m.Stream}
	}
	// All in one piece of memory: the body is behind the texts, which no program
	// can reach through it.
	known := s != nil && s.queue == m.Queue
	size := len(m.MessageID) + len(m.CorrelationID) + len(m.ReplyTo)
	large := len(m.Body) > largeBody
	if !large {
		size += len(m.Body)
	}
	if !known {
		size += len(m.Queue)
	}
	b := append(make([]byte, 0, size), m.MessageID...)
	b = append(b, m.CorrelationID...)
	b = append(b, m.ReplyTo...)
	if !known {
		b = append(b, m.Queue...)
	}
	texts := unsafe.String(unsafe.SliceData(b), len(b)) // nobody writes to them any more
	d.MessageID, texts = texts[:len(m.MessageID)], texts[len(m.MessageID):]
	d.CorrelationID, texts = texts[:len(m.CorrelationID)], texts[len(m.CorrelationID):]
	d.ReplyTo, texts = texts[:len(m.ReplyTo)], texts[len(m.ReplyTo):]
	if d.Queue = texts; known {
		d.Queue = s.queue
	}
	switch {
	case large:
		d.Body = l.keep(m.Body)
	case len(m.Body) > 0:
		d.Body = append(b[len(b):], m.Body...)
	}
	d.Headers = keepHeaders(m.Headers)
	var err error
	d.Failure, err = readFailure(m.Failure, d.Headers)
	return d, err
}
