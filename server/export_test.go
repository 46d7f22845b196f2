package server

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cockroachdb/pebble/v2/vfs"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/store"
)

// What tests may see of the inside.

// Check says which invariant of the core is broken.
func (s *Server) Check() error {
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	return tx.State().Check()
}

// OpenOn is Open with the store in another file system.
func OpenOn(fs vfs.FS, cfg Config) (*Server, error) {
	return open(cfg, func(_ string, c engine.Config) (e *engine.Engine, err error) {
		if c.Disk, err = store.Open("data", store.Options{FS: fs}); err != nil {
			return nil, err
		}
		return engine.New(c)
	})
}

// Dial opens one more in-process connection.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	s.InProcess()
	return s.local.listener.DialContext(ctx)
}

// Backlog is what the switch keeps in memory for the stream of a session, in
// bytes: frames that wait, frames that gRPC holds, and answers that may have to
// be repeated.
func (s *Server) Backlog(token string) (pending, inFlight, answers int) {
	id, err := s.engine.ParseToken(token)
	if err != nil {
		panic(err)
	}
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	l := s.links[id]
	if l == nil || l.stream == nil {
		return 0, 0, 0
	}
	l.stream.mu.Lock()
	defer l.stream.mu.Unlock()
	return l.stream.bytes, int(l.stream.inFlight.Load()), len(l.answers.kept)
}

// Links is how many sessions have had a stream and live.
func (s *Server) Links() int {
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	return len(s.links)
}

// A Loop is a receive loop without its goroutine: whoever has it brings the stream
// messages.
type Loop struct{ r *receiver }

// NewLoop is the receive loop of a stream; ss only has to send.
func (s *Server) NewLoop(ss grpc.ServerStream) *Loop {
	return &Loop{&receiver{s: s, st: newStream(s, ss), loggedIn: make(chan struct{}), lost: make(chan error, 1)}}
}

// Handle does what one stream message says.
func (l *Loop) Handle(message []byte) error { return l.r.handle(message) }

// End loses the stream.
func (l *Loop) End() { l.r.detach() }

// FailStore does what a failure of the store does.
func (s *Server) FailStore(err error) { s.storeFailed(err) }

// ErrorRow is one row of the error table.
type ErrorRow struct {
	Err    error
	Code   codes.Code
	Reason pb.Reason
	Retry  time.Duration
}

// ErrorTable is the error table.
func ErrorTable() []ErrorRow {
	var rows []ErrorRow
	for _, r := range errorTable {
		rows = append(rows, ErrorRow{r.err, r.code, r.reason, r.retry})
	}
	return rows
}

// Status translates an error as the unary verbs do, Failure as frames do.
func (s *Server) Status(err error) error        { return s.status(err) }
func (s *Server) Failure(err error) *pb.Failure { return s.failure(err) }

// Bounds of the switch that tests reach.
const (
	MaxPending        = maxPending
	MaxStreams        = maxStreams
	MaxHeaderBytes    = maxHeaderBytes
	ConnectionTimeout = connectionTimeout
	LoginTimeout      = loginTimeout
	FrameOverhead     = frameOverhead
	KeptAnswers       = keptAnswers
	KeptBytes         = keptBytes
	AppliedEvery      = appliedEvery
)
