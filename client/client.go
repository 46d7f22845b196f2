package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// DefaultAddr is where a switch listens unless told otherwise.
const DefaultAddr = "127.0.0.1:7411"

const (
	// maxReceive is the largest stream message taken from the switch, in bytes: the
	// largest payload that can be configured (64 MiB), and small frames.
	maxReceive = 80 << 20
	// A static window turns off gRPC's bandwidth estimation, whose pings cost a
	// lone caller 12 to 21 % of its CPU (docs/benchmarks.md).
	streamWindow = 1 << 20
	connWindow   = 4 << 20
	// socketBuffer is how much is read and written at once, in bytes. gRPC has the
	// memory only while there is something. With its 32 KiB, calls of 64 KiB take
	// about a tenth more CPU.
	socketBuffer = 64 << 10
	// A switch that is silent for keepaliveTime is pinged, and given up when there
	// is nothing from it for keepaliveTimeout more.
	keepaliveTime    = 20 * time.Second
	keepaliveTimeout = 10 * time.Second
	// logoutTimeout bounds what Close waits for the switch.
	logoutTimeout = 2 * time.Second
)

// reconnects is how gRPC dials again.
var reconnects = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Config says how to reach a switch. The zero value dials DefaultAddr.
type Config struct {
	// Addr is "HOST:PORT" or "unix:///PATH". Empty means DefaultAddr.
	Addr string
	// Conn is a connection to use instead of dialling Addr: in-process, or one
	// that the program shares. Close leaves it open.
	Conn grpc.ClientConnInterface
	// Name is what diagnostics and traces call the client. It is no identity.
	// Empty means the base name of os.Args[0].
	Name string
	// TTL and Grace are how long the session lives after its last unary call and
	// after its connection was lost. Zero means the switch's defaults, 30 s and
	// 10 s; at most an hour.
	TTL, Grace time.Duration
	// DialOptions are added to the client's own, TLS credentials for example.
	// Without credentials the connection is not encrypted.
	DialOptions []grpc.DialOption
	// Metadata is sent with every call and stream: credentials, as a rule.
	Metadata map[string]string
	// Logger gets the session's ups and downs, never a payload and never a token.
	// Nil discards.
	Logger *slog.Logger
}

// Client is one program's session with a switch. All its methods are safe for
// concurrent use. It connects with the first verb, reconnects by itself, and
// neither loses nor repeats what it was told to send while its session lives.
type Client struct {
	// Set at construction.
	cfg      Config
	addr     string // for messages
	conn     grpc.ClientConnInterface
	own      *grpc.ClientConn // conn, if it is ours to close
	log      *slog.Logger
	producer []byte // of the client's own Sends, in all its sessions
	loop     *loop
	ctx      context.Context
	cancel   context.CancelFunc
	loops    sync.WaitGroup
	wanted   chan struct{} // capacity 1: a verb waits for a connection; never closed
	kick     chan struct{} // capacity 1: the flusher is to send; never closed
	closing  sync.Once
	sends    sync.Pool // of *call

	receiving atomic.Bool // the session loop is at work, and will flush

	mu       sync.Mutex // guards what is below
	started  bool       // the loops run
	shut     error      // why no verb enters any more
	stream   *stream    // nil while there is none that is logged in
	flushing bool       // somebody is on the way to flush, and takes along what is appended meanwhile
	token    string     // the session's; empty when there is none
	epoch    uint64     // the session's number; deliveries of an earlier one are void
	limits   limits
	out      outbox
	logins   []*call         // who waits for a login
	roomy    chan struct{}   // closed when a verb may enter; nil while nobody waits
	subs     []*Subscription // that a new session makes again
	inboxes  []*Inbox
	senders  map[half]*PartSender // that have begun, and may go on
}

// limits is what the switch said at Login.
type limits struct {
	payload int // largest body in bytes; zero before the first login
	version string
	grace   time.Duration
}

// New makes a client. It does no network I/O.
func New(cfg Config) (*Client, error) {
	if cfg.TTL < 0 || cfg.Grace < 0 {
		return nil, invalid("TTL is %v and Grace %v: they can't be negative", cfg.TTL, cfg.Grace)
	}
	if cfg.Name == "" {
		cfg.Name = filepath.Base(os.Args[0])
	}
	cfg.Name = clip(cfg.Name, maxNameBytes)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg:      cfg,
		addr:     cfg.Addr,
		conn:     cfg.Conn,
		log:      cfg.Logger,
		producer: make([]byte, 16),
		wanted:   make(chan struct{}, 1),
		kick:     make(chan struct{}, 1),
	}
	rand.Read(c.producer) // it never fails
	if c.addr == "" {
		c.addr = DefaultAddr
	}
	if c.conn == nil {
		conn, err := dial(c.addr, cfg.DialOptions)
		if err != nil {
			return nil, invalid("address %q: %v", c.addr, err)
		}
		c.conn, c.own = conn, conn
	} else if cfg.Addr == "" {
		c.addr = "the given connection"
	}
	c.loop = newLoop(c)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// dial prepares a connection; the first call makes it.
func dial(addr string, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	own := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(reconnects),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithReadBufferSize(socketBuffer),
		grpc.WithWriteBufferSize(socketBuffer),
		experimental.WithBufferPool(&frames.Pool),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithDisableRetry(), // it would keep copies; we resend by ourselves
	}
	return grpc.NewClient(addr, append(own, opts...)...)
}

// outgoing adds the configured metadata.
func (c *Client) outgoing(ctx context.Context) context.Context {
	for k, v := range c.cfg.Metadata {
		ctx = metadata.AppendToOutgoingContext(ctx, k, v)
	}
	return ctx
}

// Connect connects and logs in, if the client is not logged in yet. No other
// verb needs it.
func (c *Client) Connect(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx, "not connected")
	}
	c.mu.Lock()
	if c.shut != nil || c.stream != nil {
		defer c.mu.Unlock()
		return c.shut
	}
	k := newCall(frames.VerbLogin, nil)
	c.logins = append(c.logins, k)
	c.wantLocked()
	c.mu.Unlock()
	return c.await(ctx, k).err
}

// wantLocked sees to it that there is, or will be, a stream.
func (c *Client) wantLocked() {
	if c.stream != nil {
		return
	}
	if !c.started {
		c.started = true
		c.loops.Add(2)
		go c.loop.run() // the session loop
		go c.flushLoop()
	}
	select {
	case c.wanted <- struct{}{}:
	default: // it was told
	}
}

// ServerVersion is the version of the switch; empty before the first login.
func (c *Client) ServerVersion() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits.version
}

// Close sends what is pending, logs out and closes the connection, unless that
// was given. It waits at most 2 s for the switch, and for all goroutines of the
// client. What waits for an answer then fails with ErrClosed. Close must not be
// called from a callback.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.logout()
		c.mu.Lock()
		started := c.started
		c.mu.Unlock()
		c.cancel()
		c.loops.Wait()
		if !started {
			c.loop.over(ErrClosed)
		}
		if c.own != nil {
			if err := c.own.Close(); err != nil {
				c.log.Debug("close the connection", "err", err)
			}
		}
	})
	return nil
}

// logout ends the session on the switch, if the client is connected, and lets no
// further verb in.
func (c *Client) logout() {
	k := newCall(frames.VerbLogout, &pb.LogoutRequest{})
	c.mu.Lock()
	if c.shut != nil || c.stream == nil {
		if c.shut == nil {
			c.shutLocked(ErrClosed)
		}
		c.mu.Unlock()
		return
	}
	c.out.putAcks()
	err := c.out.add(k)
	c.shutLocked(ErrClosed)
	c.mu.Unlock()
	if err != nil {
		return
	}
	c.flush()
	c.kickFlusher() // should the session loop be in a callback
	timer := time.NewTimer(logoutTimeout)
	defer timer.Stop()
	select {
	case <-k.done:
	case <-timer.C:
	}
}

// shutLocked lets no further verb in.
func (c *Client) shutLocked(why error) {
	c.shut = why
	c.makeRoomLocked()
}

// maxNameBytes is the protocol's limit on names and correlation ids.
const maxNameBytes = 255

// invalid is a refusal by the client itself, worded as the switch's.
func invalid(format string, args ...any) error {
	return &Error{Code: invalidCode, Reason: "INVALID", Message: fmt.Sprintf(format, args...)}
}

// clip is s with at most n bytes, cut between letters.
func clip(s string, n int) string {
	if s = strings.ToValidUTF8(s, "\uFFFD"); len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
