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
)

// overAdmin plays cases about AdminService, in fake time.
func overAdmin(t *testing.T, cases map[string]func(*scene)) {
	for name, play := range cases {
		t.Run(name, func(t *testing.T) { inFakeTime(t, forms[1], server.Config{Version: "v9"}, play) })
	}
}

func namesOf(res *pb.ListResponse) (names []string) {
	for _, q := range res.GetQueues() {
		names = append(names, q.GetQueue())
	}
	return names
}

func list(s *scene, req *pb.ListRequest) *pb.ListResponse {
	s.Helper()
	return admin(s, pb.AdminServiceClient.List, req)
}

func TestList(t *testing.T) { overAdmin(t, listCases) }

var listCases = map[string]func(*scene){
	"by name, page by page": func(s *scene) {
		p := s.client("p")
		for _, q := range []string{"c", "a", "e", "b", "d"} {
			p.create(q, nil)
		}
		var pages []string
		for after := ""; ; {
			page := list(s, &pb.ListRequest{Limit: 2, After: after})
			names := namesOf(page)
			pages = append(pages, strings.Join(names, ""))
			if !page.GetMore() {
				break
			}
			after = names[len(names)-1]
		}
		if fmt.Sprint(pages) != "[ab cd e]" {
			s.Errorf("the pages are %v", pages)
		}
	},
	"by prefix": func(s *scene) {
		p := s.client("p")
		for _, q := range []string{"a.1", "a.2", "ab", "b.1"} {
			p.create(q, nil)
		}
		if got := namesOf(list(s, &pb.ListRequest{Prefix: "a."})); !slices.Equal(got, []string{"a.1", "a.2"}) {
			s.Errorf("got %q", got)
		}
	},
	"only what is served": func(s *scene) {
		p := s.mortal("p")
		p.create("served", nil)
		p.create("idle", nil)
		p.subscribe("served", 1)
		if got := namesOf(list(s, &pb.ListRequest{ServedOnly: true})); !slices.Equal(got, []string{"served"}) {
			s.Errorf("got %q", got)
		}
		p.dies()
		s.pass(5 * time.Second)
		if got := namesOf(list(s, &pb.ListRequest{ServedOnly: true})); got != nil {
			s.Errorf("got %q", got)
		}
	},
	"temporary ones when asked for": func(s *scene) {
		p := s.client("p")
		own := p.temporary()
		if got := namesOf(list(s, &pb.ListRequest{})); got != nil {
			s.Errorf("got %q", got)
		}
		got := list(s, &pb.ListRequest{Temporary: true}).GetQueues()
		if len(got) != 1 || got[0].GetQueue() != own || !got[0].GetTemporary() {
			s.Errorf("got %v", got)
		}
	},
	"with their counts": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "one", "two", "three", "four")
		p.subscribe("q", 2)
		must[*pb.NackResponse](p, &pb.NackRequest{Leases: leasesOf(p.gets("one")), DelayMs: 60_000})
		s.pass(2 * time.Second)
		want := &pb.QueueSummary{Queue: "q", Durability: pb.Durability_DURABILITY_MEMORY, Waiting: 2, Leased: 2, Delayed: 1,
			Bytes: 15, Consumers: 1, OldestAgeMs: 2000}
		if got := list(s, &pb.ListRequest{}).GetQueues()[0]; !proto.Equal(got, want) {
			s.Errorf("got %v, want %v", got, want)
		}
	},
}

func TestDescribe(t *testing.T) {
	overAdmin(t, map[string]func(*scene){
		"counts what has happened": func(s *scene) {
			p := s.client("p")
			p.create("q", &pb.QueueOptions{MaxMessages: 4, MaxAttempts: 2, Overflow: pb.Overflow_OVERFLOW_REJECT})
			p.isNew(numbered("q", "me", 1))
			p.isRepeated(numbered("q", "me", 1))
			p.send("q", "2", "3")
			p.within("q", p.temporary(), "late", time.Second)
			p.refused(&pb.SendRequest{Queue: "q"}, codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
			s.pass(time.Second)
			p.isTold("late", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
			p.subscribe("q", 1)
			p.ack(p.getsOne("1", 1))
			p.retry(p.getsOne("2", 1))
			p.retry(p.getsOne("2", 2)) // dead
			p.release(p.getsOne("3", 1))
			p.getsOne("3", 1)
			admin(s, pb.AdminServiceClient.Purge, &pb.PurgeRequest{Queue: "q", MessageIds: []string{peekIDs(s, "q")[0]}})
			// The release took back an attempt, so its redelivery was none.
			want := &pb.QueueCounters{Sent: 4, Delivered: 5, Acked: 1, Redelivered: 1, Expired: 1, Dead: 1, Dropped: 1, Refused: 1, Duplicates: 1}
			if got := s.describe("q").GetCounters(); !proto.Equal(got, want) {
				s.Errorf("counted %v, want %v", got, want)
			}
		},
		"says who consumes": func(s *scene) {
			p, w := s.client("p"), s.client("w")
			p.create("q", nil)
			p.send("q", "1")
			c := w.subscribe("q", 7)
			w.take()
			want := &pb.ConsumerInfo{Consumer: c, SessionName: "w", Connected: true, Credit: 7, Holding: 1}
			if got := s.describe("q").GetConsumers(); len(got) != 1 || !proto.Equal(got[0], want) {
				s.Errorf("got %v, want %v", got, want)
			}
			w.dies()
			if got := s.describe("q").GetConsumers(); len(got) != 1 || got[0].GetConnected() {
				s.Errorf("got %v, want one that is lost", got)
			}
		},
		"says who owns it, and how old it is": func(s *scene) {
			own := s.client("p").temporary()
			s.pass(3 * time.Second)
			if d := s.describe(own); d.GetOwner() != "p" || d.GetAgeMs() != 3000 || !d.GetSummary().GetTemporary() {
				s.Errorf("got %v", d)
			}
		},
	})
}

func peekIDs(s *scene, queue string) (ids []string) {
	for _, m := range peek(s, &pb.PeekRequest{Queue: queue}) {
		ids = append(ids, m.GetMessageId())
	}
	return ids
}

func peek(s *scene, req *pb.PeekRequest) []*pb.MessageInfo {
	s.Helper()
	return admin(s, pb.AdminServiceClient.Peek, req).GetMessages()
}

func TestPeek(t *testing.T) { overAdmin(t, peekCases) }

var peekCases = map[string]func(*scene){
	"shows messages and leaves them": func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		p.within("q", p.temporary(), "c", time.Minute)
		p.send("q", "2", "3")
		w.subscribe("q", 2)
		ds := w.gets("c", "2")
		must[*pb.NackResponse](w, &pb.NackRequest{Leases: leasesOf(ds[1:]), DelayMs: 60_000})
		w.gets("3")
		s.pass(2 * time.Second)
		got := peek(s, &pb.PeekRequest{Queue: "q"})
		want := &pb.MessageInfo{MessageId: ds[0].GetMessageId(), State: pb.MessageState_MESSAGE_STATE_LEASED, Body: []byte("c"), BodyBytes: 1,
			CorrelationId: "c", ReplyTo: ds[0].GetReplyTo(), Attempts: 1, AgeMs: 2000, TimeoutMs: 58_000, Sender: "p",
			Caller: pb.CallerState_CALLER_STATE_WAITING, Holder: "w", HeldMs: 2000, LeaseMs: 28_000, HolderConnected: true}
		if len(got) != 3 || !proto.Equal(got[0], want) || got[1].GetState() != pb.MessageState_MESSAGE_STATE_DELAYED {
			s.Errorf("got %v, want first %v", got, want)
		}
	},
	"in order, up to a number": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		ids := p.send("q", countTo(12)...)
		if got := peekIDs(s, "q"); !slices.Equal(got, ids[:10]) {
			s.Errorf("got %v, want the first ten of %v", got, ids)
		}
		if got := peek(s, &pb.PeekRequest{Queue: "q", Limit: 2}); len(got) != 2 {
			s.Errorf("got %v", got)
		}
	},
	"bodies up to a size": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		p.send("q", "0123456789")
		got := peek(s, &pb.PeekRequest{Queue: "q", MaxBodyBytes: 4})[0]
		if string(got.GetBody()) != "0123" || got.GetBodyBytes() != 10 {
			s.Errorf("got %v", got)
		}
	},
	"no more than an answer holds": func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		for range 8 { // more than the 4 MiB that gRPC clients take, in bodies and in headers
			p.send("q", string(make([]byte, 1<<20)))
		}
		if got := peek(s, &pb.PeekRequest{Queue: "q", MaxBodyBytes: 1 << 20}); len(got) != 8 || len(got[0].GetBody()) != 1<<20 || len(got[7].GetBody()) != 0 {
			s.Errorf("%d messages, of %d and %d bytes", len(got), len(got[0].GetBody()), len(got[7].GetBody()))
		}
		for range 400 {
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: "r", Create: &pb.QueueOptions{}, Headers: map[string]string{"h": strings.Repeat("v", 16<<10-1)}})
		}
		if got := peek(s, &pb.PeekRequest{Queue: "r", Limit: 400}); len(got) != 400 || len(got[0].GetHeaders()) != 1 {
			s.Errorf("%d messages, the first %v", len(got), got[0])
		}
	},
	"not into temporary queues": func(s *scene) {
		own := s.client("p").temporary()
		_, err := pb.NewAdminServiceClient(s.dial()).Peek(s.Context(), &pb.PeekRequest{Queue: own})
		s.isRefusal(refusalOf(err), codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
	},
	"says what became of the caller": func(s *scene) {
		p, waiter, lost, gone, w := s.client("p"), s.client("waiter"), s.client("lost"), s.client("gone"), s.client("w")
		p.create("q", nil)
		w.subscribe("q", 1)
		gone.request("q", gone.temporary(), "gone") // it runs, or it would go with its caller
		lost.request("q", lost.temporary(), "lost")
		waiter.request("q", waiter.temporary(), "waiter")
		lost.dies()
		gone.logout()
		want := map[string]pb.CallerState{"gone": pb.CallerState_CALLER_STATE_GONE, "lost": pb.CallerState_CALLER_STATE_LOST, "waiter": pb.CallerState_CALLER_STATE_WAITING}
		for _, m := range peek(s, &pb.PeekRequest{Queue: "q"}) {
			if m.GetCaller() != want[m.GetSender()] {
				s.Errorf("the caller %q is %v", m.GetSender(), m.GetCaller())
			}
		}
	},
}

func TestPurge(t *testing.T) {
	purge := func(s *scene, ids ...string) uint64 {
		return admin(s, pb.AdminServiceClient.Purge, &pb.PurgeRequest{Queue: "q", MessageIds: ids}).GetPurged()
	}
	overAdmin(t, map[string]func(*scene){
		"takes all that wait": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.send("q", "1", "2", "3")
			p.subscribe("q", 1)
			d := p.take()
			if n := purge(s); n != 2 || s.waiting("q") != 0 || s.leased("q") != 1 {
				s.Errorf("purged %d; the queue has %v", n, s.describe("q").GetSummary())
			}
			p.ack(d)
		},
		"takes the named ones, even if they are leased": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			ids := p.send("q", "1", "2", "3")
			p.subscribe("q", 1)
			d := p.take()
			if n := purge(s, ids[0], ids[2]); n != 2 || s.isThere("q.dead") {
				s.Errorf("purged %d; q.dead: %v", n, s.isThere("q.dead"))
			}
			p.cannotUse(d.GetLease(), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
			p.gets("2")
		},
		"not from temporary queues": func(s *scene) {
			own := s.client("p").temporary()
			_, err := pb.NewAdminServiceClient(s.dial()).Purge(s.Context(), &pb.PurgeRequest{Queue: own})
			s.isRefusal(refusalOf(err), codes.PermissionDenied, pb.Reason_REASON_QUEUE_NOT_YOURS)
		},
	})
}
