package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

const whyDescription = `
Says in one line where a call's time went: how long it waited and behind how many others, what
became of each attempt, and what it does now or how it ended.

It knows calls that wait or run, and those that have ended as long as the flight recorder has
their events (--trace-events of the daemon says how many it keeps). Of others it says so, and
exits 69.`

func (sh *shell) whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", Category: groupLook, Usage: "say where the time of a call went",
		ArgsUsage:   "CALL",
		Description: whyDescription,
		Flags:       flags(sh.outputFlag(formatTable, formatJSON, formatJSONL), addrFlag()),
		Action: func(c *cli.Context) error {
			words, err := sh.words(c, "CALL")
			if err != nil {
				return err
			}
			return sh.withAdmin(c, func(a *client.Admin) error { return sh.why(c.Context, a, words[0]) })
		},
	}
}

// A story is where the time of a call went, as a document.
type story struct {
	Call   string  `json:"call"`
	Queue  string  `json:"queue"`
	Line   string  `json:"line"`
	Phases []phase `json:"phases"`
}

func (sh *shell) why(ctx context.Context, a *client.Admin, call string) error {
	calls, _, err := callsOf(ctx, a, client.CallQuery{Call: call})
	if err != nil {
		return err
	}
	var events []client.TraceEvent
	for e, err := range a.Trace(ctx, client.TraceQuery{MessageID: call}) {
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	s := story{Call: call}
	switch {
	case len(calls) > 0:
		s.Queue, s.Phases = calls[0].Queue, phasesOf(events, &calls[0])
	case len(events) > 0:
		s.Queue, s.Phases = events[0].Queue, phasesOf(events, nil)
	default:
		return &client.Error{Code: codes.NotFound, Message: fmt.Sprintf("call %s neither waits nor runs, and the flight recorder has none of its events any more", call)}
	}
	var parts []string
	for _, p := range s.Phases {
		parts = append(parts, p.words(s.Queue))
	}
	s.Line = strings.Join(parts, "; ")
	if sh.wantsJSON() {
		return sh.json(s)
	}
	_, err = fmt.Fprintln(sh.out, s.Line)
	return err
}

// A phase is a part of a call's life.
type phase struct {
	Phase   string  `json:"phase"`             // queued, lost, failed, returned, waiting, running, or how it ended
	Attempt int     `json:"attempt,omitempty"` // of what runs, or ran
	TookMS  float64 `json:"took_ms"`           // how long it took; of an end: since it was sent
	Ahead   uint64  `json:"ahead,omitempty"`   // of queued: how many were there before it
	Server  string  `json:"server,omitempty"`
	Why     string  `json:"why,omitempty"`

	took    time.Duration
	live    *client.CallInfo
	unasked bool // of an end: it was cancelled before
}

// phasesOf tells the life of a call from its events, and from what it does now; nil
// when it has ended.
func phasesOf(events []client.TraceEvent, live *client.CallInfo) (all []phase) {
	var sent, since time.Time // zero: not known
	var ahead uint64
	unasked := false // nobody waits for it any more
	add := func(p phase) {
		p.TookMS = float64(p.took.Microseconds()) / 1000
		all = append(all, p)
	}
	for _, e := range events {
		switch e.Kind {
		case client.TraceSent:
			sent, ahead = e.Time, e.Ahead
		case client.TraceDelivered:
			if !since.IsZero() {
				add(phase{Phase: "queued", Ahead: ahead, took: e.Time.Sub(since)})
			}
			ahead = 0
		case client.TraceReturned:
			add(returned(e))
		default:
			p := ending(e, sent)
			p.unasked = unasked
			unasked = e.Kind == client.TraceAbandoned
			add(p)
		}
		since = e.Time
	}
	if live == nil {
		return all
	}
	p := phase{Phase: "waiting", live: live, took: live.Age, Ahead: ahead}
	switch {
	case live.State == client.MessageLeased:
		p.Phase, p.Attempt, p.Server, p.took = "running", live.Attempt, live.Server, live.Running
	case !sent.IsZero():
		p.took -= since.Sub(sent)
	}
	add(p)
	return all
}

// returned is an attempt that ended without success, and was not the last.
func returned(e client.TraceEvent) phase {
	p := phase{Phase: "failed", Attempt: e.Attempt, Server: e.Receiver, took: e.Took, Why: e.Cause}
	switch {
	case e.Reason == "LEASE_GONE":
		p.Phase, p.Why = "lost", "its lease ended without an answer"
	case e.Reason == "SERVER_GONE":
		p.Phase, p.Why = "lost", "its server's session ended"
	case e.Cause == "":
		p.Phase, p.Why = "returned", "its server gave it back"
	default:
		if _, cause, ok := strings.Cut(e.Cause, " failed ("); ok {
			p.Why = strings.TrimSuffix(cause, ")")
		}
	}
	return p
}

// ending is how a call ended, or that nobody waits for it any more.
func ending(e client.TraceEvent, sent time.Time) phase {
	p := phase{Phase: e.Kind.String(), Attempt: e.Attempt, Server: e.Receiver, took: e.Took, Why: e.Cause}
	if !sent.IsZero() {
		p.took = e.Time.Sub(sent)
	}
	return p
}
