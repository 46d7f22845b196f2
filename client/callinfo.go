package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"time"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// CallQuery selects calls. The zero value selects all.
type CallQuery struct {
	// Queue selects one queue's calls, Prefix those of queues whose names begin so.
	Queue, Prefix string
	// Call selects one call, by the message id of its request.
	Call string
	// Limit bounds how many are shown. Zero means 10,000; at most 100,000.
	Limit int
}

// CallInfo is a call that waits or runs, as an operator sees it.
type CallInfo struct {
	Call            string        `json:"call"` // the message id of its request
	Queue           string        `json:"queue"`
	State           MessageState  `json:"state"`  // leased: it runs
	Caller          string        `json:"caller"` // the name of the session that made it
	CallerState     CallerState   `json:"caller_state,omitempty"`
	Server          string        `json:"server,omitempty"` // the name of the session that runs it
	ServerConnected bool          `json:"server_connected"`
	Attempt         int           `json:"attempt"` // the last one; zero: none yet
	MaxAttempts     int           `json:"max_attempts"`
	Age             time.Duration `json:"-"`                  // since it was made
	Running         time.Duration `json:"-"`                  // since this attempt began
	Timeout         time.Duration `json:"-"`                  // until it expires; zero: never
	Start           time.Duration `json:"-"`                  // until it has to be begun; zero: it was, or need not
	Parent          string        `json:"parent,omitempty"`   // the call that it was made for
	Children        int           `json:"children,omitempty"` // pending calls that were made for it
	Consumers       int           `json:"consumers"`          // of its queue
	Unserved        time.Duration `json:"-"`                  // since its queue lost its last consumer; zero: it has one, or never had
}

// MarshalJSON writes durations as numbers of milliseconds.
func (c CallInfo) MarshalJSON() ([]byte, error) {
	type plain CallInfo
	return json.Marshal(struct {
		plain
		AgeMS      int64 `json:"age_ms"`
		RunningMS  int64 `json:"running_ms,omitempty"`
		TimeoutMS  int64 `json:"timeout_ms,omitempty"`
		StartMS    int64 `json:"start_ms,omitempty"`
		UnservedMS int64 `json:"unserved_ms,omitempty"`
	}{plain(c), c.Age.Milliseconds(), c.Running.Milliseconds(), c.Timeout.Milliseconds(), c.Start.Milliseconds(), c.Unserved.Milliseconds()})
}

// ErrMoreCalls ends the calls when there are more than the limit.
var ErrMoreCalls = errors.New("there are more calls than the limit")

// Calls gives the calls that wait or run, by queue and, mostly, by age. The last
// error is ErrMoreCalls when there are more than the limit.
func (a *Admin) Calls(ctx context.Context, q CallQuery) iter.Seq2[CallInfo, error] {
	return func(yield func(CallInfo, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		req := &pb.ListCallsRequest{Queue: q.Queue, Prefix: q.Prefix, Call: q.Call, Limit: uint32(max(0, q.Limit))}
		stream, err := admin(ctx, a, req, a.service.ListCalls)
		for err == nil {
			var res *pb.ListCallsResponse
			if res, err = stream.Recv(); err != nil {
				err = fromCall(err, a.client.addr)
				break
			}
			for _, c := range res.GetCalls() {
				if !yield(callInfo(c), nil) {
					return
				}
			}
			if res.GetMore() {
				err = ErrMoreCalls
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(CallInfo{}, err)
		}
	}
}

func callInfo(p *pb.CallInfo) CallInfo {
	return CallInfo{
		Call:            p.GetCall(),
		Queue:           p.GetQueue(),
		State:           MessageState(enumName(p.GetState(), "MESSAGE_STATE_")),
		Caller:          p.GetCaller(),
		CallerState:     CallerState(enumName(p.GetCallerState(), "CALLER_STATE_")),
		Server:          p.GetServer(),
		ServerConnected: p.GetServerConnected(),
		Attempt:         int(p.GetAttempt()),
		MaxAttempts:     int(p.GetMaxAttempts()),
		Age:             millis(p.GetAgeMs()),
		Running:         millis(p.GetRunningMs()),
		Timeout:         millis(p.GetTimeoutMs()),
		Start:           millis(p.GetStartMs()),
		Parent:          p.GetParent(),
		Children:        int(p.GetChildren()),
		Consumers:       int(p.GetConsumers()),
		Unserved:        millis(p.GetUnservedMs()),
	}
}

// CallEnd is what CancelCall did.
type CallEnd struct {
	Queue   string `json:"queue"`   // where the call was
	Running bool   `json:"running"` // it ran, and whoever runs it is told; else it waited, and is gone
	Others  int    `json:"others"`  // calls that were made for it, and for those, and ended with it
}

// CancelCall ends a call, by the message id of its request, and all that was
// called for it. Those who wait for them are told at once: ErrCallCancelled, and
// ErrParentGone for the others. The error is ErrMessageNotFound when it is not
// pending.
func (a *Admin) CancelCall(ctx context.Context, call string) (CallEnd, error) {
	res, err := admin(ctx, a, &pb.CancelCallRequest{Call: call}, a.service.CancelCall)
	if err != nil {
		return CallEnd{}, err
	}
	return CallEnd{Queue: res.GetQueue(), Running: res.GetRunning(), Others: int(res.GetOthers())}, nil
}
