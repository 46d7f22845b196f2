package server_test

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// mortal is a client that lives for a few seconds after its last sign of life,
// whatever its form.
func (s *scene) mortal(name string) *party {
	s.Helper()
	return s.login(&pb.LoginRequest{Name: name, TtlMs: 5000, GraceMs: 5000})
}

// byName authenticates by a header: who says "as: NAME" is NAME.
var byName = server.Config{Authenticate: func(ctx context.Context) (string, error) {
	if as := metadata.ValueFromIncomingContext(ctx, "as"); len(as) == 1 {
		return as[0], nil
	}
	return "", errors.New("who are you?")
}}

func as(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "as", name)
}

// G7: what a session is and how it ends.
var sessionContracts = []contract{
	{name: "G7_login_answers_token_ttl_and_grace", config: server.Config{MaxPayload: 1234, Version: "v9"}, play: func(s *scene) {
		res := s.login(&pb.LoginRequest{Name: "p"}).session
		if res.GetSession() == "" || res.GetTtlMs() != 30_000 || res.GetGraceMs() != 10_000 || res.GetResumed() ||
			res.GetMaxPayloadBytes() != 1234 || res.GetServerVersion() != "v9" || res.GetProtocolVersion() != 1 {
			s.Errorf("Login says %v", res)
		}
		res = s.login(&pb.LoginRequest{Name: "p", TtlMs: 1000, GraceMs: 1, ProtocolVersion: 7, Features: []string{"flying"}}).session
		if res.GetTtlMs() != 1000 || res.GetGraceMs() != 1 || res.GetProtocolVersion() != 1 || len(res.GetFeatures()) != 0 {
			s.Errorf("Login says %v", res)
		}
	}},
	{name: "G7_tokens_are_secret_and_distinct", play: func(s *scene) {
		a, b := s.client("p").session.GetSession(), s.client("p").session.GetSession()
		if a == b || len(a) < 32 {
			s.Errorf("the tokens are %q and %q", a, b)
		}
	}},
	{name: "G7_any_call_renews", fake: true, play: func(s *scene) {
		p := s.mortal("p")
		queue := p.temporary()
		for range 10 {
			s.pass(4 * time.Second)
			p.getsNothing() // a Transfer, or a frame
		}
		if !s.isThere(queue) {
			s.Error("the session ended")
		}
	}},
	{name: "G7_silence_ends_it", fake: true, play: func(s *scene) {
		p := s.mortal("p")
		queue := p.temporary()
		p.dies()
		s.pass(4999 * time.Millisecond)
		if !s.isThere(queue) {
			s.Error("the session ended early")
		}
		s.pass(time.Millisecond)
		if s.isThere(queue) {
			s.Error("the session goes on")
		}
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Session: p.session.GetSession()})
		s.has(s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED).GetMessage(), "log in again")
	}},
	{name: "G7_its_end_is_one_step", fake: true, play: func(s *scene) {
		p, dying, next := s.client("p"), s.mortal("dying"), s.client("next")
		p.create("q", nil)
		p.create("other", nil)
		own := dying.temporary()
		dying.request("other", own, "waits for nobody")
		p.request("q", p.temporary(), "c")
		dying.subscribe("q", 1)
		next.subscribe("other", 1)
		next.gets("waits for nobody")
		dying.gets("c")
		dying.dies()
		s.pass(5 * time.Second)
		ended := s.since(pb.TraceKind_TRACE_KIND_LOGOUT)
		d := s.describe("q")
		if s.isThere(own) || d.GetSummary().GetLeased() != 0 || len(d.GetConsumers()) != 0 {
			s.Errorf("the temporary queue is there: %v; q: %v", s.isThere(own), d)
		}
		for _, e := range ended {
			if e.GetUnixUs() != ended[0].GetUnixUs() {
				s.Errorf("%v came later than the end", e)
			}
		}
	}},
	{name: "G7_its_end_withdraws_its_requests", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.request("q", p.temporary(), "nobody waits for this")
		p.logout()
		w.subscribe("q", 1)
		w.getsNothing()
		if s.isThere("q.dead") {
			s.Error("it became a dead letter")
		}
	}},
	{name: "G7_nothing_goes_on_after_logout", play: func(s *scene) {
		p, other := s.client("p"), s.client("other")
		queue := p.temporary()
		token := p.session.GetSession()
		p.logout()
		if s.isThere(queue) {
			s.Error("its temporary queue is there")
		}
		other.refused(&pb.SendRequest{Queue: queue}, codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Session: token})
		s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_SESSION_ENDED)
	}},
	{name: "G7_a_token_of_another_principal_is_refused", config: byName, play: func(s *scene) {
		login := func(who string, req *pb.LoginRequest) (*party, error) { return s.tryLogin(as(s.Context(), who), req) }
		alice, err := login("alice", &pb.LoginRequest{Name: "a"})
		if err != nil {
			s.Fatal(err)
		}
		token := alice.session.GetSession()
		_, err = login("bob", &pb.LoginRequest{Name: "b", Session: token})
		s.isRefusal(err, codes.PermissionDenied, pb.Reason_REASON_SESSION_NOT_YOURS)
		if again, err := login("alice", &pb.LoginRequest{Session: token}); err != nil || !again.session.GetResumed() {
			s.Errorf("alice herself: %v", err)
		}
	}},
	{name: "G7_who_is_not_known_is_not_let_in", config: byName, play: func(s *scene) {
		_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Name: "a"})
		f := s.isRefusal(err, codes.Internal, pb.Reason_REASON_UNSPECIFIED) // Authenticate's error was no gRPC status
		if f.GetMessage() != "internal error of the switch; its log has the cause" {
			s.Errorf("the refusal says %q", f.GetMessage())
		}
	}},
}

// since are the trace events from the last one of a kind on.
func (s *scene) since(kind pb.TraceKind) (events []*pb.TraceEvent) {
	s.Helper()
	for _, e := range s.trace(&pb.TraceRequest{}) {
		if e.GetKind() == kind {
			events = nil
		}
		events = append(events, e)
	}
	if len(events) == 0 || events[0].GetKind() != kind {
		s.Fatalf("there was no %v", kind)
	}
	return events
}

// trace is what the flight recorder has now.
func (s *scene) trace(req *pb.TraceRequest) (events []*pb.TraceEvent) {
	s.Helper()
	stream, err := pb.NewAdminServiceClient(s.sw.Conn()).Trace(s.life(), req)
	if err != nil {
		s.Fatal(err)
	}
	for {
		res, err := stream.Recv()
		if err != nil {
			return events // it ends with what there is
		}
		events = append(events, res.GetEvents()...)
	}
}

// G7: a session outlives its connections.
var resumeContracts = []contract{
	{name: "G7_the_token_resumes_it_from_another_connection", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		replies := must[*pb.CreateResponse](p, &pb.CreateRequest{}).GetQueue()
		consumer := p.subscribe(replies, 10)
		p.request("q", replies, "c")
		w.subscribe("q", 1)
		d := w.take()
		p.dies()
		w.reply(d, "while you were out")
		p = s.resume(p)
		if err := p.rebind(s.Context(), consumer, 0); err != nil {
			s.Fatal(err)
		}
		p.gets("while you were out")
	}},
	{name: "G7_within_the_grace_nothing_is_lost", fake: true, play: func(s *scene) {
		p, dying := s.client("p"), s.mortal("dying")
		p.create("q", nil)
		p.send("q", "1", "2")
		dying.subscribe("q", 1)
		d := dying.take()
		dying.dies()
		s.pass(4900 * time.Millisecond)
		dying = s.resume(dying)
		dying.ack(d) // the lease is as it was
		if s.waiting("q") != 1 {
			s.Errorf("%d messages wait, want 1", s.waiting("q"))
		}
	}},
	{name: "G7_nothing_is_pushed_to_who_is_lost", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		consumer := w.subscribe("q", 10)
		w.dies()
		p.send("q", "1")
		if s.leased("q") != 0 {
			s.Error("a lost client was given a delivery")
		}
		w = s.resume(w)
		if err := w.rebind(s.Context(), consumer, 0); err != nil {
			s.Fatal(err)
		}
		w.getsOne("1", 1)
	}},
	{name: "G7_what_never_arrived_is_delivered_again", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.send("q", "1", "2", "3")
		consumer := w.subscribe("q", 10)
		ds := w.gets("1", "2", "3")
		w.dies()
		w = s.resume(w)
		if err := w.rebind(s.Context(), consumer, ds[0].GetLease()); err != nil { // 2 and 3 were lost on the way
			s.Fatal(err)
		}
		again := w.take()
		if string(again.GetBody()) != "2" || again.GetLease() != ds[1].GetLease() || again.GetAttempt() != 1 {
			s.Errorf("got %v, want %v again", again, ds[1])
		}
	}},
	{name: "G7_resuming_tells_which_requests_are_pending", play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		replies := p.temporary()
		for _, c := range []string{"answered", "running", "queued", "cancelled"} {
			p.request("q", replies, c)
		}
		w.subscribe("q", 2)
		ds := w.gets("answered", "running")
		must[*pb.SubscribeResponse](w, &pb.SubscribeRequest{Consumer: ds[0].GetConsumer(), Credit: 1}) // no more
		w.reply(ds[0], "yes")
		p.cancelled(replies, "cancelled", pb.CancelState_CANCEL_STATE_WITHDRAWN)
		p.dies()
		p = s.resume(p)
		got := map[string]bool{}
		for _, r := range p.session.GetPending() {
			got[r.GetCorrelationId()] = r.GetRunning()
			if r.GetQueue() != "q" || r.GetReplyTo() != replies {
				s.Errorf("pending: %v", r)
			}
		}
		if running, ok := got["running"]; len(got) != 2 || !ok || !running || got["queued"] {
			s.Errorf("pending and running: %v", got)
		}
	}},
	{name: "G7_resuming_keeps_name_ttl_and_grace", play: func(s *scene) {
		p := s.login(&pb.LoginRequest{Name: "p", TtlMs: 77_000, GraceMs: 7000})
		p.dies()
		again := s.login(&pb.LoginRequest{Name: "another name", Session: p.session.GetSession(), TtlMs: 1000})
		if res := again.session; res.GetTtlMs() != 77_000 || res.GetGraceMs() != 7000 || res.GetSession() != p.session.GetSession() {
			s.Errorf("Login says %v", res)
		}
	}},
	{name: "G7_bad_tokens_are_refused", play: func(s *scene) {
		token := s.client("p").session.GetSession()
		for _, bad := range []string{"x", token[:len(token)-1], token + "A", "A" + token[1:], token[:len(token)-2] + "__", "ä", " " + token} {
			if bad == token {
				continue
			}
			_, err := s.tryLogin(s.Context(), &pb.LoginRequest{Session: bad})
			s.isRefusal(err, codes.Unauthenticated, pb.Reason_REASON_TOKEN_INVALID)
		}
	}},
}
