package queue_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// sameOutcome says where what the core answered is not what the model did.
func sameOutcome(now queue.Instant, fx *queue.Effects, err error, want outcome, wantErr error) error {
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		return fmt.Errorf("the error is %w (%w), want %w", err, errors.Unwrap(err), wantErr)
	}
	name, consumer := "", queue.ConsumerID(0)
	if fx.Queue != nil {
		name = fx.Queue.Name
	}
	if fx.Consumer != nil {
		consumer = fx.Consumer.ID
	}
	for _, f := range []struct {
		what      string
		got, want any
	}{
		{"id", fx.ID, want.id},
		{"duplicate", fx.Duplicate, want.duplicate},
		{"created", fx.Created, want.created},
		{"queue", name, want.queue},
		{"consumer", consumer, want.consumer},
		{"count", fx.Count, want.count},
		{"reply queue gone", fx.ReplyQueueGone, want.replyQueueGone},
		{"cancel", fx.Cancel, want.cancel},
		{"sync", fx.Sync, want.sync},
		{"number of refusals", len(fx.Refused), len(want.refused)},
		{"number of deliveries", len(fx.Deliveries), len(want.deliveries)},
		{"number of ended consumers", len(fx.ConsumersEnded), len(want.consumersEnded)},
		{"number of ended sessions", len(fx.SessionsEnded), len(want.sessionsEnded)},
		{"cancelled requests", fmt.Sprint(fx.Cancelled), fmt.Sprint(want.cancelled)},
		{"callers gone", fmt.Sprint(fx.CallersGone), fmt.Sprint(want.callersGone)},
	} {
		if f.got != f.want {
			return fmt.Errorf("%s is %v, want %v", f.what, f.got, f.want)
		}
	}
	for i, r := range fx.Refused {
		if w := want.refused[i]; r.Lease != w.lease || !errors.Is(r.Err, w.err) {
			return fmt.Errorf("refusal %d is lease %d: %w, want %d: %w", i, r.Lease, r.Err, w.lease, w.err)
		}
	}
	for i, d := range fx.Deliveries {
		if err := sameDelivery(d, want.deliveries[i]); err != nil {
			return fmt.Errorf("delivery %d: %w", i, err)
		}
	}
	return sameEnds(fx, want)
}

func sameDelivery(d queue.Delivery, want delivery) error {
	if d.Lease != want.lease || d.Message.ID != want.message.id {
		return fmt.Errorf("is message %v under lease %d, want %v under %d", d.Message.ID, d.Lease, want.message.id, want.lease)
	}
	if d.Sink != want.sink || d.Consumer.ID != want.consumer.id || d.Consumer.Session.ID != want.consumer.session.id {
		return fmt.Errorf("goes to consumer %d of session %d at %v, want %d of %d at %v", d.Consumer.ID, d.Consumer.Session.ID, d.Sink,
			want.consumer.id, want.consumer.session.id, want.sink)
	}
	return sameMessage(d.Message, want.message)
}

func sameMessage(x *queue.Message, want *mMessage) error {
	switch {
	case x.ID != want.id:
		return fmt.Errorf("message %v, want %v", x.ID, want.id)
	case x.Attempts != want.attempts || x.State() != want.state:
		return fmt.Errorf("message %v: attempt %d in state %d, want %d in %d", x.ID, x.Attempts, x.State(), want.attempts, want.state)
	case x.Expires != want.expires || x.Sent != want.sent:
		return fmt.Errorf("message %v: from %d to %d, want %d to %d", x.ID, x.Sent, x.Expires, want.sent, want.expires)
	case x.CorrelationID != want.corr || x.ReplyTo != want.replyTo || x.CallerGone() != want.callerGone || !bytes.Equal(x.Body, want.body):
		return fmt.Errorf("message %v is %+v, want %+v", x.ID, x, want)
	case want.dead != nil:
		return sameDeadLetter(x, want)
	case (x.Failure != nil) != (want.fail != nil || want.handler != ""):
		return fmt.Errorf("message %v has the failure %+v, want %w%s", x.ID, x.Failure, want.fail, want.handler)
	case x.Failure != nil && (string(x.Failure.Handler) != want.handler || !errors.Is(x.Failure.Err, want.fail)):
		return fmt.Errorf("message %v has the failure %+v, want %w%s", x.ID, x.Failure, want.fail, want.handler)
	}
	return nil
}

// sameDeadLetter compares the headers of a dead letter.
func sameDeadLetter(x *queue.Message, want *mMessage) error {
	headers := map[string]string{}
	for _, h := range x.Headers {
		headers[h.Key] = h.Value
	}
	if x.Failure != nil || headers[queue.HeaderDeadQueue] != want.dead.queue.name || headers[queue.HeaderDeadID] != want.dead.id.String() ||
		headers[queue.HeaderDeadAttempts] != strconv.Itoa(want.deadTries) || headers[queue.HeaderDeadReason] == "" {
		return fmt.Errorf("dead letter %v has the headers %v, want those of %v on %s after %d attempts", x.ID, headers, want.dead.id, want.dead.queue.name, want.deadTries)
	}
	return nil
}

func sameEnds(fx *queue.Effects, want outcome) error {
	for i, e := range fx.ConsumersEnded {
		if w := want.consumersEnded[i]; e.Sink != w.Sink || e.Consumer != w.Consumer || !errors.Is(e.Err, w.Err) {
			return fmt.Errorf("consumer %d at %v ended with %w, want %d at %v with %w", e.Consumer, e.Sink, e.Err, w.Consumer, w.Sink, w.Err)
		}
	}
	for i, e := range fx.SessionsEnded {
		if w := want.sessionsEnded[i]; e.Sink != w.Sink || e.Session != w.Session || !errors.Is(e.Err, w.Err) {
			return fmt.Errorf("session %d at %v ended with %w, want %d at %v with %w", e.Session, e.Sink, e.Err, w.Session, w.Sink, w.Err)
		}
	}
	return nil
}

// sameState compares what the core holds with what the model holds: counts
// always, each message, consumer and session when deep.
func (g *game) sameState(deep bool) error {
	held, known := 0, 0
	for name, want := range g.model.queues {
		q, err := g.state.QueueNamed(name)
		if err != nil {
			return err
		}
		known++
		sum := q.Summary(g.now)
		bytes, _ := want.bytes()
		if q.Counters() != want.counters {
			return fmt.Errorf("queue %s counts %+v, want %+v", name, q.Counters(), want.counters)
		}
		leased, delayed := want.in(queue.Leased), want.in(queue.Delayed)
		if sum.Leased != leased || sum.Delayed != delayed || sum.Waiting != len(want.msgs)-leased || sum.Bytes != bytes || sum.Consumers != len(want.consumers) {
			return fmt.Errorf("queue %s has %+v, want %d leased, %d delayed of %d in %d bytes, %d consumers", name, sum, leased, delayed, len(want.msgs), bytes, len(want.consumers))
		}
		if want.owner == nil {
			held += leased
		}
		if deep {
			if err := sameQueue(q, want); err != nil {
				return fmt.Errorf("queue %s: %w", name, err)
			}
		}
	}
	if g.state.Held() != held {
		return fmt.Errorf("%d leases on named queues are held, want %d", g.state.Held(), held)
	}
	at, _, _ := g.model.due()
	next := g.state.NextDeadline()
	if g.disks != nil && next != 0 && at == 0 {
		at = next // to look for expired messages on disk
	}
	if (next == 0) != (at == 0) || next > at {
		return fmt.Errorf("the next deadline is %d, want %d", next, at)
	}
	if deep {
		if all, _ := g.state.Queues(queue.Query{Temporary: true, Limit: 1000}); len(all) != known {
			return fmt.Errorf("there are %d queues, want %d", len(all), known)
		}
		return g.sameSessions()
	}
	return nil
}

func sameQueue(q *queue.Queue, want *mQueue) error {
	all := q.Oldest(1000)
	if n := slices.IndexFunc(want.msgs, want.behind); n >= 0 && len(all) != n || n < 0 && len(all) != len(want.msgs) {
		return fmt.Errorf("%d messages are older than those on disk, want %d", len(all), n)
	}
	for i, x := range all {
		if err := sameMessage(x, want.msgs[i]); err != nil {
			return err
		}
	}
	if few := q.Oldest(2); len(few) != min(2, len(all)) || len(few) > 0 && few[0] != all[0] {
		return fmt.Errorf("the oldest two are %v", few)
	}
	for i, c := range q.Consumers() {
		w := want.consumers[i]
		if c.ID != w.id || c.Session.ID != w.session.id || c.Credit != w.credit || c.Lease != w.lease || c.Holding() != len(w.held) {
			return fmt.Errorf("consumer %d is %+v, want %+v", i, c, w)
		}
		if err := sameService(c.Service(), w); err != nil {
			return fmt.Errorf("consumer %d: %w", i, err)
		}
	}
	return nil
}

func sameService(sv *queue.Service, want *mConsumer) error {
	if sv == nil || want.service == "" {
		if sv != nil || want.service != "" {
			return fmt.Errorf("the service is %+v, want %q", sv, want.service)
		}
		return nil
	}
	stats := sv.Stats
	stats.LastFailure, stats.LastFailureAt = "", 0 // the scripts have them
	if sv.Name != want.service || stats != want.stats {
		return fmt.Errorf("service %s counts %+v, want %s and %+v", sv.Name, stats, want.service, want.stats)
	}
	return nil
}

func (g *game) sameSessions() error {
	all := g.state.Sessions()
	if len(all) != len(g.model.sessions) {
		return fmt.Errorf("there are %d sessions, want %d", len(all), len(g.model.sessions))
	}
	for _, s := range all {
		want := g.model.sessions[s.ID]
		if want == nil {
			return fmt.Errorf("session %d should have ended", s.ID)
		}
		if s.Expires() != want.deadline() || s.Connected() == want.lost {
			return fmt.Errorf("session %d ends at %d, want %d", s.ID, s.Expires(), want.deadline())
		}
		pending, leases := 0, 0
		for _, q := range want.temporary {
			pending += len(g.model.requests(q))
		}
		for _, q := range g.model.queues {
			for _, x := range q.msgs {
				if x.holder != nil && x.holder.session == want {
					leases++
				}
			}
		}
		if t, c, l, p := s.Owned(); t != len(want.temporary) || c != len(want.consumers) || l != leases || p != pending {
			return fmt.Errorf("session %d owns %d, %d, %d, %d; want %d, %d, %d, %d", s.ID, t, c, l, p, len(want.temporary), len(want.consumers), leases, pending)
		}
	}
	return nil
}
