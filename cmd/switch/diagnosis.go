package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/d3b0a776/switch/client"
)

// A diagnosis is the report of diagnostics for people.
type diagnosis struct {
	sh   *shell
	addr string
	d    client.Diagnostics
	out  strings.Builder
}

func newDiagnosis(sh *shell, addr string, d client.Diagnostics) *diagnosis {
	return &diagnosis{sh: sh, addr: addr, d: d}
}

// A healthGroup is a section of the report.
type healthGroup struct {
	head string
	is   func(client.QueueDiagnosis) bool
}

// The sections, what needs somebody's attention first.
var healthGroups = []healthGroup{
	{"Called but never started", func(q client.QueueDiagnosis) bool { return q.Health == client.HealthNeverStarted }},
	{"Stopped: whoever served it is lost or gone", func(q client.QueueDiagnosis) bool { return q.Health == client.HealthStopped }},
	{"Stuck: all its servers have held on for longer than a lease", func(q client.QueueDiagnosis) bool { return q.Health == client.HealthStuck }},
	{"Running", func(q client.QueueDiagnosis) bool { return q.Health == client.HealthRunning }},
}

// print writes the report.
func (r *diagnosis) print() error {
	r.line("switch %s at %s, up %s since %s", r.d.ServerVersion, r.addr, brief(r.d.Uptime),
		r.d.Started.Local().Format(time.DateTime))
	r.store()
	for _, g := range healthGroups {
		first := true
		for _, q := range r.d.Queues {
			if q.Summary.Temporary || !g.is(q) {
				continue
			}
			if first {
				r.head(g.head)
				first = false
			}
			r.queue(q)
		}
	}
	r.replies()
	r.sessions()
	if r.d.Truncated {
		r.line("\nThere is more than this report may show; see list and describe.")
	}
	_, err := io.WriteString(r.sh.out, r.out.String())
	return err
}

// store writes how the disk is doing.
func (r *diagnosis) store() {
	s := r.d.Store
	switch {
	case s == nil:
		return
	case s.Refusing:
		r.head("The disk is nearly full: nothing new is stored")
		r.line("  %s has %s left of %s, and %s are kept for acks and deletes", s.DataDir, byteSize(s.FreeBytes), byteSize(s.TotalBytes), byteSize(s.ReserveBytes))
	case s.TotalBytes > 0:
		r.line("stored in %s: %s left of %s, %s in reserve", s.DataDir, byteSize(s.FreeBytes), byteSize(s.TotalBytes), byteSize(s.ReserveBytes))
	}
}

func (r *diagnosis) line(format string, args ...any) {
	fmt.Fprintf(&r.out, format+"\n", args...)
}

func (r *diagnosis) head(text string) { r.line("\n%s", r.sh.strong(text)) }

// queue writes a queue, who serves it, and its messages.
func (r *diagnosis) queue(q client.QueueDiagnosis) {
	indent := "  "
	for _, line := range lineBreaks(plain(q.Summary.Queue)+": "+load(q.Summary)+"; "+servers(q.Consumers), max(r.sh.width, 60)-4) {
		r.line("%s%s", indent, line)
		indent = "    "
	}
	for _, m := range q.Messages {
		r.message(q, m)
	}
	if n := q.Summary.Waiting + q.Summary.Leased - uint64(len(q.Messages)); n > 0 && len(q.Messages) > 0 {
		r.line("    and %d more", n)
	}
}

// load is what is in a queue.
func load(s client.QueueSummary) string {
	if s.Waiting+s.Leased == 0 {
		return "empty"
	}
	var parts []string
	if n := s.Waiting - s.Delayed; n > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", n))
	}
	if s.Delayed > 0 {
		parts = append(parts, fmt.Sprintf("%d delayed", s.Delayed))
	}
	if s.Leased > 0 {
		parts = append(parts, fmt.Sprintf("%d being worked on", s.Leased))
	}
	return strings.Join(parts, ", ") + " (" + byteSize(s.Bytes) + ")"
}

// maxServers is how many servers of a queue are named.
const maxServers = 3

// servers is who serves a queue.
func servers(cs []client.ConsumerInfo) string {
	if len(cs) == 0 {
		return "served by nobody"
	}
	var who []string
	for _, c := range cs[:min(len(cs), maxServers)] {
		lost := ""
		if !c.Connected {
			lost = ", whose connection is lost"
		}
		who = append(who, plain(c.SessionName)+lost)
	}
	if n := len(cs) - maxServers; n > 0 {
		who = append(who, plural(n, "other"))
	}
	return "served by " + strings.Join(who, ", ")
}

// message writes a message, and in a second line who waits on whom for it.
func (r *diagnosis) message(q client.QueueDiagnosis, m client.MessageInfo) {
	head := fmt.Sprintf("    %s  %s  ", m.MessageID, brief(m.Age)+" ago")
	r.line("%s%s", head, excerpt(m.Body, m.BodyBytes, max(r.sh.width-len(head), 20)))
	for _, line := range lineBreaks(waits(q, m), max(r.sh.width, 60)-6) {
		r.line("      %s", r.sh.faint(line))
	}
}

// waits is the story of a message: who sent it, who waits, and for whom.
func waits(q client.QueueDiagnosis, m client.MessageInfo) string {
	sender := plain(m.Sender)
	var on string
	switch {
	case m.Holder != "":
		on = fmt.Sprintf("%s has held it for %s", plain(m.Holder), brief(m.Held))
		if !m.HolderConnected {
			on += ", and its connection is lost"
		}
	case m.State == client.MessageDelayed:
		on = "it is to be tried again later"
	case len(q.Consumers) == 0:
		on = "nobody serves " + plain(q.Summary.Queue)
	default:
		on = "its turn has not come"
	}
	var story string
	switch m.Caller {
	case client.CallerWaiting:
		story = fmt.Sprintf("%s waits for the reply; %s", sender, on)
	case client.CallerLost:
		story = fmt.Sprintf("%s, whose connection is lost, may come back for the reply; %s", sender, on)
	case client.CallerGone:
		story = fmt.Sprintf("%s is gone, and nobody waits for the reply; %s", sender, on)
	default:
		story = fmt.Sprintf("%s sent it; %s", sender, on)
	}
	if m.Attempts > 1 {
		story += fmt.Sprintf("; attempt %d", m.Attempts)
	}
	if m.Timeout > 0 {
		story += fmt.Sprintf("; %s left", brief(m.Timeout))
	}
	return story
}

// replies writes the temporary queues that hold something.
func (r *diagnosis) replies() {
	first := true
	for _, q := range r.d.Queues {
		n := q.Summary.Waiting + q.Summary.Leased
		if !q.Summary.Temporary || n == 0 {
			continue
		}
		if first {
			r.head("Replies not taken yet")
			first = false
		}
		r.line("  %s for %s, the oldest for %s", plural(n, "reply"), plain(q.Owner), brief(q.Summary.OldestAge))
	}
}

// sessions writes who is logged in.
func (r *diagnosis) sessions() {
	if len(r.d.Sessions) == 0 {
		return
	}
	r.head("Sessions")
	t := r.sh.table("  NAME", "STATE", ">AGE", ">CONSUMERS", ">HOLDS", ">WAITS FOR")
	for _, s := range r.d.Sessions {
		state := "connected"
		if !s.Connected {
			state = fmt.Sprintf("lost, ends in %s", brief(s.Expires))
		}
		t.row("  "+plain(s.Name), state, brief(s.Age), fmt.Sprint(s.Consumers), fmt.Sprint(s.Leases), fmt.Sprint(s.PendingRequests))
	}
	_ = t.draw(&r.out, max(r.sh.width, defaultWidth)) // a strings.Builder takes everything
}
