package main

import (
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// TestDiagnosis reads the report of a switch in which all goes wrong.
func TestDiagnosis(t *testing.T) {
	at := time.Date(2026, 11, 21, 5, 16, 4, 0, time.Local)
	d := client.Diagnostics{
		ServerVersion: "v1.2.3", Uptime: 192 * time.Second, Started: at,
		Queues: []client.QueueDiagnosis{
			{Summary: client.QueueSummary{Queue: "idle"}, Health: client.HealthRunning},
			{
				Summary: client.QueueSummary{Queue: "never", Waiting: 3, Delayed: 1, Bytes: 2000}, Health: client.HealthNeverStarted,
				Messages: []client.MessageInfo{
					{MessageID: "0-1-1", State: client.MessageWaiting, Age: 12 * time.Second, Sender: "call:1@h", Caller: client.CallerWaiting,
						Body: []byte("hello"), BodyBytes: 5, Timeout: 3 * time.Second},
					{MessageID: "0-1-2", State: client.MessageDelayed, Age: 4 * time.Second, Sender: "send:2@h", Attempts: 2,
						Body: []byte(strings.Repeat("x", 48)), BodyBytes: 1995},
				},
			},
			{
				Summary: client.QueueSummary{Queue: "stopped", Leased: 1, Bytes: 1, Consumers: 1}, Health: client.HealthStopped,
				Consumers: []client.ConsumerInfo{{SessionName: "serve:3@h"}},
				Messages: []client.MessageInfo{{MessageID: "0-1-3", State: client.MessageLeased, Age: time.Second, Sender: "call:4@h", Attempts: 1,
					Caller: client.CallerGone, Body: []byte("\x1b"), BodyBytes: 1, Holder: "serve:3@h", Held: 900 * time.Millisecond}},
			},
			{
				Summary: client.QueueSummary{Queue: "stuck one", Waiting: 1, Bytes: 1, Consumers: 5}, Health: client.HealthStuck,
				Consumers: []client.ConsumerInfo{{SessionName: "a", Connected: true}, {SessionName: "b", Connected: true},
					{SessionName: "c", Connected: true}, {SessionName: "d", Connected: true}, {SessionName: "e", Connected: true}},
				Messages: []client.MessageInfo{{MessageID: "0-1-4", State: client.MessageWaiting, Age: time.Second, Sender: "call:5@h",
					Caller: client.CallerLost, Body: []byte("y"), BodyBytes: 1}},
			},
			{Summary: client.QueueSummary{Queue: "tmp.xyz", Temporary: true, Waiting: 2, OldestAge: time.Minute}, Owner: "call:6@h"},
			{Summary: client.QueueSummary{Queue: "tmp.empty", Temporary: true}, Owner: "call:7@h"},
		},
		Sessions: []client.SessionInfo{
			{Name: "call:1@h", Connected: true, Age: 12 * time.Second, PendingRequests: 1},
			{Name: "serve:3@h", Expires: 7 * time.Second, Age: time.Minute, Consumers: 1, Leases: 1},
		},
		Truncated: true,
	}
	const want = `switch v1.2.3 at 127.0.0.1:7411, up 3m12s since 2026-11-21 05:16:04

Called but never started
  never: 2 waiting, 1 delayed (2 KiB); served by nobody
    0-1-1  12s ago  "hello"
      call:1@h waits for the reply; nobody serves never; 3.0s left
    0-1-2  4.0s ago  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      send:2@h sent it; it is to be tried again later; attempt 2
    and 1 more

Stopped: whoever served it is lost or gone
  stopped: 1 being worked on (1 B); served by serve:3@h, whose connection is lost
    0-1-3  1.0s ago  "\x1b"
      call:4@h is gone, and nobody waits for the reply; serve:3@h has held it for 900ms, and its
      connection is lost

Stuck: all its servers have held on for longer than a lease
  "stuck one": 1 waiting (1 B); served by a, b, c, 2 others
    0-1-4  1.0s ago  "y"
      call:5@h, whose connection is lost, may come back for the reply; its turn has not come

Running
  idle: empty; served by nobody

Replies not taken yet
  2 replies for call:6@h, the oldest for 1m00s

Sessions
  NAME       STATE                 AGE  CONSUMERS  HOLDS  WAITS FOR
  call:1@h   connected             12s          0      0          1
  serve:3@h  lost, ends in 7.0s  1m00s          1      1          0

There is more than this report may show; see list and describe.
`
	var out strings.Builder
	if err := newDiagnosis(&shell{out: &out, width: 100}, "127.0.0.1:7411", d).print(); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("\n%s\nwant:\n%s", out.String(), want)
	}
}
