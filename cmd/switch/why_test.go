package main

import (
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// at is an event so many milliseconds after the call was sent.
func at(ms int, kind client.TraceKind, more func(*client.TraceEvent)) client.TraceEvent {
	e := client.TraceEvent{Kind: kind, Time: time.UnixMilli(1_000_000 + int64(ms))}
	if more != nil {
		more(&e)
	}
	return e
}

func took(attempt, ms int, reason, cause string) func(*client.TraceEvent) {
	return func(e *client.TraceEvent) {
		e.Attempt, e.Took, e.Reason, e.Cause, e.Receiver = attempt, time.Duration(ms)*time.Millisecond, reason, cause, "w"
	}
}

func TestWhyWords(t *testing.T) {
	sent := at(0, client.TraceSent, func(e *client.TraceEvent) { e.Ahead = 31 })
	first := at(1200, client.TraceDelivered, took(1, 0, "", ""))
	running := func(attempt int, c client.CallInfo) *client.CallInfo {
		c.State, c.Attempt, c.Server, c.ServerConnected = client.MessageLeased, attempt, "w", true
		return &c
	}
	for _, c := range []struct {
		name   string
		events []client.TraceEvent
		live   *client.CallInfo
		want   string
	}{
		{"a second attempt runs", []client.TraceEvent{sent, first,
			at(3200, client.TraceReturned, took(1, 2000, "SERVER_GONE", "attempt 1 of 5 on queue \"q\" was lost: the session of its server \"w\" ended")),
			at(3300, client.TraceDelivered, took(2, 0, "", ""))},
			running(2, client.CallInfo{Age: 3700 * time.Millisecond, Running: 400 * time.Millisecond, Timeout: 1600 * time.Millisecond}),
			"queued 1.2s behind 31 others; attempt 1 lost after 2.0s: its server's session ended; queued 100ms; attempt 2 running for 400ms of 2.0s at w"},
		{"it was answered", []client.TraceEvent{sent, first, at(1500, client.TraceReplied, took(1, 300, "", ""))}, nil,
			"queued 1.2s behind 31 others; attempt 1 answered it, 1.5s after it was sent"},
		{"a nack, a lease and a release", []client.TraceEvent{sent, first,
			at(1300, client.TraceReturned, took(1, 100, "", "attempt 1 of 5 on queue \"q\" failed (no (more) disk)")),
			at(1300, client.TraceDelivered, took(2, 0, "", "")), at(2300, client.TraceReturned, took(2, 1000, "LEASE_GONE", "attempt 2 …")),
			at(2300, client.TraceDelivered, took(3, 0, "", "")), at(2310, client.TraceReturned, took(3, 10, "", ""))},
			&client.CallInfo{State: client.MessageWaiting, Age: 3 * time.Second, Unserved: 690 * time.Millisecond, Timeout: time.Minute},
			"queued 1.2s behind 31 others; attempt 1 failed after 100ms: no (more) disk; queued 0s; attempt 2 lost after 1.0s: its lease ended without an answer; " +
				"queued 0s; attempt 3 did not count: its server gave it back after 10ms; waiting for 690ms: nobody has served queue q for 690ms; it expires in 1m00s"},
		{"nobody ever", []client.TraceEvent{sent}, &client.CallInfo{State: client.MessageWaiting, Age: 5 * time.Second, Start: time.Second},
			"waiting for 5.0s behind 31 others: nobody has ever served queue q; it has to be begun within 1.0s"},
		{"busy servers", []client.TraceEvent{sent}, &client.CallInfo{State: client.MessageWaiting, Age: 5 * time.Second, Consumers: 2},
			"waiting for 5.0s behind 31 others: 2 consumers of queue q have not begun it"},
		{"its beginning is forgotten", nil, running(1, client.CallInfo{Age: time.Hour, Running: time.Minute}), "attempt 1 running for 1m00s at w"},
		{"expired", []client.TraceEvent{sent, at(2000, client.TraceExpired, took(0, 0, "EXPIRED", "the message expired on queue \"q\" after 2s"))}, nil,
			"ended after 2.0s: the message expired on queue \"q\" after 2s"},
		{"dead", []client.TraceEvent{sent, first, at(1300, client.TraceDead, took(1, 100, "REJECTED", "the server of queue \"q\" rejected it"))}, nil,
			"queued 1.2s behind 31 others; given up after 1.3s: the server of queue \"q\" rejected it"},
		{"withdrawn", []client.TraceEvent{sent, at(700, client.TraceCancelled, nil)}, nil, "its caller withdrew it after 700ms"},
		{"ended with its parent", []client.TraceEvent{sent, at(700, client.TraceCancelled, took(0, 0, "PARENT_GONE", "call X, which this one was made for, is over"))}, nil,
			"cancelled after 700ms: call X, which this one was made for, is over"},
		{"given up while it ran", []client.TraceEvent{sent, first, at(1300, client.TraceAbandoned, took(1, 100, "", "")), at(1400, client.TraceReplied, took(1, 200, "", ""))}, nil,
			"queued 1.2s behind 31 others; its caller gave it up after 1.3s, while attempt 1 ran, whose server was told; attempt 1 ended 1.4s after it was sent, for nobody"},
	} {
		var parts []string
		for _, p := range phasesOf(c.events, c.live) {
			parts = append(parts, p.words("q"))
		}
		if got := strings.Join(parts, "; "); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

func TestCallTree(t *testing.T) {
	named := func(call, parent string) client.CallInfo { return client.CallInfo{Call: call, Parent: parent} }
	var got []string
	for _, b := range callTree([]client.CallInfo{named("grandchild", "child"), named("root", ""), named("child", "root"), named("orphan", "gone"),
		named("self", "self"), named("egg", "hen"), named("hen", "egg"), named("second", "root")}) {
		got = append(got, strings.Repeat(".", b.depth)+b.Call)
	}
	if want := "root .child ..grandchild .second orphan self egg .hen"; strings.Join(got, " ") != want {
		t.Errorf("the tree is %q, want %q", strings.Join(got, " "), want)
	}
}
