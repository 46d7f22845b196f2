package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

const (
	// A switch that is away or shutting down is asked again after firstPause, and
	// then each time after twice the time, up to lastPause: soon enough not to be
	// noticed, seldom enough not to keep anybody busy.
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
	// cutGrace is how long handlers have to return after the drain has cancelled
	// them.
	cutGrace = time.Second
)

// errDrained is the cause of the end of handlers that outlive the drain.
var errDrained = errors.New("the drain of its server is over")

// Serve answers the requests of a queue with h, until ctx ends. Then it drains:
// it takes no further request, leaves what it has not begun to other servers, and
// waits for the running handlers. It returns nil after that, and an error if
// handlers had to be cut off at the bound of [Drain]; their requests go back to
// the queue, for another server to run again.
//
// Serve outlives lost connections and sessions, and waits for a switch that is not
// there yet; call c.Connect first if that should be an error. After a lost
// session it goes on in a new one, and the handlers that ran see their contexts
// end. It returns an error when the switch refuses the queue, when the queue is
// destroyed, and when c is closed.
//
// A panic of h is Internal to its caller and goes to [OnError]; the server goes on.
func Serve(ctx context.Context, c *client.Client, queue string, h Handler, opts ...ServeOption) error {
	s := newService(ctx, c, queue, h, newServeConfig(opts))
	sub, err := s.serve(ctx)
	if err != nil {
		err = fmt.Errorf("serve queue %q: %w", queue, err)
	}
	err = errors.Join(err, s.drain(sub))
	s.stop()
	s.wg.Wait()
	return err
}

// A service is one Serve that runs.
type service struct {
	// Set at construction.
	client  *client.Client
	queue   string
	handler Handler
	config  serveConfig
	crew    *crew
	base    context.Context         // parent of the handlers' contexts: Serve's values
	cut     context.CancelCauseFunc // ends base
	done    context.Context         // ends after the drain
	stop    context.CancelFunc      // ends done

	lease    atomic.Int64 // how long leases last, in nanoseconds; zero: not known yet
	extender sync.Once    // starts it
	wg       sync.WaitGroup
}

func newService(ctx context.Context, c *client.Client, queue string, h Handler, config serveConfig) *service {
	s := &service{client: c, queue: queue, handler: intercepted(h, config.interceptors), config: config, crew: newCrew(config.concurrency)}
	values := context.WithoutCancel(ctx)
	s.base, s.cut = context.WithCancelCause(values)
	s.done, s.stop = context.WithCancel(values)
	return s
}

// serve subscribes and serves until ctx ends (the subscription still stands
// then) or until it can't be done.
func (s *service) serve(ctx context.Context) (*client.Subscription, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		sub, ended, err := s.subscribe(ctx)
		if err == nil {
			pause = firstPause
			select {
			case <-ctx.Done():
				return sub, nil
			case err = <-ended:
			}
			s.loseAll(err)
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case !passes(err):
			return nil, err
		}
		s.report(fmt.Errorf("serve queue %q: subscribing anew: %w", s.queue, err))
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(pause):
		}
	}
}

// subscribe asks for as many deliveries as there may be handlers. The channel
// tells when no more will come.
func (s *service) subscribe(ctx context.Context) (*client.Subscription, <-chan error, error) {
	s.lease.Store(0)
	ended := make(chan error, 1) // so that the receive loop never waits; never closed
	sub, err := s.client.Subscribe(ctx, s.queue, client.ConsumeOptions{
		Credit:  s.config.concurrency,
		Lease:   s.config.lease,
		Create:  s.config.create,
		Service: s.config.info,
	}, client.SubscriptionHandler{
		Deliver:   s.deliver,
		Cancelled: s.cancelled,
		Ended:     func(err error) { ended <- err },
	})
	return sub, ended, err
}

// deliver takes a delivery on the client's receive loop.
func (s *service) deliver(d *client.Delivery) {
	if s.lease.Load() == 0 {
		s.learnLease(d)
	}
	s.crew.do(newJob(s, d))
}

// cancelled ends the context of the handler whose caller is gone.
func (s *service) cancelled(lease uint64) {
	if j := s.crew.find(lease); j != nil {
		j.cancel()
	}
}

// loseAll ends all handlers, because the subscription has ended and the leases
// with it. What had not begun never will.
func (s *service) loseAll(err error) {
	cause := client.ErrLeaseGone
	if err != nil {
		cause = fmt.Errorf("%w: %w", client.ErrLeaseGone, err)
	}
	for _, j := range s.crew.takeWaiting() {
		j.lose(cause)
	}
	for _, j := range s.crew.running() {
		j.lose(cause)
	}
}

// passes says whether a subscription that ended so can be made again. Whoever
// destroys a queue does not want it back at once.
func passes(err error) bool {
	return errors.Is(err, client.ErrSessionLost) || status.Code(err) == codes.Unavailable
}

// drain ends the service: no new deliveries, and then no handlers.
func (s *service) drain(sub *client.Subscription) error {
	ctx, cancel := context.WithTimeout(s.done, s.config.drain)
	defer cancel()
	s.crew.close()
	if sub != nil {
		bound, cancel := context.WithTimeout(s.done, max(s.config.drain, settleBound))
		if err := sub.Stop(bound); err != nil {
			s.report(fmt.Errorf("serve queue %q: unsubscribing: %w", s.queue, err))
		}
		cancel()
	}
	each(s.crew.takeWaiting(), (*job).giveBack)
	select {
	case <-s.crew.empty:
		s.cut(nil)
		return nil
	case <-ctx.Done():
	}
	return s.cutOff()
}

// cutOff ends the handlers that outlive the drain. Those that mind their
// contexts release their requests themselves; the others run on for nobody.
func (s *service) cutOff() error {
	cut := s.crew.running()
	s.cut(errDrained)
	select {
	case <-s.crew.empty:
	case <-time.After(cutGrace):
	}
	each(s.crew.running(), (*job).giveBack)
	return fmt.Errorf("serve queue %q: %d handlers still ran %v after its end and were cut off; their requests went back to the queue",
		s.queue, len(cut), s.config.drain)
}

// report tells whoever listens.
func (s *service) report(err error) {
	if s.config.onError != nil {
		s.config.onError(err)
	}
}
