package client_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// direction is a way through a proxy.
type direction int

const (
	upward   direction = iota // from the client to the switch
	downward                  // from the switch to the client
)

func (d direction) String() string { return [...]string{"up", "down"}[d] }

// place says how much of a message still passes.
type place int

const (
	beforeIt place = iota // nothing
	insideIt              // a part
	afterIt               // all of it, and nothing that follows
)

func (p place) String() string { return [...]string{"before", "inside", "after"}[p] }

// breakage is what becomes of a connection.
type breakage int

const (
	byNothing breakage = iota // it goes on: the cut is only a point to wait for
	byReset                   // both sides see a reset
	byClose                   // both sides see an orderly end
	bySilence                 // nothing passes any more; a moment later both see a reset
	byHalf                    // the client sees a reset, the switch nothing at all
	byFarHalf                 // the switch sees a reset, the client nothing at all
	byLate                    // as byHalf; but what the switch has not got of the message comes after the next login
)

func (b breakage) String() string {
	return [...]string{"nothing", "reset", "close", "silence", "half", "far half", "late"}[b]
}

// silence is how long a silent connection stays open.
const silence = 20 * time.Millisecond

// A cut breaks a connection at a message.
type cut struct {
	dir   direction
	frame string // the first message with this frame, "send" for example; empty: with any or none
	place place
	part  int // insideIt: how many quarters of the message pass; 0: three bytes
	how   breakage
}

// hits reports whether the cut is at m.
func (k *cut) hits(dir direction, m *message) bool {
	if k.dir != dir || !m.ends {
		return false
	}
	for _, f := range m.frames {
		if f == k.frame {
			return true
		}
	}
	return k.frame == ""
}

// passes is how many bytes of so many still pass.
func (k *cut) passes(n int) int {
	switch {
	case k.how == byNothing || k.place == afterIt:
		return n
	case k.place == beforeIt:
		return 0
	case k.part == 0:
		return 3
	default:
		return min(n*k.part/4, n-1)
	}
}

// A proxy stands between clients and a switch, and breaks their connections as
// planned. It understands so much of HTTP/2 and gRPC that it knows where the
// messages begin and end, and which frames are in them.
type proxy struct {
	listener net.Listener
	work     sync.WaitGroup // all goroutines

	mu     sync.Mutex
	target string // empty: who connects is refused
	wires  map[*wire]bool
	late   []func() // what is to be sent after the next login
	plan   []cut    // what is still to come, in order
	logins int      // that were answered
	token  string
	storm  *storm
	closed bool
}

// A storm breaks connections wherever they happen to be.
type storm struct {
	random *rand.Rand
	every  int // bytes between two cuts, on the average
	left   int // bytes until the next cut
	cuts   int
}

// next is how much of n bytes passes, and what happens then.
func (s *storm) next(n int) (int, breakage) {
	if s.left -= n; s.left > 0 {
		return n, byNothing
	}
	n += s.left
	s.left = 1 + s.random.IntN(2*s.every)
	s.cuts++
	return n, []breakage{byReset, byClose, bySilence, byHalf}[s.random.IntN(4)]
}

// newProxy starts a proxy before the switch at target. It ends with the test.
func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: l, target: target, wires: map[*wire]bool{}}
	p.work.Add(1)
	go p.accept() // close waits for it
	tb.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// close ends all connections, and waits for all goroutines.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.breakAll(byReset)
	p.work.Wait()
}

func (p *proxy) accept() {
	defer p.work.Done()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.join(conn.(*net.TCPConn))
	}
}

// join connects a client with the switch.
func (p *proxy) join(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.target == "" || p.closed {
		drop(client)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		drop(client)
		return
	}
	w := &wire{proxy: p, client: client, server: server.(*net.TCPConn)}
	p.wires[w] = true
	w.pumps.Add(2)
	p.work.Add(3)
	go w.pump(upward, w.client, w.server)   // ends with the connection, as the next does
	go w.pump(downward, w.server, w.client) // proxy.close waits for all three
	go w.bury()
}

// arm plans cuts. Each waits for those before it.
func (p *proxy) arm(plan ...cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = append([]cut(nil), plan...)
}

// done reports whether all planned cuts have happened.
func (p *proxy) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.plan) == 0
}

// unleash lets a storm begin; nil ends it.
func (p *proxy) unleash(s *storm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.storm = s
}

// cuts is how often the storm has cut so far.
func (p *proxy) cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.storm.cuts
}

// lead sends new connections to another switch; nowhere, if target is empty.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// seen is how often a client was logged in, and the token of the last session.
func (p *proxy) seen() (logins int, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logins, p.token
}

// breakAll breaks all connections that there are now.
func (p *proxy) breakAll(how breakage) {
	p.mu.Lock()
	var wires []*wire
	for w := range p.wires {
		w.deaf.Store(true)
		wires = append(wires, w)
	}
	p.mu.Unlock()
	for _, w := range wires {
		w.end(how)
	}
}

// judge says how much of a message passes, and what happens to the wire then.
func (p *proxy) judge(w *wire, dir direction, m *message) (int, breakage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, how := len(m.raw), byNothing
	switch {
	case w.deaf.Load():
		return 0, byNothing
	case p.storm != nil:
		n, how = p.storm.next(n)
	case len(p.plan) > 0 && p.plan[0].hits(dir, m):
		n, how = p.plan[0].passes(n), p.plan[0].how
		p.plan = p.plan[1:]
	}
	if m.token != "" && n == len(m.raw) {
		p.logins++
		p.token = m.token
		for _, send := range p.late {
			send()
		}
		p.late = nil
	}
	if how == byLate && dir == upward {
		p.late = append(p.late, func() { _, _ = w.server.Write(m.raw[n:]) }) // the switch may have closed it
	}
	if how != byNothing {
		w.deaf.Store(true)
	}
	return n, how
}

// A wire is one connection through a proxy.
type wire struct {
	proxy          *proxy
	client, server *net.TCPConn
	pumps          sync.WaitGroup
	deaf           atomic.Bool // nothing passes any more
}

// pump carries the bytes of one direction.
func (w *wire) pump(dir direction, from, to *net.TCPConn) {
	defer w.proxy.work.Done()
	defer w.pumps.Done()
	r := reader{from: from, dir: dir, partial: map[uint32][]byte{}}
	for {
		m, err := r.next()
		if errors.Is(err, io.EOF) && !w.deaf.Load() {
			to.CloseWrite()
		}
		if err != nil {
			return
		}
		n, how := w.proxy.judge(w, dir, m)
		if n > 0 {
			_, err = to.Write(m.raw[:n])
		}
		if how != byNothing {
			w.end(how)
		} else if err != nil {
			w.end(byReset)
		}
	}
}

// end does to the wire what is to be done. Both pumps read on, so that nobody's
// end is delayed by what he has sent.
func (w *wire) end(how breakage) {
	switch how {
	case byNothing:
	case byReset:
		drop(w.client)
		drop(w.server)
	case byClose:
		w.client.CloseWrite()
		w.server.CloseWrite()
	case bySilence:
		time.AfterFunc(silence, func() { w.end(byReset) })
	case byHalf, byLate:
		drop(w.client)
	case byFarHalf:
		drop(w.server)
	}
}

// bury closes what is left of the wire.
func (w *wire) bury() {
	defer w.proxy.work.Done()
	w.pumps.Wait()
	w.client.Close()
	w.server.Close()
	w.proxy.mu.Lock()
	defer w.proxy.mu.Unlock()
	delete(w.proxy.wires, w)
}

// drop closes a connection by a reset.
func drop(conn *net.TCPConn) {
	conn.SetLinger(0) //nolint:errcheck // it may be closed
	conn.Close()
}
