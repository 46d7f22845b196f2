package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// The core's list of events and the protocol's are the same.
func TestTraceKinds(t *testing.T) {
	if core, wire := int(queue.MessageAbandoned), len(pb.TraceKind_name)-1; core != wire {
		t.Errorf("the core has %d kinds of events, the protocol %d", core, wire)
	}
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		last := uint64(0)
		saw := func(kinds ...pb.TraceKind) {
			s.Helper()
			events := s.trace(&pb.TraceRequest{After: last})
			if len(events) < len(kinds) {
				s.Fatalf("saw %v, want %v", events, kinds)
			}
			for i, k := range kinds {
				if events[i].GetKind() != k {
					s.Errorf("event %d is %v, want %v", events[i].GetNumber(), events[i], k)
				}
			}
			last = events[len(events)-1].GetNumber()
		}
		const (
			sent, delivered, acked, replied = pb.TraceKind_TRACE_KIND_SENT, pb.TraceKind_TRACE_KIND_DELIVERED, pb.TraceKind_TRACE_KIND_ACKED, pb.TraceKind_TRACE_KIND_REPLIED
			returned, dropped               = pb.TraceKind_TRACE_KIND_RETURNED, pb.TraceKind_TRACE_KIND_DROPPED
		)
		p := s.client("p")
		saw(pb.TraceKind_TRACE_KIND_LOGIN)
		p.create("q", nil)
		saw(pb.TraceKind_TRACE_KIND_CREATED)
		own := p.temporary()
		p.subscribe("q", 1)
		p.request("q", own, "c")
		p.reply(p.take(), "yes")
		saw(sent, delivered, replied, sent)
		p.ack(p.take())
		saw(delivered, acked)
		p.send("q", "1")
		d := p.take()
		p.retry(d)
		saw(sent, delivered, returned)
		p.reject(p.take())
		saw(delivered, pb.TraceKind_TRACE_KIND_DEAD, pb.TraceKind_TRACE_KIND_CREATED, sent)
		p.within("q", own, "late", time.Second)
		s.pass(time.Second)
		saw(sent, pb.TraceKind_TRACE_KIND_EXPIRED, sent)
		p.ack(p.take())
		saw(delivered, acked)
		p.request("q", own, "c")
		p.cancelled(own, "c", pb.CancelState_CANCEL_STATE_WITHDRAWN)
		saw(sent, pb.TraceKind_TRACE_KIND_CANCELLED)
		p.request("q", own, "c")
		d = p.take()
		p.cancelled(own, "c", pb.CancelState_CANCEL_STATE_RUNNING)
		saw(sent, delivered, pb.TraceKind_TRACE_KIND_ABANDONED)
		p.ack(d)
		saw(acked)
		p.send("q", "purged")
		admin(s, pb.AdminServiceClient.Purge, &pb.PurgeRequest{Queue: "q"})
		saw(sent, dropped)
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		saw(pb.TraceKind_TRACE_KIND_DESTROYED)
		p.logout()
		saw(pb.TraceKind_TRACE_KIND_LOGOUT)
	})
}

// follow reads a trace event by event; end is how it ends.
func (s *scene) follow(req *pb.TraceRequest) (next func() *pb.TraceEvent, end func() error) {
	s.Helper()
	stream, err := pb.NewAdminServiceClient(s.dial()).Trace(s.life(), req)
	if err != nil {
		s.Fatal(err)
	}
	var events []*pb.TraceEvent
	next = func() *pb.TraceEvent {
		for len(events) == 0 {
			res, err := stream.Recv()
			if err != nil {
				s.Fatal(err)
			}
			events = res.GetEvents()
		}
		e := events[0]
		events = events[1:]
		return e
	}
	return next, func() error {
		_, err := stream.Recv()
		return refusalOf(err)
	}
}

func TestTrace(t *testing.T) { overAdmin(t, traceCases) }

var traceCases = map[string]func(*scene){
	"tells what happened to a message": func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		own := must[*pb.CreateResponse](p, &pb.CreateRequest{}).GetQueue()
		body := strings.Repeat("x", 60)
		p.request("q", own, body)
		w.subscribe("q", 1)
		d := w.take()
		s.pass(1500 * time.Millisecond)
		w.reject(d)
		events := s.trace(&pb.TraceRequest{Queue: "q"})
		dead := events[len(events)-1]
		want := &pb.TraceEvent{Number: dead.GetNumber(), UnixUs: time.Now().UnixMicro(), Kind: pb.TraceKind_TRACE_KIND_DEAD, Sender: "p", Queue: "q",
			Receiver: "w", MessageId: d.GetMessageId(), CorrelationId: body, ReplyTo: own, Attempt: 1, BodyBytes: 60, BodyPrefix: []byte(body[:48]),
			TookUs: 1_500_000, Reason: pb.Reason_REASON_REJECTED, Cause: `the server of queue "q" rejected the message (no cause given)`}
		if !proto.Equal(dead, want) {
			s.Errorf("got %v, want %v", dead, want)
		}
	},
	"why a message came back": func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.send2("q")
		p.send2("q")
		w.subscribe("q", 1)
		d := w.take()
		s.pass(31 * time.Second)
		must[*pb.NackResponse](w, &pb.NackRequest{Leases: []uint64{w.take().GetLease()}, Cause: "not today"})
		w.release(w.take())
		w.logout()
		var got []string
		for _, e := range s.trace(&pb.TraceRequest{MessageId: d.GetMessageId()}) {
			if e.GetKind() == pb.TraceKind_TRACE_KIND_RETURNED {
				got = append(got, fmt.Sprint(e.GetReason(), ": ", e.GetCause()))
			}
		}
		want := []string{
			`REASON_LEASE_GONE: attempt 1 of 5 on queue "q" failed: its lease of 30s ended without an ack`,
			`REASON_UNSPECIFIED: attempt 2 of 5 on queue "q" failed (not today)`,
			`REASON_UNSPECIFIED: `,
			`REASON_SERVER_GONE: attempt 3 of 5 on queue "q" was lost: the session of its server "w" ended`,
		}
		if !slices.Equal(got, want) {
			s.Errorf("it came back %q, want %q", got, want)
		}
	},
	"of one message, and what was before it": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		ids := p.send("q", "1", "2", "3")
		events := s.trace(&pb.TraceRequest{MessageId: ids[2]})
		if len(events) != 1 || events[0].GetMessageId() != ids[2] || events[0].GetAhead() != 2 {
			s.Errorf("got %v", events)
		}
	},
	"of one queue alone": func(s *scene) {
		p := s.client("p")
		p.send2("q")
		p.send2("r")
		p.send2("q")
		events := s.trace(&pb.TraceRequest{Queue: "q"})
		for _, e := range events {
			if e.GetQueue() != "q" {
				s.Errorf("got %v", e)
			}
		}
		if len(events) != 3 { // it was made, too
			s.Errorf("got %d events", len(events))
		}
	},
	"after a number": func(s *scene) {
		p := s.client("p")
		p.send2("q")
		all := s.trace(&pb.TraceRequest{})
		last := all[len(all)-1].GetNumber()
		if rest := s.trace(&pb.TraceRequest{After: last}); len(rest) != 0 {
			s.Errorf("got %v", rest)
		}
		p.send2("q")
		if rest := s.trace(&pb.TraceRequest{After: last}); len(rest) != 1 || rest[0].GetNumber() != last+1 {
			s.Errorf("got %v", rest)
		}
	},
	"as it happens": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		next, _ := s.follow(&pb.TraceRequest{Follow: true, Queue: "q"})
		next() // the queue was made
		for _, body := range countTo(5) {
			p.send("q", body)
			if e := next(); string(e.GetBodyPrefix()) != body {
				s.Errorf("got %v", e)
			}
			s.pass(time.Second)
		}
	},
	"until the switch ends": func(s *scene) {
		s.client("p")
		next, end := s.follow(&pb.TraceRequest{Follow: true})
		next()
		admin(s, pb.AdminServiceClient.Shutdown, &pb.ShutdownRequest{})
		s.isRefusal(end(), codes.Unavailable, pb.Reason_REASON_SHUTTING_DOWN)
	},
}

// Who reads too late is told how much is gone.
func TestTraceMissed(t *testing.T) {
	inFakeTime(t, forms[0], server.Config{TraceEvents: 10}, func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", countTo(30)...)
		stream, err := pb.NewAdminServiceClient(s.dial()).Trace(s.life(), &pb.TraceRequest{After: 5})
		if err != nil {
			s.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil {
			s.Fatal(err)
		}
		// 32 events: the login, the queue, and 30 messages. 10 are kept.
		if res.GetMissed() != 17 || len(res.GetEvents()) != 10 || res.GetEvents()[0].GetNumber() != 23 {
			s.Errorf("missed %d, got %v", res.GetMissed(), res.GetEvents())
		}
		for i, e := range res.GetEvents() {
			if string(e.GetBodyPrefix()) != fmt.Sprint(21+i) {
				s.Errorf("event %d is %v", i, e)
			}
		}
	})
}
