package server_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// diagnose is what the switch says about itself.
func (s *scene) diagnose() *pb.DiagnosticsResponse {
	s.Helper()
	return admin(s, adminDiagnostics, &pb.DiagnosticsRequest{})
}

// diagnosis is what it says about one queue.
func (s *scene) diagnosis(queue string) *pb.QueueDiagnosis {
	s.Helper()
	for _, q := range s.diagnose().GetQueues() {
		if q.GetSummary().GetQueue() == queue {
			return q
		}
	}
	s.Fatalf("nothing is said about %q", queue)
	return nil
}

// health says what the health of queue q should be.
func (s *scene) health(want pb.Health) {
	s.Helper()
	if got := s.diagnosis("q").GetHealth(); got != want {
		s.Errorf("q is %v, want %v", got, want)
	}
}

func TestHealthOfQueues(t *testing.T) {
	overAdmin(t, map[string]func(*scene){
		"an empty queue runs": func(s *scene) {
			s.client("p").create("q", nil)
			s.health(pb.Health_HEALTH_RUNNING)
		},
		"what nobody ever served was never started": func(s *scene) {
			s.client("p").send2("q")
			s.health(pb.Health_HEALTH_NEVER_STARTED)
		},
		"what is served runs": func(s *scene) {
			p, w := s.client("p"), s.client("w")
			p.send2("q")
			p.send2("q")
			w.subscribe("q", 1)
			w.take()
			s.health(pb.Health_HEALTH_RUNNING)
		},
		"what lost its server has stopped": func(s *scene) {
			p, w := s.client("p"), s.mortal("w")
			p.send2("q")
			w.subscribe("q", 1)
			w.take()
			w.dies()
			s.health(pb.Health_HEALTH_STOPPED) // from the first moment
			s.pass(5 * time.Second)
			s.health(pb.Health_HEALTH_STOPPED)
			s.client("next").subscribe("q", 1)
			s.health(pb.Health_HEALTH_RUNNING)
		},
		"what is held for longer than a lease is stuck": func(s *scene) {
			p, w := s.client("p"), s.client("w")
			p.send2("q")
			p.send2("q")
			w.subscribe("q", 1)
			d := w.take()
			for range 3 { // the server holds on to one delivery
				s.pass(25 * time.Second)
				must[*pb.ExtendResponse](w, &pb.ExtendRequest{Leases: []uint64{d.GetLease()}})
			}
			s.health(pb.Health_HEALTH_STUCK)
			w.ack(d)
			s.health(pb.Health_HEALTH_RUNNING)
		},
	})
}

// send2 sends to a queue that may have to be made.
func (p *party) send2(queue string) {
	p.Helper()
	must[*pb.SendResponse](p, sendTo(queue, "x"))
}

// Diagnostics names who waits on whom.
func TestDiagnostics(t *testing.T) {
	overAdmin(t, map[string]func(*scene){
		"tells about the switch": func(s *scene) {
			s.pass(time.Minute)
			d := s.diagnose()
			if d.GetServerVersion() != "v9" || d.GetUptimeMs() != 60_000 || d.GetDefaultDurability() != pb.Durability_DURABILITY_MEMORY ||
				d.GetStartedUnixMs() != time.Now().Add(-time.Minute).UnixMilli() || d.GetTruncated() {
				s.Errorf("got %v", d)
			}
		},
		"tells who waits on whom": func(s *scene) {
			caller, w := s.client("caller"), s.client("w")
			caller.create("q", nil)
			replies := caller.temporary()
			caller.request("q", replies, "first")
			caller.request("q", replies, "second")
			w.subscribe("q", 1)
			w.take()
			s.pass(4 * time.Second)
			q := s.diagnosis("q")
			first, second := q.GetMessages()[0], q.GetMessages()[1]
			if first.GetSender() != "caller" || first.GetHolder() != "w" || first.GetHeldMs() != 4000 || first.GetCaller() != pb.CallerState_CALLER_STATE_WAITING {
				s.Errorf("the first request is %v", first)
			}
			if second.GetHolder() != "" || second.GetAgeMs() != 4000 || string(second.GetBody()) != "second" {
				s.Errorf("the second request is %v", second)
			}
			if len(q.GetConsumers()) != 1 || q.GetConsumers()[0].GetSessionName() != "w" {
				s.Errorf("the consumers are %v", q.GetConsumers())
			}
			if d := s.diagnosis(replies); d.GetOwner() != "caller" || !d.GetSummary().GetTemporary() {
				s.Errorf("the reply queue is %v", d)
			}
		},
		"tells about sessions": func(s *scene) {
			caller, w := s.mortal("caller"), s.client("w")
			caller.create("q", nil)
			caller.request("q", caller.temporary(), "c")
			w.subscribe("q", 1)
			w.take()
			s.pass(2 * time.Second)
			caller.dies()
			s.pass(time.Second)
			want := []*pb.SessionInfo{
				{Name: "caller", ExpiresMs: 4000, TemporaryQueues: 1, Consumers: 1, PendingRequests: 1, AgeMs: 3000},
				{Name: "w", Connected: true, Consumers: 1, Leases: 1, AgeMs: 3000},
			}
			for i, got := range s.diagnose().GetSessions() {
				if !proto.Equal(got, want[i]) {
					s.Errorf("session %d is %v, want %v", i, got, want[i])
				}
			}
		},
		"shows so many messages, of so many bytes": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			for range 25 {
				p.send("q", fmt.Sprintf("%100d", 1))
			}
			q := s.diagnosis("q")
			if len(q.GetMessages()) != 20 || len(q.GetMessages()[0].GetBody()) != 48 || q.GetSummary().GetWaiting() != 25 {
				s.Errorf("%d messages of %d bytes", len(q.GetMessages()), len(q.GetMessages()[0].GetBody()))
			}
			more := admin(s, adminDiagnostics, &pb.DiagnosticsRequest{MessagesPerQueue: 3}).GetQueues()[0]
			if len(more.GetMessages()) != 3 {
				s.Errorf("%d messages, want 3", len(more.GetMessages()))
			}
		},
	})
}

// Sessions stand in the order of their names, with their principals.
func TestDiagnosticsNameSessions(t *testing.T) {
	inFakeTime(t, forms[0], byName, func(s *scene) {
		for _, name := range []string{"zoe", "adam", "mia"} {
			if _, err := s.tryLogin(as(s.Context(), "principal of "+name), &pb.LoginRequest{Name: name}); err != nil {
				s.Fatal(err)
			}
		}
		res, err := pb.NewAdminServiceClient(s.dial()).Diagnostics(as(s.Context(), "root"), &pb.DiagnosticsRequest{})
		if err != nil {
			s.Fatal(err)
		}
		for i, name := range []string{"adam", "mia", "zoe"} {
			if got := res.GetSessions()[i]; got.GetName() != name || got.GetPrincipal() != "principal of "+name {
				s.Errorf("session %d is %v, want %s", i, got, name)
			}
		}
	})
}

// Authenticate guards AdminService as well.
func TestAdminAuthenticates(t *testing.T) {
	inFakeTime(t, forms[0], byName, func(s *scene) {
		c, ctx := pb.NewAdminServiceClient(s.dial()), s.Context()
		trace, err := c.Trace(ctx, &pb.TraceRequest{})
		if err != nil {
			s.Fatal(err)
		}
		_, traced := trace.Recv()
		_, listed := c.List(ctx, &pb.ListRequest{})
		_, purged := c.Purge(ctx, &pb.PurgeRequest{Queue: "q"})
		_, shut := c.Shutdown(ctx, &pb.ShutdownRequest{})
		for _, err := range []error{traced, listed, purged, shut} {
			if err == nil {
				s.Error("who is not known is let in")
			}
		}
		if _, err := c.List(as(ctx, "root"), &pb.ListRequest{}); err != nil {
			s.Errorf("the switch is gone: %v", err)
		}
	})
}
