package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/reflection"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// DefaultListen is where a switch listens when nobody says otherwise: this
// machine only.
const DefaultListen = "127.0.0.1:7411"

// MaxPayloadLimit is the largest Config.MaxPayload, in bytes.
const MaxPayloadLimit = 64 << 20

// DefaultDiskReserve is Config.DiskReserve when nobody says otherwise, in bytes.
// The log of the store takes some 90 MiB at its largest, and a merge of tables
// about as much again.
const DefaultDiskReserve = 256 << 20

// Config says how a switch is to be. The zero value is a complete switch in
// memory, on DefaultListen.
type Config struct {
	// Listen is where to listen: "HOST:PORT" or "unix:///PATH". Empty means
	// DefaultListen.
	Listen []string
	// MaxPayload is the largest body of a message in bytes. Zero means 1 MiB; at
	// most MaxPayloadLimit.
	MaxPayload int
	// DataDir is where durable queues are kept; it is made if it is missing. With
	// it queues are durable unless their Create says otherwise. Empty means that
	// everything is in memory.
	DataDir string
	// MemoryBudget bounds what bodies of messages take in memory, in bytes. Beyond
	// it Sends to memory queues are refused; durable queues leave on disk what
	// does not fit. Zero means 256 MiB.
	MemoryBudget int
	// DiskReserve is how much of DataDir's disk is kept free, in bytes: below it
	// nothing new is stored, so that acks and deletes go on when the disk fills up.
	// Half of it is taken by a file, so that nobody else can. Zero means 256 MiB.
	DiskReserve uint64
	// MaxSessions and MaxQueues bound what clients can make. Zero means 20,000
	// and 200,000.
	MaxSessions, MaxQueues int
	// TraceEvents is how many events the flight recorder keeps. Zero means 4,096.
	TraceEvents int
	// DrainBound is how long Shutdown waits for leases to end. Zero means 20 s.
	DrainBound time.Duration
	// Authenticate says who makes a call, from its context (peer, metadata). An
	// error refuses the call; a gRPC status is passed on. Nil: everybody is the
	// same, nameless principal.
	Authenticate func(context.Context) (principal string, err error)
	// GRPC are further options of the gRPC server, such as its credentials.
	GRPC []grpc.ServerOption
	// Unknown answers calls of services that the switch does not have, from callers
	// that Authenticate lets in. It receives and sends messages as *[]byte. Nil: they
	// are Unimplemented.
	Unknown grpc.StreamHandler
	// Register adds services to the gRPC server, beside the switch's own. When it
	// adds server reflection, that takes the place of the switch's. Nil: none.
	Register func(reflection.GRPCServer)
	// Logger gets lifecycle and refusals; never a payload, never a token. Nil
	// discards.
	Logger *slog.Logger
	// Version is what the switch calls itself. Empty means the build's.
	Version string
}

// Server is a switch. Its methods are safe for concurrent use.
type Server struct {
	// Set at construction.
	config Config
	log    *slog.Logger
	engine *engine.Engine
	grpc   *grpc.Server
	health *health.Server
	local  *inProcess

	links map[queue.SessionID]*link // guarded by the engine's lock

	stopping chan struct{} // closed when long polls are to end
	streams  sync.WaitGroup

	mu        sync.Mutex // guards what is below
	listeners []net.Listener
	serving   sync.WaitGroup
	serveErr  chan error // buffered; gets the first failure of a listener or of the store
	shutdown  *shutdown  // nil until the first Shutdown
}

// New makes a switch in memory. It does not listen yet. It panics when
// Config.DataDir is set: that is for Open.
func New(cfg Config) *Server {
	if cfg.DataDir != "" {
		panic("server.New makes a switch in memory; use server.Open for one with a DataDir")
	}
	s, err := Open(cfg)
	if err != nil {
		panic("the system has no randomness: " + err.Error()) // the only error without a disk
	}
	return s
}

// Open makes a switch, which goes on where an earlier one with its DataDir has
// ended. It does not listen yet. An error says what is wrong with the directory:
// another process uses it, it is not a switch's, or of another version, or
// corrupt.
func Open(cfg Config) (*Server, error) { return open(cfg, engine.Open) }

func open(cfg Config, start func(dir string, c engine.Config) (*engine.Engine, error)) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{config: cfg, log: cfg.Logger, links: map[queue.SessionID]*link{}, stopping: make(chan struct{}),
		serveErr: make(chan error, 1)}
	s.grpc, s.health = newGRPC(s, cfg)
	e, err := start(cfg.DataDir, engine.Config{
		Limits: queue.Limits{
			PayloadBytes: cfg.MaxPayload,
			MemoryBytes:  cfg.MemoryBudget,
			Sessions:     cfg.MaxSessions,
			Queues:       cfg.MaxQueues,
			TraceEvents:  cfg.TraceEvents,
		},
		Reserve:      cfg.DiskReserve,
		SessionEnded: func(id queue.SessionID) { delete(s.links, id) },
		Logger:       cfg.Logger,
		Failed:       s.storeFailed,
	})
	if err != nil {
		return nil, err
	}
	s.engine = e
	s.local = newInProcess()
	return s, nil
}

// storeFailed ends everything at once: what the disk did not take must not be
// answered, and what it has is safe.
func (s *Server) storeFailed(err error) {
	err = fmt.Errorf("the store failed, and the switch ends: %w", err)
	s.log.Error("the store failed; ending", "err", err)
	select {
	case s.serveErr <- err:
	default:
	}
	go s.grpc.Stop() // ends with the streams, which Close waits for
}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []string{DefaultListen}
	}
	if c.MaxPayload <= 0 {
		c.MaxPayload = 1 << 20
	}
	c.MaxPayload = min(c.MaxPayload, MaxPayloadLimit)
	if c.MemoryBudget == 0 {
		c.MemoryBudget = 256 << 20
	}
	if c.DiskReserve == 0 {
		c.DiskReserve = DefaultDiskReserve
	}
	if c.DrainBound == 0 {
		c.DrainBound = 20 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Version == "" {
		c.Version = buildVersion()
	}
	return c
}

// Listen binds the addresses of Config.Listen, all or none. ListenAndServe
// calls it if nobody has.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		return nil
	}
	var ls []net.Listener
	for _, addr := range s.config.Listen {
		l, err := listen(addr)
		if err != nil {
			for _, l := range ls {
				_ = l.Close()
			}
			return err
		}
		ls = append(ls, l)
	}
	s.listeners = ls
	return nil
}

// Addrs are the addresses that Listen has bound.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// ListenAndServe serves until ctx ends, which drains the switch, or until
// somebody calls Shutdown. It returns nil after a clean drain.
func (s *Server) ListenAndServe(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	s.mu.Lock()
	for _, l := range s.listeners {
		s.serveLocked(l)
	}
	s.mu.Unlock()
	select {
	case err := <-s.serveErr:
		_ = s.Close()
		return err
	case <-ctx.Done():
		return s.Shutdown(context.WithoutCancel(ctx))
	case <-s.stopping:
		return s.Shutdown(context.WithoutCancel(ctx)) // joins the one under way
	}
}

// serveLocked runs the accept loop of one listener until the gRPC server stops.
// Once a shutdown has begun it does nothing: nobody would wait for the loop.
func (s *Server) serveLocked(l net.Listener) {
	if s.shutdown != nil {
		return
	}
	s.serving.Add(1)
	go func() { // the accept loop; Close waits for it
		defer s.serving.Done()
		if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			select {
			case s.serveErr <- err:
			default:
			}
		}
	}()
}
