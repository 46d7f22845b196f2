package server

import (
	"context"
	"sync"
	"time"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// goodbye is how long streams and calls that are told to end may take for it.
const goodbye = 2 * time.Second

// shutdown is the end of a switch under way. There is one at most.
type shutdown struct {
	hurry func() // ends the wait for leases; idempotent
	now   <-chan struct{}
	done  chan struct{} // closed when all is ended
}

// Shutdown drains the switch and ends it: no further deliveries, sends and
// logins; acks and replies count until the last lease has ended, or
// Config.DrainBound is over, or ctx ends. Then streams and long polls end. It
// returns when all goroutines have. Calling it again joins the first call.
func (s *Server) Shutdown(ctx context.Context) error {
	d := s.beginShutdown(s.config.DrainBound)
	select {
	case <-d.done:
	case <-ctx.Done():
		d.hurry()
		<-d.done
	}
	return nil
}

// Close ends the switch without waiting for leases.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Shutdown(ctx)
}

// beginShutdown begins the drain, unless it has begun: when it returns, nothing
// new is let in.
func (s *Server) beginShutdown(bound time.Duration) *shutdown {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutdown != nil {
		return s.shutdown
	}
	now := make(chan struct{})
	d := &shutdown{hurry: sync.OnceFunc(func() { close(now) }), now: now, done: make(chan struct{})}
	s.shutdown = d
	s.log.Info("draining", "bound", bound)
	s.health.Shutdown()
	s.announce(bound)
	go s.drain(d, bound) // Shutdown and ListenAndServe wait for it
	return d
}

func (s *Server) drain(d *shutdown, bound time.Duration) {
	defer close(d.done)
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-s.engine.Idle():
	case <-timer.C:
		s.log.Warn("leases are still held; ending all the same", "bound", bound)
	case <-d.now:
	}
	close(s.stopping)
	s.endStreams()
	s.stopGRPC()
	s.local.close()
	s.streams.Wait()
	s.serving.Wait()
	s.closeListeners()
	if err := s.engine.Close(); err != nil {
		s.log.Error("close the store", "err", err)
	}
	s.log.Info("stopped")
}

// announce stops deliveries and sends, and tells the streams.
func (s *Server) announce(bound time.Duration) {
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	_, _ = tx.Apply(&queue.Drain{}) // it has no error
	for _, l := range s.links {
		if l.stream != nil {
			l.stream.notice(frames.EventDrain, 0, &pb.Drain{BoundMs: bound.Milliseconds()})
			tx.Dirty(l.stream)
		}
	}
}

// endStreams ends every stream once what is pending is sent.
func (s *Server) endStreams() {
	var tx engine.Tx
	s.engine.Begin(&tx)
	defer tx.End()
	err := s.status(&queue.Error{Kind: queue.ErrShuttingDown, Text: "the switch is shutting down; reconnect when it is back"})
	for _, l := range s.links {
		if l.stream != nil {
			l.stream.finish(err)
			tx.Dirty(l.stream)
		}
	}
}

// stopGRPC lets calls end, for a moment, and then ends them.
func (s *Server) stopGRPC() {
	stopped := make(chan struct{})
	go func() { // waited for below
		s.grpc.GracefulStop()
		close(stopped)
	}()
	timer := time.NewTimer(goodbye)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		s.grpc.Stop()
		<-stopped
	}
}

// closeListeners closes those that never were served.
func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close() // gRPC has closed the others
	}
}
