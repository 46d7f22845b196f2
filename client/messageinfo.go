package client

import (
	"encoding/json"
	"strings"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// MessageState says where a message is in its life.
type MessageState string

// The states of a message.
const (
	MessageWaiting MessageState = "waiting" // for a consumer
	MessageDelayed MessageState = "delayed" // its retry delay runs
	MessageLeased  MessageState = "leased"  // a consumer holds it
)

// String is the state.
func (s MessageState) String() string { return string(s) }

// CallerState says what became of the sender of a request.
type CallerState string

// The states of a caller. A message that is no request has none.
const (
	CallerWaiting CallerState = "waiting" // it is connected
	CallerLost    CallerState = "lost"    // its connection is; it may come back
	CallerGone    CallerState = "gone"    // its session has ended
)

// String is the state.
func (s CallerState) String() string { return string(s) }

// enumName is a value of the wire in lower case, without its prefix; empty for
// the unspecified one.
func enumName(value interface {
	String() string
}, prefix string) string {
	s := strings.ToLower(strings.TrimPrefix(value.String(), prefix))
	if s == "unspecified" {
		return ""
	}
	return strings.ReplaceAll(s, "_", " ")
}

// MessageInfo is a message as an operator sees it.
type MessageInfo struct {
	MessageID       string            `json:"message_id"`
	State           MessageState      `json:"state"`
	Body            []byte            `json:"body"`       // or its beginning
	BodyBytes       uint64            `json:"body_bytes"` // its full size
	Headers         map[string]string `json:"headers,omitempty"`
	CorrelationID   string            `json:"correlation_id,omitempty"`
	ReplyTo         string            `json:"reply_to,omitempty"`
	Attempts        int               `json:"attempts"` // deliveries so far
	Age             time.Duration     `json:"-"`        // since it was sent
	Timeout         time.Duration     `json:"-"`        // until it expires; zero: never
	Sender          string            `json:"sender"`   // the name of its session
	Caller          CallerState       `json:"caller,omitempty"`
	Holder          string            `json:"holder,omitempty"` // the name of its session, when leased
	Held            time.Duration     `json:"-"`                // since the delivery
	Lease           time.Duration     `json:"-"`                // until the lease ends
	HolderConnected bool              `json:"holder_connected"`
}

// MarshalJSON writes durations as numbers of milliseconds.
func (m MessageInfo) MarshalJSON() ([]byte, error) {
	type plain MessageInfo
	return json.Marshal(struct {
		plain
		AgeMS     int64 `json:"age_ms"`
		TimeoutMS int64 `json:"timeout_ms,omitempty"`
		HeldMS    int64 `json:"held_ms,omitempty"`
		LeaseMS   int64 `json:"lease_ms,omitempty"`
	}{plain(m), m.Age.Milliseconds(), m.Timeout.Milliseconds(), m.Held.Milliseconds(), m.Lease.Milliseconds()})
}

func messageInfo(p *pb.MessageInfo) MessageInfo {
	return MessageInfo{
		MessageID:       p.GetMessageId(),
		State:           MessageState(enumName(p.GetState(), "MESSAGE_STATE_")),
		Body:            p.GetBody(),
		BodyBytes:       p.GetBodyBytes(),
		Headers:         p.GetHeaders(),
		CorrelationID:   p.GetCorrelationId(),
		ReplyTo:         p.GetReplyTo(),
		Attempts:        int(p.GetAttempts()),
		Age:             millis(p.GetAgeMs()),
		Timeout:         millis(p.GetTimeoutMs()),
		Sender:          p.GetSender(),
		Caller:          CallerState(enumName(p.GetCaller(), "CALLER_STATE_")),
		Holder:          p.GetHolder(),
		Held:            millis(p.GetHeldMs()),
		Lease:           millis(p.GetLeaseMs()),
		HolderConnected: p.GetHolderConnected(),
	}
}
