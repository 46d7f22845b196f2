package client

import (
	"encoding/json"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// TraceKind says what happened.
type TraceKind string

// The kinds of events. The set only grows.
const (
	TraceSent      TraceKind = "sent"      // a message entered a queue
	TraceDelivered TraceKind = "delivered" // a message was
	TraceAcked     TraceKind = "acked"     // a message was
	TraceReplied   TraceKind = "replied"   // a request was answered and acked
	TraceReturned  TraceKind = "returned"  // a message went back to its place
	TraceDead      TraceKind = "dead"      // a message was dead-lettered
	TraceExpired   TraceKind = "expired"   // a message was too old
	TraceCancelled TraceKind = "cancelled" // a request was withdrawn by its caller
	TraceDropped   TraceKind = "dropped"   // a message was: overflow, purge, or its queue's end
	TraceCreated   TraceKind = "created"   // a queue was
	TraceDestroyed TraceKind = "destroyed" // a queue was
	TraceLogin     TraceKind = "login"     // a session began
	TraceLogout    TraceKind = "logout"    // a session ended
	TraceAbandoned TraceKind = "abandoned" // a request that runs was cancelled
)

// String is the kind.
func (k TraceKind) String() string { return string(k) }

// TraceEvent is one entry of the flight recorder.
type TraceEvent struct {
	Number        uint64        `json:"number"` // rises by one
	Time          time.Time     `json:"time"`
	Kind          TraceKind     `json:"kind"`
	Sender        string        `json:"sender,omitempty"` // the session that caused it, or sent the message
	Queue         string        `json:"queue,omitempty"`
	Receiver      string        `json:"receiver,omitempty"` // the session that got or held the message
	MessageID     string        `json:"message_id,omitempty"`
	CorrelationID string        `json:"correlation_id,omitempty"`
	ReplyTo       string        `json:"reply_to,omitempty"`
	Attempt       int           `json:"attempt,omitempty"` // of a delivery and what ends one
	BodyBytes     uint64        `json:"body_bytes,omitempty"`
	BodyPrefix    []byte        `json:"body_prefix,omitempty"` // at most 48 bytes
	Took          time.Duration `json:"-"`                     // how long a delivery was held, for what ends one
	Reason        Reason        `json:"reason,omitempty"`
	Cause         string        `json:"cause,omitempty"`  // the reason in words; at most 256 bytes
	Ahead         uint64        `json:"ahead,omitempty"`  // of what was sent: how many were in the queue before it
	Missed        uint64        `json:"missed,omitempty"` // events before this one that were overwritten
}

// MarshalJSON writes Took as a number of milliseconds with a fraction: most are
// shorter than one.
func (e TraceEvent) MarshalJSON() ([]byte, error) {
	type plain TraceEvent
	return json.Marshal(struct {
		plain
		TookMS float64 `json:"took_ms,omitempty"`
	}{plain(e), float64(e.Took.Microseconds()) / 1000})
}

func traceEvent(p *pb.TraceEvent, missed uint64) TraceEvent {
	return TraceEvent{
		Number:        p.GetNumber(),
		Time:          time.UnixMicro(p.GetUnixUs()),
		Kind:          TraceKind(enumName(p.GetKind(), "TRACE_KIND_")),
		Sender:        p.GetSender(),
		Queue:         p.GetQueue(),
		Receiver:      p.GetReceiver(),
		MessageID:     p.GetMessageId(),
		CorrelationID: p.GetCorrelationId(),
		ReplyTo:       p.GetReplyTo(),
		Attempt:       int(p.GetAttempt()),
		BodyBytes:     p.GetBodyBytes(),
		BodyPrefix:    p.GetBodyPrefix(),
		Took:          time.Duration(p.GetTookUs()) * time.Microsecond,
		Reason:        reasonName(p.GetReason()),
		Cause:         p.GetCause(),
		Ahead:         p.GetAhead(),
		Missed:        missed,
	}
}
