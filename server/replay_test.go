package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

func TestReplay(t *testing.T) {
	replay := func(s *scene, req *pb.ReplayRequest) *pb.ReplayResponse {
		s.Helper()
		return admin(s, pb.AdminServiceClient.Replay, req)
	}
	overAdmin(t, map[string]func(*scene){
		"gives dead letters another try": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.send("q", "1", "2")
			p.subscribe("q", 2)
			p.reject(p.gets("1", "2")...)
			if res := replay(s, &pb.ReplayRequest{Queue: "q.dead"}); res.GetReplayed() != 2 || res.GetLeft() != 0 || res.GetFailure() != nil || res.GetCursor() != "" {
				s.Errorf("replayed: %v", res)
			}
			p.getsOne("1", 1)
			if d := p.getsOne("2", 1); len(d.GetHeaders()) != 0 {
				s.Errorf("its headers are %v", d.GetHeaders())
			}
			if n := s.waiting("q.dead"); n != 0 {
				s.Errorf("%d are left", n)
			}
		},
		"leaves what nobody takes, and says why": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.send("q", "1")
			p.subscribe("q", 1)
			p.reject(p.take())
			must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
			res := replay(s, &pb.ReplayRequest{Queue: "q.dead"})
			if res.GetReplayed() != 0 || res.GetLeft() != 1 || res.GetFailure().GetReason() != pb.Reason_REASON_QUEUE_NOT_FOUND {
				s.Errorf("replayed: %v", res)
			}
			p.create("elsewhere", nil)
			if res = replay(s, &pb.ReplayRequest{Queue: "q.dead", To: "elsewhere"}); res.GetReplayed() != 1 || s.waiting("elsewhere") != 1 {
				s.Errorf("replayed: %v", res)
			}
		},
		"does not move in a circle": func(s *scene) {
			p := s.client("p")
			p.create("q", nil)
			p.send("q", countTo(5)...)
			p.subscribe("q", 1)
			for range 5 {
				p.reject(p.take())
			}
			moved, cursor := 0, ""
			for more := true; more; more = cursor != "" {
				res := replay(s, &pb.ReplayRequest{Queue: "q.dead", Limit: 2, Cursor: cursor})
				moved, cursor = moved+int(res.GetReplayed()), res.GetCursor()
				for range res.GetReplayed() {
					p.reject(p.take()) // dead again at once
				}
			}
			if n := s.waiting("q.dead"); moved != 5 || n != 5 {
				s.Errorf("%d were moved, %d are dead", moved, n)
			}
		},
		"refuses what can't be": func(s *scene) {
			s.client("p").create("q", nil)
			for _, req := range []*pb.ReplayRequest{{Queue: "q", To: "q"}, {Queue: "q", MessageIds: []string{"x"}}, {Queue: "q", MessageIds: make([]string, 1001)},
				{Queue: "q", Limit: 1001}, {Queue: "q", Cursor: "1"}} {
				_, err := pb.NewAdminServiceClient(s.dial()).Replay(s.Context(), req)
				s.isRefusal(refusalOf(err), codes.InvalidArgument, pb.Reason_REASON_INVALID)
			}
			_, err := pb.NewAdminServiceClient(s.dial()).Replay(s.Context(), &pb.ReplayRequest{Queue: "nowhere"})
			s.isRefusal(refusalOf(err), codes.NotFound, pb.Reason_REASON_QUEUE_NOT_FOUND)
		},
	})
}
