package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

// aCall is the trace of a call that was tried twice.
var aCall = []client.TraceEvent{
	{Kind: client.TraceLogin, Sender: "caller"},
	{Kind: client.TraceCreated, Queue: "foo", Sender: "caller"},
	{Kind: client.TraceSent, Sender: "caller", Queue: "foo", MessageID: "1", BodyBytes: 5, BodyPrefix: []byte("hello")},
	{Kind: client.TraceDelivered, Sender: "caller", Queue: "foo", Receiver: "server", MessageID: "1", Attempt: 1},
	{Kind: client.TraceReturned, Sender: "caller", Queue: "foo", Receiver: "server", MessageID: "1", Attempt: 1, Reason: "SESSION_ENDED"},
	{Kind: client.TraceDelivered, Sender: "caller", Queue: "foo", Receiver: "other", MessageID: "1", Attempt: 2},
	{Kind: client.TraceReplied, Sender: "caller", Queue: "foo", Receiver: "other", MessageID: "1", Attempt: 2, Took: 12 * time.Millisecond},
	{Kind: client.TraceSent, Sender: "other", Queue: "tmp.x", MessageID: "2", BodyBytes: 5, BodyPrefix: []byte("HELLO")},
	{Kind: client.TraceDelivered, Sender: "other", Queue: "tmp.x", Receiver: "caller", MessageID: "2", Attempt: 1, BodyBytes: 5, BodyPrefix: []byte("HELLO")},
	{Kind: client.TraceAcked, Sender: "other", Queue: "tmp.x", Receiver: "caller", MessageID: "2", Attempt: 1},
}

func TestChart(t *testing.T) {
	const want = `msc {
  hscale="1.0";

  "caller", "foo", "server", "other";

  "caller" => "foo" [label="\"hello\""];
  "foo" => "server";
  "server" -x "foo" [label="returned: session ended"];
  "foo" => "other" [label="attempt 2"];
  "other" -> "foo" [label="replied, 12ms"];
  "other" >> "caller" [label="\"HELLO\""];
}
`
	if got := newChart(aCall).String(); got != want {
		t.Errorf("\n%s\nwant:\n%s", got, want)
	}
}

// TestChartIsTaken gives charts to the tool, odd names and all.
func TestChartIsTaken(t *testing.T) {
	mscgen, err := exec.LookPath("mscgen")
	if err != nil {
		t.Skip("mscgen is not installed")
	}
	odd := []client.TraceEvent{
		{Kind: client.TraceSent, Sender: `a "b" \`, Queue: "ünï\n;", MessageID: "1", BodyBytes: 8, BodyPrefix: []byte("\"\\\n\x00]};\n")},
		{Kind: client.TraceExpired, Queue: "ünï\n;", MessageID: "1", Reason: "EXPIRED"},
		{Kind: client.TraceDropped, Queue: "", MessageID: "1"},
	}
	for name, events := range map[string][]client.TraceEvent{"nothing": nil, "a call": aCall, "odd names": odd} {
		cmd := exec.Command(mscgen, "-T", "svg", "-o", "-", "-i", "-")
		cmd.Stdin = strings.NewReader(newChart(events).String())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "</svg>") {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, newChart(events))
		}
	}
}

func TestTracePrinter(t *testing.T) {
	at := time.Date(2026, 11, 21, 5, 16, 4, 123e6, time.Local)
	var out strings.Builder
	p := &tracePrinter{sh: &shell{name: "switch", out: &out, outTerm: true, width: 100}}
	for _, e := range aCall[2:8] {
		e.Time = at
		if err := p.print(e); err != nil {
			t.Fatal(err)
		}
	}
	const want = `TIME         SENDER             QUEUE           RECEIVER           TOOK EVENT
05:16:04.123 caller           → foo                                     "hello"
05:16:04.123 caller             foo           → server                  ""
05:16:04.123 caller             foo           ← server                  returned: session ended
05:16:04.123 caller             foo           → other                   attempt 2: ""
05:16:04.123 caller             foo           ← other              12ms attempt 2: replied
05:16:04.123 other            → tmp.x                                   "HELLO"
`
	if out.String() != want {
		t.Errorf("\n%s\nwant:\n%s", out.String(), want)
	}
}
