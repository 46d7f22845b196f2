package server_test

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// A streamed is a stream call that a server holds.
type streamed struct {
	*scene
	caller, w *party
	inbox     string // the caller's
	held      *pb.Delivery
}

// aStream has the caller send a request whose reply comes in parts, with an inbox
// of these limits.
func aStream(s *scene, o *pb.QueueOptions) *streamed {
	s.Helper()
	st := &streamed{scene: s, caller: s.client("caller"), w: s.client("w")}
	st.caller.create("q", nil)
	st.inbox = must[*pb.CreateResponse](st.caller, &pb.CreateRequest{Options: o}).GetQueue()
	st.caller.subscribe(st.inbox, 100)
	must[*pb.SendResponse](st.caller, &pb.SendRequest{Queue: "q", ReplyTo: st.inbox, CorrelationId: "c", Stream: true, Body: []byte("go")})
	st.w.subscribe("q", 1)
	st.held = st.w.getsOne("go", 1)
	if !st.held.GetStream() {
		s.Errorf("the request %v does not say that its reply may come in parts", st.held)
	}
	return st
}

// down and up are parts to the caller, and to the server.
func (st *streamed) down(body string) *pb.PartRequest {
	return &pb.PartRequest{Lease: st.held.GetLease(), Body: []byte(body)}
}

func (st *streamed) up(body string) *pb.PartRequest {
	return &pb.PartRequest{ReplyTo: st.inbox, CorrelationId: "c", Body: []byte(body)}
}

// accept lets the caller send parts, into a queue of the server's.
func (st *streamed) accept() {
	st.Helper()
	must[*pb.PartResponse](st.w, &pb.PartRequest{Lease: st.held.GetLease(), ReplyTo: st.w.temporary()})
	if d := st.caller.take(); d.GetReplyTo() == "" || d.GetPart() == 0 {
		st.Errorf("the caller was told %v, which does not say that parts are taken", d)
	} else {
		st.caller.ack(d)
	}
}

// takes has p take parts of these numbers and bodies, and ack them.
func (p *party) takes(first uint64, bodies ...string) {
	p.Helper()
	for i, want := range bodies {
		d := p.take()
		if string(d.GetBody()) != want || d.GetPart() != first+uint64(i) || d.GetCorrelationId() != "c" {
			p.Fatalf("%s got part %d with %q of %q, want %d with %q", p.name, d.GetPart(), d.GetBody(), d.GetCorrelationId(), first+uint64(i), want)
		}
		p.ack(d)
	}
}

var streamContracts = []contract{
	{name: "stream_parts_come_in_order_and_the_reply_is_last", play: func(s *scene) {
		st := aStream(s, nil)
		for i := range 5 {
			res := must[*pb.PartResponse](st.w, st.down(fmt.Sprint(i)))
			if res.GetPart() != uint64(i+1) || res.GetWindowBytes() != 1<<20 || res.GetWindowParts() != 1024 {
				s.Errorf("part %d was answered %v", i, res)
			}
		}
		must[*pb.PartResponse](st.w, &pb.PartRequest{Lease: st.held.GetLease(), Headers: map[string]string{"a": "b"}})
		st.w.reply(st.held, "end")
		st.caller.takes(1, "0", "1", "2", "3", "4")
		if d := st.caller.take(); d.GetPart() != 6 || d.GetHeaders()["a"] != "b" || len(d.GetBody()) != 0 {
			s.Errorf("the part without a body is %v", d)
		}
		if d := st.caller.gets("end")[0]; d.GetPart() != 0 || d.GetCorrelationId() != "c" {
			s.Errorf("the reply is %v", d)
		}
		st.w.refused(st.down("late"), codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
	}},
	{name: "stream_both_ways", play: func(s *scene) {
		st := aStream(s, nil)
		st.caller.refused(st.up("early"), codes.FailedPrecondition, pb.Reason_REASON_STREAM_NOT_ACCEPTED)
		st.accept()
		must[*pb.PartResponse](st.caller, st.up("one"))
		must[*pb.PartResponse](st.w, st.down("re: one"))
		last := st.up("two")
		last.End = true
		must[*pb.PartResponse](st.caller, last)
		st.w.takes(1, "one")
		if d := st.w.gets("two")[0]; !d.GetEnd() || d.GetPart() != 2 {
			s.Errorf("the last part is %v", d)
		}
		st.caller.takes(2, "re: one")
		st.caller.refused(st.up("three"), codes.FailedPrecondition, pb.Reason_REASON_NO_STREAM)
		st.w.reply(st.held, "end")
		st.caller.gets("end")
		st.caller.refused(st.up("late"), codes.FailedPrecondition, pb.Reason_REASON_NO_STREAM)
	}},
	{name: "stream_a_reply_that_misses_parts_is_a_failure", play: func(s *scene) {
		st := aStream(s, &pb.QueueOptions{MaxBytes: 10})
		must[*pb.PartResponse](st.w, st.down("12345678"))
		st.w.refused(st.down("9ab"), codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		end := &pb.ReplyRequest{Lease: st.held.GetLease(), Body: []byte("end"), Parts: 2}
		st.w.refused(end, codes.Aborted, pb.Reason_REASON_STREAM_BROKEN)
		st.caller.takes(1, "12345678")
		f := st.caller.isTold("c", codes.Aborted, pb.Reason_REASON_STREAM_BROKEN)
		s.has(f.GetMessage(), "after 2 parts, of which the switch took 1")
		st.w.refused(end, codes.FailedPrecondition, pb.Reason_REASON_LEASE_GONE)
	}},
	{name: "stream_a_window_bounds_what_waits", play: func(s *scene) {
		st := aStream(s, &pb.QueueOptions{MaxBytes: 10, MaxMessages: 3})
		must[*pb.PartResponse](st.w, st.down("12345678"))
		f := st.w.refused(st.down("9ab"), codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		s.has(f.GetMessage(), "8 bytes", "window is 3 parts of 10 bytes")
		if f.GetRetryAfterMs() == 0 {
			s.Error("the refusal does not say when to try again")
		}
		d := st.caller.gets("12345678")[0]
		st.w.refused(st.down("9ab"), codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL) // what is held counts
		st.caller.ack(d)
		if res := must[*pb.PartResponse](st.w, st.down("9ab")); res.GetConsumedBytes() != 8 || res.GetConsumedParts() != 1 || res.GetPart() != 2 {
			s.Errorf("the answer is %v", res)
		}
		must[*pb.PartResponse](st.w, st.down(""))
		must[*pb.PartResponse](st.w, st.down(""))
		st.w.refused(st.down(""), codes.ResourceExhausted, pb.Reason_REASON_QUEUE_FULL)
		st.caller.takes(2, "9ab", "", "")
		must[*pb.PartResponse](st.w, st.down(strings.Repeat("x", 1000))) // one always fits
		st.caller.gets(strings.Repeat("x", 1000))
	}},
	{name: "stream_a_part_is_sent_once_under_its_number", play: func(s *scene) {
		st := aStream(s, nil)
		one := st.down("one")
		one.Part = 1
		first := must[*pb.PartResponse](st.w, one)
		again := must[*pb.PartResponse](st.w, one)
		if first.GetPart() != 1 || again.GetPart() != 1 {
			s.Errorf("sent again it is answered %v, at first %v", again, first)
		}
		gap := st.down("three")
		gap.Part = 3
		st.w.refused(gap, codes.FailedPrecondition, pb.Reason_REASON_STREAM_GAP)
		st.caller.takes(1, "one")
		st.caller.getsNothing()
	}},
	{name: "stream_is_not_begun_twice", play: func(s *scene) {
		st := aStream(s, nil)
		st.w.release(st.held)
		st.held = st.w.getsOne("go", 1) // it had not begun
		must[*pb.PartResponse](st.w, st.down("begun"))
		st.w.retry(st.held)
		st.caller.takes(1, "begun")
		f := st.caller.isTold("c", codes.Aborted, pb.Reason_REASON_STREAM_BROKEN)
		s.has(f.GetMessage(), "attempt 1", "q")
		st.w.getsNothing()
		if s.isThere("q.dead") {
			s.Error("there is a dead letter of it")
		}
	}},
	{name: "stream_breaks_with_its_servers_session", play: func(s *scene) {
		st := aStream(s, nil)
		st.accept()
		st.w.logout()
		st.caller.isTold("c", codes.Aborted, pb.Reason_REASON_STREAM_BROKEN)
	}},
	{name: "stream_breaks_with_its_lease", fake: true, play: func(s *scene) {
		st := aStream(s, nil)
		must[*pb.PartResponse](st.w, st.down("begun"))
		st.caller.takes(1, "begun")
		time.Sleep(30 * time.Second)
		f := st.caller.isTold("c", codes.Aborted, pb.Reason_REASON_STREAM_BROKEN)
		s.has(f.GetMessage(), "lease of 30s")
	}},
	{name: "stream_that_is_cancelled_takes_no_parts", play: func(s *scene) {
		st := aStream(s, nil)
		st.accept()
		must[*pb.CancelResponse](st.caller, &pb.CancelRequest{ReplyTo: st.inbox, CorrelationId: "c"})
		st.w.refused(st.down("x"), codes.FailedPrecondition, pb.Reason_REASON_NO_STREAM)
		st.caller.refused(st.up("x"), codes.FailedPrecondition, pb.Reason_REASON_NO_STREAM)
		st.w.refused(&pb.ReplyRequest{Lease: st.held.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE) // and is acked
	}},
	{name: "stream_an_oversized_part_leaves_it_alone", config: server.Config{MaxPayload: 100}, play: func(s *scene) {
		st := aStream(s, nil)
		f := st.w.refused(st.down(strings.Repeat("x", 101)), codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE)
		s.has(f.GetMessage(), "101", "100")
		must[*pb.PartResponse](st.w, st.down("x"))
		st.caller.takes(1, "x")
	}},
	{name: "stream_its_sender_is_told_of_room", play: func(s *scene) {
		st := aStream(s, &pb.QueueOptions{MaxBytes: 8})
		must[*pb.PartResponse](st.w, st.down("12345678"))
		st.caller.takes(1, "12345678")
		must[*pb.PartResponse](st.w, st.down("x"))
		must[*pb.PartResponse](st.w, &pb.PartRequest{Lease: st.held.GetLease(), Ask: true})
		st.caller.takes(2, "x")
		ask := must[*pb.PartResponse](st.w, &pb.PartRequest{Lease: st.held.GetLease(), Ask: true})
		if ask.GetConsumedBytes() != 9 || ask.GetConsumedParts() != 2 || ask.GetPart() != 2 {
			s.Errorf("who asks is answered %v", ask)
		}
		if a, ok := st.w.driver.(*attached); ok {
			for _, want := range []uint64{8, 9} { // a quarter of the window; and what was asked for
				if w := (<-a.notices).GetWindow(); w.GetConsumedBytes() != want || w.GetLease() != st.held.GetLease() {
					s.Errorf("the notice is %v, want %d bytes", w, want)
				}
			}
		}
	}},
}
