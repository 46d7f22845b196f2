package server_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// raw is a stream without a driver: the test says every byte itself.
type raw struct {
	*scene
	pb.DataService_AttachClient
	conn *grpc.ClientConn
}

// stream opens a stream that has not logged in.
func (s *scene) stream() *raw {
	s.Helper()
	conn := s.dial()
	st, err := pb.NewDataServiceClient(conn).Attach(s.life())
	if err != nil {
		s.Fatal(err)
	}
	return &raw{s, st, conn}
}

// loggedIn opens a stream and logs in.
func (s *scene) loggedIn(req *pb.LoginRequest) (*raw, *pb.LoginResponse) {
	s.Helper()
	r := s.stream()
	r.says(frameOf(0, req))
	return r, r.hears().GetFrames()[0].GetLogin()
}

func (r *raw) says(fs ...*pb.ClientFrame) {
	r.Helper()
	if err := r.Send(&pb.AttachRequest{Frames: fs}); err != nil {
		r.Fatal(err)
	}
}

// hears is the next stream message.
func (r *raw) hears() *pb.AttachResponse {
	r.Helper()
	res, err := r.Recv()
	if err != nil {
		r.Fatal(err)
	}
	return res
}

// hearsFrames reads until n frames have come.
func (r *raw) hearsFrames(n int) (fs []*pb.ServerFrame, applied, sent uint64) {
	r.Helper()
	for len(fs) < n {
		res := r.hears()
		fs = append(fs, res.GetFrames()...)
		applied, sent = max(applied, res.GetApplied()), max(sent, res.GetAnswersSent())
	}
	return fs, applied, sent
}

// ends reads to the end of the stream.
func (r *raw) ends() error {
	for {
		if _, err := r.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return refusalOf(err)
		}
	}
}

func quiet(tag uint64, verb proto.Message) *pb.ClientFrame {
	f := frameOf(tag, verb)
	f.Quiet = true
	return f
}

func sendTo(queue, body string) *pb.SendRequest {
	return &pb.SendRequest{Queue: queue, Body: []byte(body), Create: &pb.QueueOptions{}}
}

// overStreams plays cases that are about streams alone, in fake time.
func overStreams(t *testing.T, cases map[string]func(*scene)) {
	for name, play := range cases {
		t.Run(name, func(t *testing.T) { inFakeTime(t, forms[1], server.Config{}, play) })
	}
}

// Many frames of one stream message are applied in order, and answered in
// order unless they are quiet.
func TestFrames(t *testing.T) { overStreams(t, frameCases) }

var frameCases = map[string]func(*scene){
	"a stream message has many frames": func(s *scene) {
		r := s.stream()
		r.says(frameOf(0, &pb.LoginRequest{}), quiet(1, sendTo("q", "1")), frameOf(2, sendTo("q", "2")), quiet(3, &pb.DestroyRequest{Queue: "nowhere"}),
			frameOf(4, &pb.SubscribeRequest{Queue: "q", Credit: 2}))
		fs, applied, sent := r.hearsFrames(6)
		var order []string
		for _, f := range fs {
			order = append(order, fmt.Sprintf("%d %T", f.GetTag(), f.GetEvent()))
		}
		want := []string{"0 *messageswitchv1.ServerFrame_Login", "2 *messageswitchv1.ServerFrame_Send", "3 *messageswitchv1.ServerFrame_Failure",
			"0 *messageswitchv1.ServerFrame_Delivery", "0 *messageswitchv1.ServerFrame_Delivery", "4 *messageswitchv1.ServerFrame_Subscribe"}
		if fmt.Sprint(order) != fmt.Sprint(want) || applied != 4 || sent != 3 {
			s.Errorf("heard %v, applied %d, answers %d", order, applied, sent)
		}
	},
	"a tag is applied once": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(5, sendTo("q", "1")), frameOf(5, sendTo("q", "1")), frameOf(3, sendTo("q", "1")), frameOf(6, sendTo("q", "2")))
		fs, _, _ := r.hearsFrames(2)
		if fs[0].GetTag() != 5 || fs[1].GetTag() != 6 || s.waiting("q") != 2 {
			s.Errorf("heard %v; %d messages", fs, s.waiting("q"))
		}
	},
	"a huge stream message is applied in order": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{})
		var fs []*pb.ClientFrame
		for i := range uint64(1000) {
			fs = append(fs, quiet(i+1, sendTo("q", fmt.Sprint(i))))
		}
		r.says(append(fs, frameOf(1001, &pb.SubscribeRequest{Queue: "q", Credit: 1000}))...)
		got, applied, _ := r.hearsFrames(1001)
		for i, f := range got[:1000] {
			if string(f.GetDelivery().GetBody()) != fmt.Sprint(i) {
				s.Fatalf("delivery %d is %v", i, f)
			}
		}
		if applied != 1001 {
			s.Errorf("applied %d", applied)
		}
	},
	"a silent stream is told what was applied": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{})
		r.says(quiet(1, sendTo("q", "")))
		for tag := uint64(2); tag < server.AppliedEvery; tag++ {
			r.says(quiet(tag, sendTo("q", "")))
		}
		r.says(quiet(server.AppliedEvery, sendTo("q", "")))
		if res := r.hears(); res.GetApplied() != 64 || len(res.GetFrames()) != 0 {
			s.Errorf("heard %v", res)
		}
	},
	"logging out ends the stream well": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, sendTo("q", "")), frameOf(2, &pb.LogoutRequest{}), frameOf(3, sendTo("q", "")))
		fs, _, _ := r.hearsFrames(3)
		if fs[1].GetLogout() == nil || fs[2].GetFailure().GetReason() != pb.Reason_REASON_SESSION_ENDED {
			s.Errorf("heard %v", fs)
		}
		if err := r.ends(); err != nil {
			s.Errorf("the stream ended with %v", err)
		}
		if s.waiting("q") != 1 || s.sw.Links() != 0 {
			s.Errorf("%d messages, %d links of %s", s.waiting("q"), s.sw.Links(), login.GetSession())
		}
	},
	"a consumer whose queue goes is told": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, &pb.SubscribeRequest{Queue: "q", Create: &pb.QueueOptions{}}))
		fs, _, _ := r.hearsFrames(1)
		consumer := fs[0].GetSubscribe().GetConsumer()
		p := s.client("p")
		must[*pb.DestroyResponse](p, &pb.DestroyRequest{Queue: "q"})
		fs, _, _ = r.hearsFrames(1)
		if e := fs[0].GetConsumerEnded(); e.GetConsumer() != consumer || e.GetFailure().GetReason() != pb.Reason_REASON_QUEUE_DESTROYED {
			s.Errorf("heard %v", fs[0])
		}
	},
	"who does not log in is shown out": func(s *scene) {
		r := s.stream()
		_ = r.Send(&pb.AttachRequest{}) // says hello, and no more
		began := time.Now()
		s.isRefusal(r.ends(), codes.FailedPrecondition, pb.Reason_REASON_PROTOCOL)
		silent := s.stream()
		s.isRefusal(silent.ends(), codes.FailedPrecondition, pb.Reason_REASON_PROTOCOL)
		if took := time.Since(began); took != server.LoginTimeout {
			s.Errorf("it took %v", took)
		}
	},
}

// A session goes on where its last stream ended: what was applied is not
// applied again, and what was not heard is said again.
func TestStreamResumes(t *testing.T) { overStreams(t, resumeCases) }

var resumeCases = map[string]func(*scene){
	"answers that were not heard are repeated": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, sendTo("q", "1")), frameOf(2, sendTo("q", "2")), frameOf(3, &pb.DestroyRequest{Queue: "nowhere"}))
		first, _, _ := r.hearsFrames(3)
		s.lose(r)
		r = s.stream()
		r.says(frameOf(0, &pb.LoginRequest{Session: login.GetSession(), AnswersReceived: 1}))
		fs, _, sent := r.hearsFrames(3)
		if l := fs[0].GetLogin(); !l.GetResumed() || l.GetApplied() != 3 {
			s.Errorf("Login says %v", l)
		}
		if !proto.Equal(fs[1], first[1]) || !proto.Equal(fs[2], first[2]) || sent != 3 {
			s.Errorf("repeated %v, want %v; %d answers", fs[1:], first[1:], sent)
		}
		if s.waiting("q") != 2 {
			s.Errorf("%d messages, want 2", s.waiting("q"))
		}
	},
	"frames that had arrived are skipped": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, sendTo("q", "1")), quiet(2, sendTo("q", "2")))
		r.hearsFrames(1)
		s.lose(r)
		r, _ = s.loggedIn(&pb.LoginRequest{Session: login.GetSession(), AnswersReceived: 1})
		r.says(frameOf(1, sendTo("q", "1")), quiet(2, sendTo("q", "2")), frameOf(3, sendTo("q", "3")))
		fs, applied, _ := r.hearsFrames(1)
		if fs[0].GetTag() != 3 || applied != 3 || s.waiting("q") != 3 {
			s.Errorf("heard %v, applied %d; %d messages", fs, applied, s.waiting("q"))
		}
	},
	"answers that were confirmed are forgotten": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		for tag := uint64(1); tag <= 10; tag++ {
			r.says(frameOf(tag, sendTo("q", "")))
		}
		r.hearsFrames(10)
		if err := r.Send(&pb.AttachRequest{AnswersReceived: 9}); err != nil {
			s.Fatal(err)
		}
		synctest.Wait()
		s.lose(r)
		r = s.stream()
		r.says(frameOf(0, &pb.LoginRequest{Session: login.GetSession()}))
		fs, _, _ := r.hearsFrames(2)
		if len(fs) != 2 || fs[1].GetTag() != 10 {
			s.Errorf("heard %v", fs)
		}
	},
	"another stream takes over": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		r.says(frameOf(1, &pb.SubscribeRequest{Queue: "q", Create: &pb.QueueOptions{}}))
		fs, _, _ := r.hearsFrames(1)
		again, _ := s.loggedIn(&pb.LoginRequest{Session: login.GetSession(), AnswersReceived: 1})
		s.isRefusal(r.ends(), codes.Aborted, pb.Reason_REASON_SUPERSEDED)
		p := s.client("p")
		p.send("q", "1") // to nobody: the consumer is not bound yet
		again.says(frameOf(2, &pb.SubscribeRequest{Consumer: fs[0].GetSubscribe().GetConsumer()}))
		got, _, _ := again.hearsFrames(2)
		if string(got[0].GetDelivery().GetBody()) != "1" {
			s.Errorf("heard %v", got)
		}
		s.pass(time.Minute) // the old stream's end starts no grace
		again.says(frameOf(3, &pb.AckRequest{Leases: []uint64{got[0].GetDelivery().GetLease()}}))
		again.hearsFrames(1)
	},
	"a lost delivery comes under its old lease": func(s *scene) {
		r, login := s.loggedIn(&pb.LoginRequest{})
		r.says(quiet(1, sendTo("q", "1")), quiet(2, sendTo("q", "2")), frameOf(3, &pb.SubscribeRequest{Queue: "q", Credit: 2}))
		fs, _, _ := r.hearsFrames(3)
		s.lose(r)
		r, _ = s.loggedIn(&pb.LoginRequest{Session: login.GetSession(), AnswersReceived: 1})
		first, second := fs[0].GetDelivery(), fs[1].GetDelivery()
		r.says(frameOf(4, &pb.SubscribeRequest{Consumer: first.GetConsumer(), AfterLease: first.GetLease()}))
		got, _, _ := r.hearsFrames(2)
		if d := got[0].GetDelivery(); d.GetLease() != second.GetLease() || d.GetAttempt() != 1 || got[1].GetSubscribe() == nil {
			s.Errorf("heard %v, want %v again before the answer", got, second)
		}
	},
	"an open stream is a sign of life": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{TtlMs: 1000, GraceMs: 1000})
		r.says(frameOf(1, &pb.CreateRequest{}))
		fs, _, _ := r.hearsFrames(1)
		s.pass(time.Hour)
		if !s.isThere(fs[0].GetCreate().GetQueue()) {
			s.Error("the session ended")
		}
	},
	"a closed sending side is a lost stream": func(s *scene) {
		r, _ := s.loggedIn(&pb.LoginRequest{GraceMs: 1000})
		r.says(frameOf(1, &pb.CreateRequest{}))
		fs, _, _ := r.hearsFrames(1)
		_ = r.CloseSend()
		if err := r.ends(); err != nil {
			s.Errorf("the stream ended with %v", err)
		}
		s.pass(time.Second)
		if s.isThere(fs[0].GetCreate().GetQueue()) {
			s.Error("the session goes on")
		}
	},
}

// lose ends a stream without a word.
func (s *scene) lose(r *raw) {
	_ = r.conn.Close()
	_ = r.ends()
	synctest.Wait()
}
