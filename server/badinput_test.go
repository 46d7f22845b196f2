package server_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/servertest"
)

// maxBody is the largest payload of the switch that bad input is for.
const maxBody = 1000

// TestBadInput hands the switch what is wrong, in both forms. Every error is
// the same in both, and stands in testdata/errors.txt for its wording to be
// reviewed ("go test -run TestBadInput -update" writes it anew). Meanwhile
// others go on, and nothing is lost.
func TestBadInput(t *testing.T) {
	var both [2][]string
	var alone []string // what one form has and the other has not
	for i, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t, f, transports[1], server.Config{MaxPayload: maxBody})
			defer s.goOn()()
			texts, more := s.errorTexts()
			both[i], alone = texts, append(alone, more...)
		})
	}
	for i := range min(len(both[0]), len(both[1])) {
		if unary, attach := both[0][i], both[1][i]; attach != unary {
			t.Errorf("the forms differ:\nunary: %s\nattach: %s", unary, attach)
		}
	}
	golden(t, "errors.txt", strings.Join(append(both[0], alone...), "\n")+"\n")
}

// golden compares a text with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("%s line %d is\n%s\nwant\n%s\n(-update writes it anew)", path, i+1, b[i], a[i])
			}
		}
		t.Fatalf("%s has %d lines, want %d (-update writes it anew)", path, len(b), len(a))
	}
}

// errorTexts provokes every error, one after the other: first those that both
// forms have, then those of this one alone.
func (s *scene) errorTexts() (texts, alone []string) {
	p, stranger := s.client("p"), s.client("stranger")
	canary := must[*pb.SendResponse](p, sendTo("canary", "I am fine")).GetMessageId()
	bait := s.bait(p, stranger)
	note := func(name string, err error) { texts = append(texts, s.errorText(name, err)) }
	for _, bad := range badVerbs {
		_, err := ask[proto.Message](p, bad.verb(bait))
		note(bad.name, err)
	}
	other := servertest.New(s.T)
	foreign, err := pb.NewDataServiceClient(other.Conn()).Login(s.Context(), &pb.LoginRequest{})
	if err != nil {
		s.Fatal(err)
	}
	gone := s.client("gone")
	gone.logout()
	for _, bad := range badLogins(p.session.GetSession(), foreign.GetSession(), gone.session.GetSession()) {
		_, err := s.tryLogin(s.Context(), bad.req)
		note(bad.name, err)
	}
	note = func(name string, err error) { alone = append(alone, s.errorText(name, err)) }
	if s.form.name == "unary" {
		for _, bad := range badPolls {
			_, err := ask[proto.Message](p, bad.verb(bait))
			note(bad.name, err)
		}
		_, err := (&unary{conn: s.dial()}).do(s.Context(), &pb.SendRequest{Queue: "q"})
		note("Send without a session", err)
		s.badAdminVerbs(note)
	} else {
		s.badStreams(note)
	}
	// All is as it was.
	must[*pb.ExtendResponse](p, &pb.ExtendRequest{Leases: []uint64{bait.held}})
	must[*pb.ExtendResponse](stranger, &pb.ExtendRequest{Leases: []uint64{bait.stranger}})
	if c := s.describe("canary"); c.GetSummary().GetWaiting() != 1 || s.isThere("new") {
		s.Errorf("the canary %v has %v; new: %v", canary, c, s.isThere("new"))
	}
	return texts, alone
}

// bait puts out what bad input is about.
func (s *scene) bait(p, stranger *party) *prey {
	p.create("q", nil)
	p.create("full", &pb.QueueOptions{MaxMessages: 1})
	p.send("full", "1")
	p.create("held", nil)
	p.send("held", "stale", "held", "stranger")
	b := &prey{own: p.temporary(), theirs: stranger.temporary()}
	b.consumer = p.subscribe("held", 2)
	ds := p.gets("stale", "held")
	p.unsubscribe(b.consumer)
	p.ack(ds[0])
	b.stale, b.held = ds[0].GetLease(), ds[1].GetLease()
	stranger.subscribe("held", 1)
	b.stranger = stranger.take().GetLease()
	b.consumer = 1
	return b
}

func (s *scene) badAdminVerbs(note func(string, error)) {
	c, ctx := pb.NewAdminServiceClient(s.dial()), s.Context()
	bad := func(name string, _ proto.Message, err error) { note(name, refusalOf(err)) }
	call := func(name string, do func() (proto.Message, error)) { res, err := do(); bad(name, res, err) }
	call("List too many", func() (proto.Message, error) { return c.List(ctx, &pb.ListRequest{Limit: 100_001}) })
	call("Describe an unknown queue", func() (proto.Message, error) { return c.Describe(ctx, &pb.DescribeRequest{Queue: "nowhere"}) })
	call("Describe no queue", func() (proto.Message, error) { return c.Describe(ctx, &pb.DescribeRequest{}) })
	call("Peek into an unknown queue", func() (proto.Message, error) { return c.Peek(ctx, &pb.PeekRequest{Queue: "nowhere"}) })
	call("Peek at too many", func() (proto.Message, error) { return c.Peek(ctx, &pb.PeekRequest{Queue: "q", Limit: 1001}) })
	call("Peek at too much", func() (proto.Message, error) {
		return c.Peek(ctx, &pb.PeekRequest{Queue: "q", MaxBodyBytes: 1<<20 + 1})
	})
	call("Purge an unknown queue", func() (proto.Message, error) { return c.Purge(ctx, &pb.PurgeRequest{Queue: "nowhere"}) })
	call("Purge a message that is none", func() (proto.Message, error) {
		return c.Purge(ctx, &pb.PurgeRequest{Queue: "q", MessageIds: []string{"garbage"}})
	})
	call("Purge a message that is not there", func() (proto.Message, error) {
		return c.Purge(ctx, &pb.PurgeRequest{Queue: "q", MessageIds: []string{"0-1-1"}})
	})
	calls := func(req *pb.ListCallsRequest) (proto.Message, error) {
		stream, err := c.ListCalls(ctx, req)
		if err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	call("List too many calls", func() (proto.Message, error) { return calls(&pb.ListCallsRequest{Limit: 100_001}) })
	call("List a call that is none", func() (proto.Message, error) { return calls(&pb.ListCallsRequest{Call: "garbage"}) })
	call("Cancel no call", func() (proto.Message, error) { return c.CancelCall(ctx, &pb.CancelCallRequest{}) })
	call("Cancel a call that is none", func() (proto.Message, error) { return c.CancelCall(ctx, &pb.CancelCallRequest{Call: "garbage"}) })
	call("Cancel a call that is not there", func() (proto.Message, error) { return c.CancelCall(ctx, &pb.CancelCallRequest{Call: "0-1-1"}) })
	call("Trace a message that is none", func() (proto.Message, error) {
		stream, err := c.Trace(ctx, &pb.TraceRequest{MessageId: "garbage"})
		if err != nil {
			return nil, err
		}
		return stream.Recv()
	})
	call("Diagnose too much", func() (proto.Message, error) {
		return c.Diagnostics(ctx, &pb.DiagnosticsRequest{MessagesPerQueue: 1001})
	})
	call("Shut down in the past", func() (proto.Message, error) { return c.Shutdown(ctx, &pb.ShutdownRequest{BoundMs: -1}) })
	call("Shut down next year", func() (proto.Message, error) { return c.Shutdown(ctx, &pb.ShutdownRequest{BoundMs: 1 << 62}) })
}

// What differs from run to run.
var (
	leaseNumbers   = regexp.MustCompile(`lease( |=")\d+`)
	messageIDs     = regexp.MustCompile(`0-[0-9a-v]+-[0-9a-v]+`)
	temporaryNames = regexp.MustCompile(`tmp\.[A-Z2-7]{26}`)
)

// errorText is an error for testdata/errors.txt. It is one line, and says what
// is wrong in words.
func (s *scene) errorText(name string, err error) string {
	s.Helper()
	var r refusal
	if !errors.As(err, &r) {
		s.Errorf("%s: %v is no refusal", name, err)
		return name
	}
	switch code := codes.Code(r.GetCode()); {
	case code == codes.Unknown || code == codes.Internal || r.GetReason() == pb.Reason_REASON_UNSPECIFIED:
		s.Errorf("%s: %v says nothing to a program", name, r)
	case len(r.GetMessage()) < 20 || len(r.GetMessage()) > 300 || strings.ContainsAny(r.GetMessage(), "\n\t\x00\x1b\x7f"):
		s.Errorf("%s: %q is no line for people", name, r.GetMessage())
	}
	text := name + "\n\t" + r.Error()
	for _, k := range slices.Sorted(maps.Keys(r.GetMetadata())) {
		text += fmt.Sprintf("\n\t%s=%q", k, r.GetMetadata()[k])
	}
	if ms := r.GetRetryAfterMs(); ms != 0 {
		text += fmt.Sprintf("\n\tretry after %d ms", ms)
	}
	text = leaseNumbers.ReplaceAllString(text, "lease${1}N")
	return temporaryNames.ReplaceAllString(messageIDs.ReplaceAllString(text, "ID"), "tmp.NAME")
}

// goOn has two clients call each other until the stop that it returns, which
// sees to it that they still can.
func (s *scene) goOn() (stop func()) {
	caller, w := s.client("control caller"), s.client("control server")
	caller.create("control", nil)
	replies := caller.temporary()
	w.subscribe("control", 1)
	var calls atomic.Int64
	var over atomic.Bool
	ended := make(chan struct{})
	go func() { // stop waits for it
		defer close(ended)
		for ; !over.Load() && !s.Failed(); calls.Add(1) {
			body := fmt.Sprint(calls.Load())
			caller.request("control", replies, body)
			w.reply(w.take(), "re: "+body)
			caller.ack(caller.gets("re: " + body)...)
		}
	}()
	return func() {
		before := calls.Load()
		s.until("the others go on", func() bool { return calls.Load() > before+10 || s.Failed() })
		over.Store(true)
		<-ended
		if err := s.sw.Check(); err != nil {
			s.Errorf("the state is broken: %v", err)
		}
	}
}
