package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// patience is how long one attempt to connect and log in may take.
	patience = 5 * time.Second
	// Attempts of our own to log in come after firstWait, and each further one
	// after waitGrowth times the time, up to lastWait; half of it is by chance, so
	// that the clients of a switch that restarts do not come back in step.
	firstWait  = 50 * time.Millisecond
	lastWait   = 2 * time.Second
	waitGrowth = 1.6
	// protocolVersion is the one that this client speaks.
	protocolVersion = 1
)

// errPatience ends an attempt to log in.
var errPatience = errors.New("no answer in time")

// loop is the session loop: the one goroutine that connects, logs in, receives,
// and calls back. Its fields are its own.
type loop struct {
	c     *Client
	until time.Time // when a lost session is given up
	wait  time.Duration

	// The stream that is attached or about to be.
	st       *stream
	patience *time.Timer
	loggedIn bool
	orphaned time.Time // when an attempt was last given up after its Login was sent
	resent   uint64    // frames up to this tag were applied before the stream began
	told     uint64    // answers seen before the stream began

	receiver
}

func newLoop(c *Client) *loop {
	l := &loop{c: c, wait: firstWait, receiver: receiver{consumers: map[uint64]*Subscription{}, holders: map[uint64]*Subscription{}}}
	l.on = l.frame
	l.in.Lasting = lastingBytes
	return l
}

// run ends with the client; Close waits for it.
func (l *loop) run() {
	c := l.c
	defer c.loops.Done()
	for l.awaitWant() {
		err := l.attach()
		if !l.lost(err) {
			break
		}
	}
	c.mu.Lock()
	if c.shut == nil {
		c.shutLocked(ErrClosed)
	}
	why := c.shut
	c.mu.Unlock()
	l.over(why)
}

// awaitWant waits until a stream is needed: by a verb at once, by subscriptions
// that a new session is to make again after a pause. It is false when the client
// closes.
func (l *loop) awaitWant() bool {
	c := l.c
	var again *time.Timer
	var pause <-chan time.Time
	for {
		c.mu.Lock()
		needed := c.token != "" || len(c.logins) > 0 || c.out.pending()
		remake := len(c.subs) > 0
		c.mu.Unlock()
		if needed {
			return c.ctx.Err() == nil
		}
		if remake && again == nil {
			again = time.NewTimer(l.pause())
			defer again.Stop()
			pause = again.C
		}
		select {
		case <-c.wanted:
		case <-pause:
			return true
		case <-c.ctx.Done():
			return false
		}
	}
}

// pause is how long to wait before the next attempt.
func (l *loop) pause() time.Duration {
	d := l.wait
	l.wait = min(time.Duration(float64(l.wait)*waitGrowth), lastWait)
	return d/2 + rand.N(d)
}

// attach opens a stream, logs in, and receives until the stream ends.
func (l *loop) attach() error {
	c := l.c
	ctx, cancel := context.WithCancelCause(c.outgoing(c.ctx))
	defer cancel(nil)
	bound := patience
	if c.hasSession() {
		bound = max(min(bound, time.Until(l.until)), firstWait)
	}
	l.patience = time.AfterFunc(bound, func() { cancel(errPatience) })
	defer l.patience.Stop()
	l.loggedIn = false
	err := l.stream(ctx)
	if !l.loggedIn && errors.Is(context.Cause(ctx), errPatience) {
		why := "no answer within " + bound.Round(time.Millisecond).String()
		if status.Code(err) == codes.DeadlineExceeded || status.Code(err) == codes.Unavailable {
			why += " (" + status.Convert(err).Message() + ")"
		}
		return unreachable(c.addr, why)
	}
	return fromCall(err, c.addr)
}

func (l *loop) stream(ctx context.Context) error {
	c := l.c
	cs, err := c.conn.NewStream(ctx, attachDesc, attachMethod,
		grpc.ForceCodecV2(frames.Codec{}), grpc.MaxCallRecvMsgSize(maxReceive), grpc.WaitForReady(c.hasSession()))
	if err != nil {
		return err
	}
	l.st = &stream{ClientStream: cs}
	if err := l.sayLogin(); err == nil {
		err = l.receive()
		if !l.loggedIn {
			l.orphaned = time.Now()
		}
		return err
	}
	return cs.RecvMsg(new(frames.Incoming)) // it says what SendMsg does not
}

// sayLogin sends the first frame.
func (l *loop) sayLogin() error {
	c := l.c
	l.told = l.answers
	c.mu.Lock()
	req := &pb.LoginRequest{
		ProtocolVersion: protocolVersion,
		Name:            c.cfg.Name,
		Session:         c.token,
		TtlMs:           toMillis(c.cfg.TTL),
		GraceMs:         toMillis(c.cfg.Grace),
		Producer:        c.producer,
		AnswersReceived: l.told,
		Applied:         c.out.applied,
	}
	c.mu.Unlock()
	b, err := frames.AppendVerb(nil, 0, false, frames.VerbLogin, req)
	if err != nil {
		return err
	}
	return l.st.SendMsg(&frames.Outgoing{Data: &b, Pool: mem.NopBufferPool{}})
}

func (c *Client) hasSession() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token != ""
}

// login takes the answer to Login: the session goes on, or a new one begins.
func (l *loop) login(p *pb.LoginResponse) {
	c := l.c
	l.patience.Stop()
	l.loggedIn, l.wait = true, firstWait
	if !p.GetResumed() && c.hasSession() {
		l.endSession(&Error{Code: codes.Unavailable, Message: "the switch does not know the session any more", cause: ErrSessionLost}, true)
	}
	c.mu.Lock()
	c.token = p.GetSession()
	c.limits = limits{payload: int(p.GetMaxPayloadBytes()), version: p.GetServerVersion(), grace: millis(p.GetGraceMs())}
	l.resent = 0
	var failed []*call
	var broken []*PartSender
	if p.GetResumed() {
		l.resent = p.GetApplied()
		if p.GetRestarted() {
			failed = c.redoLocked(c.out.unanswerable())
			broken = c.sendersLocked(func(h half) bool { return h.lease != 0 }) // the switch tells the callers
		}
		c.out.rewind(l.resent, l.told)
	}
	c.stream = l.st
	logins := c.logins
	c.logins = nil
	subs := slices.Clone(c.subs)
	for _, i := range c.inboxes {
		i.doubtLocked(l.resent, p.GetPending())
	}
	c.makeRoomLocked()
	c.mu.Unlock()
	c.log.Info("logged in", "addr", c.addr, "resumed", p.GetResumed(), "server_version", p.GetServerVersion())
	for _, k := range failed {
		c.finish(k, answer{err: errForgotten, lost: true})
	}
	for _, s := range broken {
		s.fail(errForgotten)
	}
	for _, s := range subs {
		l.rebind(s)
	}
	for _, k := range logins {
		c.finish(k, answer{})
	}
}
