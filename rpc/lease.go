package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/d3b0a776/switch/client"
)

// shortestLease is the protocol's, and keeps a clock that jumps from making the
// extender spin.
const shortestLease = 100 * time.Millisecond

// learnLease notes how long the leases of this subscription last, from its first
// delivery, and has the extender run from then on.
func (s *service) learnLease(d *client.Delivery) {
	lease := s.config.lease
	if lease == 0 {
		lease = time.Until(d.LeaseUntil())
	}
	s.lease.Store(int64(max(lease, shortestLease)))
	s.extender.Do(func() {
		s.wg.Go(s.extendLeases) // the extender; Serve ends it after the drain and waits for it
	})
}

// extendLeases keeps the leases of running handlers. One goroutine looks at all
// of them every third of a lease and extends what it has seen before, together;
// so a handler that is quicker than that costs nothing, neither a timer nor a
// message, and a slower one has its lease extended after two thirds at the latest.
func (s *service) extendLeases() {
	timer := time.NewTimer(s.period())
	defer timer.Stop()
	for {
		select {
		case <-s.done.Done():
			return
		case <-timer.C:
		}
		period := s.period()
		timer.Reset(period)
		// The bound lets the next round try again when the connection is lost.
		ctx, cancel := context.WithTimeout(s.done, period)
		each(s.crew.overdue(), func(j *job) { s.extend(ctx, j) })
		cancel()
		s.crew.forgetLost()
	}
}

// period is how often leases are looked at.
func (s *service) period() time.Duration {
	return time.Duration(s.lease.Load()) / 3
}

// extend extends the lease of one job, and ends its handler's context if the
// lease is gone. What else goes wrong may be better in the next round.
func (s *service) extend(ctx context.Context, j *job) {
	err := j.delivery.Extend(ctx, s.config.lease)
	if errors.Is(err, client.ErrCallerGone) {
		j.cancel()
		return
	}
	if err == nil || !gone(err) || j.settled.Load() {
		return
	}
	j.lose(err)
	s.report(fmt.Errorf("serve queue %q: message %s, attempt %d: the lease was lost while the handler ran: %w",
		j.request.Queue, j.request.MessageID, j.request.Attempt, err))
}

// gone says whether err means that a lease is not ours any more.
func gone(err error) bool {
	return errors.Is(err, client.ErrLeaseGone) || errors.Is(err, client.ErrLeaseNotYours) ||
		errors.Is(err, client.ErrSessionLost) || errors.Is(err, client.ErrClosed)
}
