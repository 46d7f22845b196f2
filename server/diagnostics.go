package server

import (
	"bytes"
	"context"
	"slices"
	"strings"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

const (
	defaultDiagnosed = 20     // messages per queue
	maxDiagnosed     = 1000   // the same
	maxDiagnosis     = 10_000 // queues, and sessions
	prefixBytes      = 48     // of a body in a diagnosis
)

// Diagnostics says who waits on whom, from the leases themselves. It does not
// wait for the disk: that may be what is to be diagnosed.
func (a *adminService) Diagnostics(ctx context.Context, req *pb.DiagnosticsRequest) (*pb.DiagnosticsResponse, error) {
	return glance(ctx, a.s, func(tx *engine.Tx) (*pb.DiagnosticsResponse, error) {
		limit, err := bounded("messages_per_queue", req.GetMessagesPerQueue(), defaultDiagnosed, maxDiagnosed)
		if err != nil {
			return nil, err
		}
		began := a.s.engine.Began()
		res := &pb.DiagnosticsResponse{
			ServerVersion:     a.s.config.Version,
			UptimeMs:          tx.Now.Sub(queue.Instant(began.UnixNano())).Milliseconds(),
			StartedUnixMs:     began.UnixMilli(),
			DefaultDurability: pb.Durability_DURABILITY_MEMORY,
		}
		if tx.State().Limits().DefaultDurable {
			res.DefaultDurability = pb.Durability_DURABILITY_DURABLE
			res.Store = a.s.storeDiagnosis()
		}
		qs, more := tx.State().Queues(queue.Query{Temporary: true, Limit: maxDiagnosis})
		for _, q := range qs {
			res.Queues = append(res.Queues, diagnosis(tx.Now, q, limit))
		}
		sessions := tx.State().Sessions()
		slices.SortStableFunc(sessions, func(a, b *queue.Session) int { return strings.Compare(a.Name, b.Name) })
		res.Truncated = more || len(sessions) > maxDiagnosis
		for _, sess := range sessions[:min(len(sessions), maxDiagnosis)] {
			res.Sessions = append(res.Sessions, sessionInfo(tx.Now, sess))
		}
		return res, nil
	})
}

func (s *Server) storeDiagnosis() *pb.StoreDiagnosis {
	d := s.engine.Space()
	return &pb.StoreDiagnosis{DataDir: d.Dir, FreeBytes: d.Free, BallastBytes: d.Ballast, TotalBytes: d.Total,
		ReserveBytes: d.Reserve, Refusing: d.Refusing}
}

func diagnosis(now queue.Instant, q *queue.Queue, limit int) *pb.QueueDiagnosis {
	d := &pb.QueueDiagnosis{Summary: summary(now, q), Consumers: consumers(q), Owner: owner(q)}
	switch q.Health(now) {
	case queue.Running:
		d.Health = pb.Health_HEALTH_RUNNING
	case queue.NeverStarted:
		d.Health = pb.Health_HEALTH_NEVER_STARTED
	case queue.Stopped:
		d.Health = pb.Health_HEALTH_STOPPED
	case queue.Stuck:
		d.Health = pb.Health_HEALTH_STUCK
	}
	for _, m := range q.Oldest(limit) {
		d.Messages = append(d.Messages, messageInfo(now, m, prefixBytes))
	}
	return d
}

func summary(now queue.Instant, q *queue.Queue) *pb.QueueSummary {
	c := q.Summary(now)
	return &pb.QueueSummary{
		Queue:       q.Name,
		Temporary:   q.Temporary(),
		Durability:  pb.Durability(q.Options.Durability),
		Waiting:     uint64(c.Waiting),
		Leased:      uint64(c.Leased),
		Delayed:     uint64(c.Delayed),
		Bytes:       uint64(c.Bytes),
		Consumers:   uint32(c.Consumers),
		OldestAgeMs: toMillis(c.OldestAge),
	}
}

func consumers(q *queue.Queue) []*pb.ConsumerInfo {
	var out []*pb.ConsumerInfo
	for _, c := range q.Consumers() {
		out = append(out, &pb.ConsumerInfo{Consumer: uint64(c.ID), SessionName: c.Session.Name, Connected: c.Session.Connected(),
			Credit: uint32(c.Credit), Holding: uint32(c.Holding())})
	}
	return out
}

func owner(q *queue.Queue) string {
	if q.Owner == nil {
		return ""
	}
	return q.Owner.Name
}

func messageInfo(now queue.Instant, m *queue.Message, body int) *pb.MessageInfo {
	info := &pb.MessageInfo{
		MessageId:     m.ID.String(),
		Body:          bytes.Clone(m.Body[:min(len(m.Body), body)]),
		BodyBytes:     uint64(len(m.Body)),
		Headers:       headerMap(m.Headers),
		CorrelationId: m.CorrelationID,
		ReplyTo:       m.ReplyTo,
		Attempts:      uint32(m.Attempts),
		AgeMs:         now.Sub(m.Sent).Milliseconds(),
		TimeoutMs:     toMillis(m.TimeLeft(now)),
		Sender:        m.Sender,
	}
	switch m.State() {
	case queue.Delayed:
		info.State = pb.MessageState_MESSAGE_STATE_DELAYED
	case queue.Leased:
		info.State = pb.MessageState_MESSAGE_STATE_LEASED
	default:
		info.State = pb.MessageState_MESSAGE_STATE_WAITING
	}
	switch caller := m.Caller(); {
	case caller != nil && caller.Connected():
		info.Caller = pb.CallerState_CALLER_STATE_WAITING
	case caller != nil:
		info.Caller = pb.CallerState_CALLER_STATE_LOST
	case m.CallerGone():
		info.Caller = pb.CallerState_CALLER_STATE_GONE
	}
	if holder, since := m.Holder(); holder != nil {
		info.Holder, info.HolderConnected = holder.Name, holder.Connected()
		info.HeldMs = now.Sub(since).Milliseconds()
		info.LeaseMs = m.LeaseLeft(now).Milliseconds()
	}
	return info
}

func sessionInfo(now queue.Instant, sess *queue.Session) *pb.SessionInfo {
	temporary, consumers, leases, pending := sess.Owned()
	info := &pb.SessionInfo{
		Name:            sess.Name,
		Principal:       sess.Principal,
		Connected:       sess.Connected(),
		TemporaryQueues: uint32(temporary),
		Consumers:       uint32(consumers),
		Leases:          uint32(leases),
		PendingRequests: uint32(pending),
		AgeMs:           now.Sub(sess.Began).Milliseconds(),
	}
	if at := sess.Expires(); at != 0 {
		info.ExpiresMs = toMillis(max(0, at.Sub(now)))
	}
	return info
}
