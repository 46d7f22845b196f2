package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// TestScripts plays testdata/*.txt. Each file shows one group of promises; what
// the core answers stands below each command. After a change that is meant,
// "go test -run TestScripts -rewrite" writes the answers anew, for a review of
// the difference.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newScript(queue.Limits{})
		datadriven.RunTest(t, path, s.run)
	})
}

// A script plays commands on a State. Sessions have names, time is what has
// passed since the start, and ids, leases and sinks are small numbers, because
// the epoch is zero.
type script struct {
	state    *queue.State
	fx       queue.Effects
	now      queue.Instant
	sessions map[string]queue.SessionID
	command  *datadriven.TestData
	used     map[string]bool // the arguments that a verb looked at
	out      strings.Builder
	life     *life // with a disk; nil: without
}

// start is the time at which scripts begin: zero would mean never.
const start = queue.Instant(1e9)

func newScript(l queue.Limits) *script {
	if l.TraceEvents == 0 {
		l.TraceEvents = 1000
	}
	return &script{state: queue.New(0, l), now: start, sessions: map[string]queue.SessionID{}}
}

func (s *script) run(t *testing.T, td *datadriven.TestData) string {
	s.command, s.used = td, map[string]bool{}
	s.out.Reset()
	switch verb := verbs[td.Cmd]; {
	case td.Cmd == "new":
		fresh := newScript(s.limits())
		fresh.used = s.used
		if l := s.limits(); l.DurableAvailable {
			fresh.life = newLife(l)
		}
		*s = *fresh
	case verb == nil:
		td.Fatalf(t, "there is no command %q", td.Cmd)
	default:
		verb(s)
	}
	for _, a := range td.CmdArgs {
		if len(a.Vals) > 0 && !s.used[a.Key] {
			td.Fatalf(t, "%s knows no argument %q", td.Cmd, a.Key)
		}
	}
	if err := s.state.Check(); err != nil {
		td.Fatalf(t, "Check: %v", err)
	}
	return s.out.String()
}

func (s *script) limits() queue.Limits {
	return queue.Limits{PayloadBytes: s.num("payload"), Queues: s.num("queues"), Sessions: s.num("sessions"), Consumers: s.num("consumers"),
		TemporaryQueues: s.num("temporary"), Producers: s.num("producers"), MemoryBytes: s.num("memory"), Keys: s.num("keys"), ProducerSilence: s.dur("silence"),
		DurableAvailable: s.has("durable"), DefaultDurable: s.has("durable")}
}

// at is the i-th argument without a name. x*300 stands for 300 times x.
func (s *script) at(i int) string {
	for _, a := range s.command.CmdArgs {
		if len(a.Vals) > 0 {
			continue
		}
		if i == 0 {
			return long(a.Key)
		}
		i--
	}
	return ""
}

func long(word string) string {
	if x, n, ok := strings.Cut(word, "*"); ok {
		if n, err := strconv.Atoi(n); err == nil {
			return strings.Repeat(x, n)
		}
	}
	if quoted, err := strconv.Unquote(`"` + word + `"`); err == nil {
		return quoted
	}
	return word
}

func (s *script) strs(key string) []string {
	s.used[key] = true
	for _, a := range s.command.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

func (s *script) str(key string) string {
	if vals := s.strs(key); len(vals) > 0 {
		return long(vals[0])
	}
	return ""
}

func (s *script) has(word string) bool { return s.command.HasArg(word) }

func (s *script) num(key string) int { return toInt(s.str(key)) }

func toInt(word string) int {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil && word != "" {
		panic(err)
	}
	return int(n)
}

func (s *script) dur(key string) time.Duration {
	d, err := time.ParseDuration(s.str(key))
	if err != nil && s.str(key) != "" {
		panic(err)
	}
	return d
}

// who is the session of the first argument.
func (s *script) who() queue.SessionID { return s.sessions[s.at(0)] }

func (s *script) sender(id queue.SessionID) string {
	for name, other := range s.sessions {
		if other == id {
			return name
		}
	}
	return "nobody"
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// do applies op and prints what it answers and causes.
func (s *script) do(op queue.Op) {
	if err := s.state.Apply(s.now, op, &s.fx); err != nil {
		s.printf("%s", told(err))
		return
	}
	words := []string{"ok"}
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if s.fx.Created {
		say("created %s", short(s.fx.Queue.Name))
	}
	if !s.fx.ID.IsZero() {
		say("#%d", s.fx.ID.Sequence)
	}
	if s.fx.Duplicate {
		say("duplicate")
	}
	if s.fx.Joined {
		say("joined")
	}
	if s.fx.Answered {
		say("answered")
	}
	if c := s.fx.Consumer; c != nil {
		say("consumer %d, credit %d, lease %v", c.ID, c.Credit, c.Lease)
	}
	if s.fx.Count > 0 {
		say("%d done", s.fx.Count)
	}
	if r, ok := op.(*queue.Reply); ok && s.fx.Undelivered(r.Lease) != nil {
		say("but %s", told(s.fx.Undelivered(r.Lease)))
	}
	switch op.(type) {
	case *queue.Cancel, *queue.EndCall:
		say("%s", []string{"unknown", "withdrawn", "running", "left to others"}[s.fx.Cancel])
	}
	if h := s.fx.Half; h != nil {
		say("part %d, %d of %d bytes taken, window %d of %d", h.Sent, h.TakenParts, h.TakenBytes, h.WindowParts, h.WindowBytes)
	}
	if s.life != nil && s.fx.Sync {
		say("once synced")
	}
	if _, ok := op.(*queue.Tick); !ok {
		s.printf("%s", strings.Join(words, " "))
	}
	s.effects()
}

// told is an error as people and programs see it.
func told(err error) string {
	text := fmt.Sprintf("[%v] %v", errors.Unwrap(err), err)
	if e := new(queue.Error); errors.As(err, &e) {
		for pair := range slices.Chunk(e.Meta, 2) {
			text += fmt.Sprintf(" {%s: %s}", pair[0], pair[1])
		}
	}
	return text
}

func (s *script) effects() {
	for _, r := range s.fx.Refused {
		s.printf("  lease %d refused: %s", r.Lease, told(r.Err))
	}
	if s.life != nil {
		s.stored()
	}
	for _, d := range s.fx.Deliveries {
		to := ""
		if d.Sink != s.sender(d.Consumer.Session.ID) {
			to = fmt.Sprintf(" at %v", d.Sink)
		}
		s.printf("  -> %s/%d%s: #%d attempt %d lease %d%s", s.sender(d.Consumer.Session.ID), d.Consumer.ID, to,
			d.Message.ID.Sequence, d.Message.Attempt(), d.Lease-s.firstLease(), content(d.Message))
	}
	for _, e := range s.fx.Cancelled {
		s.printf("  consumer %d at %v: lease %d was cancelled", e.Consumer, e.Sink, e.Lease-s.firstLease())
	}
	for _, e := range s.fx.Taken {
		whose := fmt.Sprintf("%s %s", e.ReplyTo, e.CorrelationID)
		if e.Lease != 0 {
			whose = fmt.Sprintf("lease %d", e.Lease-s.firstLease())
		}
		s.printf("  %v: %d parts of %d bytes of %s were taken", e.Sink, e.Parts, e.Bytes, whose)
	}
	for _, l := range s.fx.CallersGone {
		s.printf("  lease %d: its caller is gone", l-s.firstLease())
	}
	for _, e := range s.fx.ConsumersEnded {
		s.printf("  consumer %d at %v ended: %s", e.Consumer, e.Sink, told(e.Err))
	}
	for _, e := range s.fx.SessionsEnded {
		s.printf("  session %s at %v ended: %s", s.sender(e.Session), e.Sink, told(e.Err))
	}
}

// short is a name as the script wrote it: x*300 for 300 times x.
func short(name string) string {
	r := []rune(name)
	if len(r) > 20 && strings.Count(name, string(r[0])) == len(r) {
		return fmt.Sprintf("%c*%d", r[0], len(r))
	}
	return name
}

// content is what is in a message.
func content(m *queue.Message) string {
	var text string
	switch n := len(m.Body); {
	case n > 20:
		text = fmt.Sprintf(" %d bytes", n)
	case n > 0:
		text = fmt.Sprintf(" %q", m.Body)
	}
	if m.Part != 0 {
		text += fmt.Sprintf(" part=%d", m.Part)
	}
	if m.End {
		text += " end"
	}
	if m.Stream {
		text += " stream"
	}
	if m.CorrelationID != "" {
		text += " corr=" + m.CorrelationID
	}
	if m.ReplyTo != "" {
		text += " reply=" + m.ReplyTo
	}
	if m.Key() != "" {
		text += " key=" + m.Key()
	}
	if f := m.Failure; f != nil && f.Err != nil {
		text += " failed: " + told(f.Err)
	} else if f != nil {
		text += fmt.Sprintf(" the handler failed: %q", f.Handler)
	}
	for _, h := range m.Headers {
		text += fmt.Sprintf("\n       %s: %s", h.Key, h.Value)
	}
	return text
}

// wait lets time pass as the engine does, with a Tick at each deadline.
func (s *script) wait() {
	d, err := time.ParseDuration(s.at(0))
	if err != nil {
		panic(err)
	}
	end := s.now.Add(d)
	for at := s.state.NextDeadline(); at != 0 && at <= end; at = s.state.NextDeadline() {
		before := s.out.Len()
		s.now = max(s.now, at)
		s.do(&queue.Tick{})
		if text := s.out.String(); len(text) > before {
			s.out.Reset()
			s.out.WriteString(text[:before])
			s.printf("at %v", s.now.Sub(start))
			s.out.WriteString(text[before:])
		}
	}
	s.now = end
	s.printf("it is %v", s.now.Sub(start))
}

// idle lets time pass without a Tick, as a busy engine may.
func (s *script) idle() {
	d, err := time.ParseDuration(s.at(0))
	if err != nil {
		panic(err)
	}
	s.now = s.now.Add(d)
	s.printf("it is %v", s.now.Sub(start))
}

func (s *script) show() {
	q, err := s.state.QueueNamed(s.at(0))
	if err != nil {
		s.printf("%s", told(err))
		return
	}
	sum := q.Summary(s.now)
	s.printf("%d waiting (%d delayed), %d leased, %d bytes, %d consumers, oldest %v, %s", sum.Waiting, sum.Delayed, sum.Leased, sum.Bytes,
		sum.Consumers, sum.OldestAge, []string{"running", "never started", "stopped", "stuck"}[q.Health(s.now)])
	if n := q.SpilledCount(); n > 0 {
		s.printf("%d on disk alone", n)
	}
	if s.has("counters") {
		s.printf("%+v", q.Counters())
	}
	if s.has("options") {
		s.printf("%+v", q.Options)
	}
	for _, m := range q.Oldest(1000) {
		line := fmt.Sprintf("#%d %s attempts=%d", m.ID.Sequence, []string{"gone", "waiting", "delayed", "leased"}[m.State()], m.Attempts)
		if holder, since := m.Holder(); holder != nil {
			line += fmt.Sprintf(" by %s since %v, for %v", s.sender(holder.ID), since.Sub(start), m.LeaseLeft(s.now))
		}
		if left := m.TimeLeft(s.now); left != 0 {
			line += fmt.Sprintf(" expires in %v", left)
		}
		switch {
		case m.CallerGone():
			line += " caller gone"
		case m.Caller() != nil:
			line += " for " + s.sender(m.Caller().ID)
		}
		s.printf("%s%s", line, content(m))
	}
}

// list names the queues and their owners.
func (s *script) list() {
	limit := 1000
	if s.num("limit") != 0 {
		limit = s.num("limit")
	}
	qs, more := s.state.Queues(queue.Query{Prefix: s.str("prefix"), After: s.str("after"), ServedOnly: s.has("served"),
		Temporary: s.has("temporary"), Limit: limit})
	for _, q := range qs {
		owner := ""
		if q.Temporary() {
			owner = " of " + s.sender(q.Owner.ID)
		}
		s.printf("%s%s", short(q.Name), owner)
	}
	if more {
		s.printf("and more")
	}
}

// listSessions says what each session has.
func (s *script) listSessions() {
	for _, sess := range s.state.Sessions() {
		temporary, consumers, leases, pending := sess.Owned()
		line := fmt.Sprintf("%s: %d temporary queues, %d consumers, %d leases, %d pending", s.sender(sess.ID), temporary, consumers, leases, pending)
		if !sess.Connected() {
			line += ", connection lost"
		}
		if at := sess.Expires(); at != 0 {
			line += fmt.Sprintf(", ends in %v", at.Sub(s.now))
		}
		s.printf("%s", line)
	}
}

// services are the consumers that said what they are, page by page.
func (s *script) services() {
	limit := 1000
	if s.num("limit") != 0 {
		limit = s.num("limit")
	}
	var after queue.ServiceKey
	for more := true; more; {
		var cs []*queue.Consumer
		cs, more = s.state.Services(s.str("prefix"), after, limit)
		for _, c := range cs {
			sv := c.Service()
			st := &sv.Stats
			s.printf("%s %q: %s/%d on %s for %v: delivered %d, replied %d (%d failures), acked %d, returned %d, ended %d, busy %v", sv.Name, sv.Info,
				s.sender(c.Session.ID), c.ID, short(c.Queue.Name), s.now.Sub(sv.Since), st.Delivered, st.Replied, st.Failed, st.Acked, st.Returned, st.Ended, st.Busy)
			if st.LastFailureAt != 0 {
				s.printf("  %q %v ago", st.LastFailure, s.now.Sub(st.LastFailureAt))
			}
			after = c.ServiceKey()
		}
		if more {
			s.printf("and more")
		}
	}
}

// pending are the requests of a session that wait for their replies.
func (s *script) pending() {
	s.state.Session(s.who()).Pending(func(p queue.Pending) {
		word := "queued"
		if p.Running {
			word = "running"
		}
		s.printf("%s at %s: %s in %s", p.CorrelationID, p.ReplyTo, word, p.Queue)
	})
}

// trace prints what happened since it was last printed.
func (s *script) trace() {
	names := []string{"", "sent", "delivered", "acked", "replied", "returned", "dead", "expired", "cancelled", "dropped", "created", "destroyed", "login", "logout", "abandoned"}
	buf := make([]queue.Event, 1000)
	got, _ := s.state.Trace().After(uint64(s.num("after")), buf)
	for _, e := range buf[:got] {
		line := fmt.Sprintf("%d %v %s", e.Number, e.At.Sub(start), names[e.Kind])
		for _, w := range []string{e.Sender, e.Queue, e.Receiver} {
			if w == "" {
				w = "-"
			}
			line += " " + w
		}
		if !e.Message.IsZero() {
			line += fmt.Sprintf(" #%d attempt %d, %d bytes %q", e.Message.Sequence, e.Attempt, e.Bytes, e.Prefix())
		}
		if e.Took != 0 {
			line += fmt.Sprintf(" took %v", e.Took)
		}
		if e.Err != nil {
			line += " " + told(e.Err)
		}
		s.printf("%s", line)
	}
}
