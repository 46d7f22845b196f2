package server_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// callFor sends a request for the one that p works on; its correlation id is its
// body.
func (p *party) callFor(parent *pb.Delivery, queue, replyTo, body string) (id string) {
	p.Helper()
	return must[*pb.SendResponse](p, &pb.SendRequest{Queue: queue, ReplyTo: replyTo, CorrelationId: body, Body: []byte(body),
		Parent: parent.GetMessageId()}).GetMessageId()
}

// callTree is a caller, whose call runs at mid, which has called leaf, which runs
// that, and a queue that nobody serves.
func callTree(s *scene) (caller, mid, leaf *party, root, child *pb.Delivery) {
	caller, mid, leaf = s.client("caller"), s.client("mid"), s.client("leaf")
	for _, q := range []string{"mid", "leaf", "nobody"} {
		caller.create(q, nil)
	}
	caller.request("mid", caller.temporary(), "root")
	mid.subscribe("mid", 10)
	root = mid.take()
	replies := mid.temporary()
	mid.callFor(root, "leaf", replies, "child")
	mid.callFor(root, "nobody", replies, "queued")
	leaf.subscribe("leaf", 10)
	return caller, mid, leaf, root, leaf.take()
}

// treeIsOver says that the children of a tree have ended with their root.
func treeIsOver(s *scene, mid, leaf *party, child *pb.Delivery) {
	s.Helper()
	told := map[string]pb.Reason{}
	for range 2 {
		d := mid.take()
		told[d.GetCorrelationId()] = d.GetFailure().GetReason()
		mid.ack(d)
	}
	if told["child"] != pb.Reason_REASON_PARENT_GONE || told["queued"] != pb.Reason_REASON_PARENT_GONE {
		s.Errorf("mid was told %v", told)
	}
	leaf.isCancelled(child)
	if n := s.waiting("nobody"); n != 0 {
		s.Errorf("%d calls wait for nobody", n)
	}
}

// A call ends with the one that it was made for.
var callContracts = []contract{
	{name: "G6_a_cancel_ends_the_tree", play: func(s *scene) {
		caller, mid, leaf, root, child := callTree(s)
		caller.cancelled(root.GetReplyTo(), "root", pb.CancelState_CANCEL_STATE_RUNNING)
		mid.extends(root, root.GetLease())
		treeIsOver(s, mid, leaf, child)
		mid.refused(&pb.SendRequest{Queue: "leaf", ReplyTo: mid.temporary(), CorrelationId: "late", Parent: root.GetMessageId()},
			codes.Canceled, pb.Reason_REASON_PARENT_GONE)
	}},
	{name: "G6_a_callers_end_ends_the_tree", play: func(s *scene) {
		caller, mid, leaf, root, child := callTree(s)
		caller.logout()
		mid.extends(root, root.GetLease())
		treeIsOver(s, mid, leaf, child)
	}},
	{name: "G6_a_rejected_call_takes_its_children_with_it", play: func(s *scene) {
		caller, mid, leaf, root, child := callTree(s)
		mid.reject(root)
		treeIsOver(s, mid, leaf, child)
		caller.isTold("root", codes.Aborted, pb.Reason_REASON_REJECTED)
	}},
	{name: "G6_an_expired_call_takes_its_children_with_it", fake: true, play: func(s *scene) {
		caller, mid, leaf := s.client("caller"), s.client("mid"), s.client("leaf")
		caller.create("mid", nil)
		caller.create("leaf", nil)
		caller.within("mid", caller.temporary(), "root", 40*time.Second)
		mid.subscribe("mid", 1)
		root := mid.take()
		mid.callFor(root, "leaf", mid.temporary(), "child")
		must[*pb.SubscribeResponse](leaf, &pb.SubscribeRequest{Queue: "leaf", LeaseMs: 600_000})
		child := leaf.take()
		s.pass(31 * time.Second) // the lease is over, and it runs again
		mid.getsOne("root", 2)
		leaf.isNotCancelled()
		s.pass(31 * time.Second) // over, and expired
		caller.isTold("root", codes.DeadlineExceeded, pb.Reason_REASON_EXPIRED)
		mid.isTold("child", codes.Canceled, pb.Reason_REASON_PARENT_GONE)
		leaf.isCancelled(child)
	}},
	{name: "G6_an_answered_call_leaves_its_children_alone", play: func(s *scene) {
		caller, mid, leaf, root, child := callTree(s)
		mid.reply(root, "done")
		caller.gets("done")
		leaf.isNotCancelled()
		leaf.reply(child, "too")
		mid.gets("too")
		if n := s.waiting("nobody"); n != 1 {
			s.Errorf("%d calls wait for nobody, want 1", n)
		}
	}},
	{name: "G6_a_parent_that_nobody_knows_is_no_error", play: func(s *scene) {
		_, mid, _, root, _ := callTree(s)
		mid.reply(root, "done")
		mid.callFor(root, "nobody", mid.temporary(), "after")
		mid.callFor(&pb.Delivery{MessageId: "0-1-1"}, "nobody", mid.temporary(), "strange")
	}},
	{name: "G6_an_operator_ends_a_tree", play: func(s *scene) {
		caller, mid, leaf, root, child := callTree(s)
		res := admin(s, pb.AdminServiceClient.CancelCall, &pb.CancelCallRequest{Call: root.GetMessageId()})
		if !res.GetRunning() || res.GetOthers() != 2 || res.GetQueue() != "mid" {
			s.Errorf("the answer is %v", res)
		}
		f := caller.isTold("root", codes.Canceled, pb.Reason_REASON_CALL_CANCELLED)
		s.has(f.GetMessage(), "an operator", "mid")
		mid.extends(root, root.GetLease())
		treeIsOver(s, mid, leaf, child)
		mid.refused(&pb.ReplyRequest{Lease: root.GetLease()}, codes.NotFound, pb.Reason_REASON_REPLY_QUEUE_GONE)
		_, err := pb.NewAdminServiceClient(s.sw.Conn()).CancelCall(s.Context(), &pb.CancelCallRequest{Call: root.GetMessageId()})
		s.isRefusal(refusalOf(err), codes.NotFound, pb.Reason_REASON_MESSAGE_NOT_FOUND)
	}},
	{name: "G6_an_operator_withdraws_what_waits", play: func(s *scene) {
		caller := s.client("caller")
		caller.create("q", nil)
		caller.send("q", "before")
		id := caller.callFor(nil, "q", caller.temporary(), "c")
		res := admin(s, pb.AdminServiceClient.CancelCall, &pb.CancelCallRequest{Call: id})
		if res.GetRunning() || res.GetOthers() != 0 || res.GetQueue() != "q" {
			s.Errorf("the answer is %v", res)
		}
		caller.isTold("c", codes.Canceled, pb.Reason_REASON_CALL_CANCELLED)
		if n := s.waiting("q"); n != 1 {
			s.Errorf("%d messages wait, want 1", n)
		}
	}},
}

// A request says how long it waits until it is begun.
var startContracts = []contract{
	{name: "G6_nobody_begins_in_time", fake: true, play: func(s *scene) {
		p := s.client("p")
		p.create("q", nil)
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", ReplyTo: p.temporary(), CorrelationId: "c", StartMs: 2000, TimeoutMs: 60_000})
		s.pass(1900 * time.Millisecond)
		p.getsNothing()
		s.pass(200 * time.Millisecond)
		p.isTold("c", codes.Unavailable, pb.Reason_REASON_NOT_STARTED)
	}},
	{name: "G6_what_was_begun_in_time_goes_on", fake: true, play: func(s *scene) {
		p, w := s.client("p"), s.client("w")
		p.create("q", nil)
		must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", ReplyTo: p.temporary(), CorrelationId: "c", StartMs: 2000})
		w.subscribe("q", 1)
		d := w.take()
		s.pass(20 * time.Second)
		w.retry(d)
		s.pass(time.Second)
		w.reply(w.take(), "done")
		p.gets("done")
	}},
}

// calls are what the switch lists.
func (s *scene) calls(req *pb.ListCallsRequest) (calls []*pb.CallInfo, more bool) {
	s.Helper()
	stream, err := pb.NewAdminServiceClient(s.sw.Conn()).ListCalls(s.life(), req)
	if err != nil {
		s.Fatal(err)
	}
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return calls, more
		}
		if err != nil {
			s.Fatal(err)
		}
		calls, more = append(calls, res.GetCalls()...), res.GetMore()
	}
}

func callNames(calls []*pb.CallInfo) string {
	var names []string
	for _, c := range calls {
		names = append(names, fmt.Sprintf("%s@%s", strings.ToLower(strings.TrimPrefix(c.GetState().String(), "MESSAGE_STATE_")), c.GetQueue()))
	}
	return strings.Join(names, " ")
}

func TestListCalls(t *testing.T) { overAdmin(t, listCallsCases) }

var listCallsCases = map[string]func(*scene){
	"with all there is to say": func(s *scene) {
		_, mid, _, root, child := callTree(s)
		s.pass(3 * time.Second)
		calls, _ := s.calls(&pb.ListCallsRequest{})
		if got := callNames(calls); got != "leased@leaf leased@mid waiting@nobody" {
			s.Fatalf("the calls are %s", got)
		}
		leaf, top, queued := calls[0], calls[1], calls[2]
		if leaf.GetCall() != child.GetMessageId() || leaf.GetParent() != root.GetMessageId() || leaf.GetServer() != "leaf" || leaf.GetCaller() != "mid" ||
			leaf.GetRunningMs() != 3000 || leaf.GetAgeMs() != 3000 || leaf.GetAttempt() != 1 || leaf.GetMaxAttempts() != 5 || leaf.GetConsumers() != 1 || !leaf.GetServerConnected() {
			s.Errorf("the child is %v", leaf)
		}
		if top.GetChildren() != 2 || top.GetParent() != "" || top.GetCallerState() != pb.CallerState_CALLER_STATE_WAITING {
			s.Errorf("the root is %v", top)
		}
		if queued.GetServer() != "" || queued.GetConsumers() != 0 || queued.GetUnservedMs() != 0 || queued.GetAttempt() != 0 {
			s.Errorf("what waits is %v", queued)
		}
		mid.logout()
		s.pass(time.Second)
		calls, _ = s.calls(&pb.ListCallsRequest{Queue: "mid"})
		if len(calls) != 1 || calls[0].GetUnservedMs() != 1000 {
			s.Errorf("without a server the root is %v", calls)
		}
	},
	"by queue, by prefix, by name, and no more than asked for": func(s *scene) {
		p := s.client("p")
		replies := p.temporary()
		for i := range 6 {
			q := fmt.Sprintf("q%d", i%3)
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: q, Create: &pb.QueueOptions{}, ReplyTo: replies, CorrelationId: fmt.Sprint(i)})
			p.send(q, "no call")
		}
		all, _ := s.calls(&pb.ListCallsRequest{})
		if len(all) != 6 {
			s.Errorf("there are %d calls, want 6", len(all))
		}
		for _, c := range []struct {
			req  *pb.ListCallsRequest
			want int
			more bool
		}{
			{&pb.ListCallsRequest{Queue: "q1"}, 2, false}, {&pb.ListCallsRequest{Queue: "q"}, 0, false}, {&pb.ListCallsRequest{Prefix: "q"}, 6, false},
			{&pb.ListCallsRequest{Prefix: "q2"}, 2, false}, {&pb.ListCallsRequest{Call: all[3].GetCall()}, 1, false},
			{&pb.ListCallsRequest{Limit: 4}, 4, true}, {&pb.ListCallsRequest{Limit: 6}, 6, false},
		} {
			if got, more := s.calls(c.req); len(got) != c.want || more != c.more {
				s.Errorf("%v: %d calls, more: %v; want %d and %v", c.req, len(got), more, c.want, c.more)
			}
		}
	},
	"in a long queue, while it moves": func(s *scene) {
		p, w := s.client("p"), s.client("w")
		replies := p.temporary()
		p.create("q", nil)
		for i := range 2500 {
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", ReplyTo: replies, CorrelationId: fmt.Sprint(i)})
		}
		w.subscribe("q", 5)
		stream, err := pb.NewAdminServiceClient(s.sw.Conn()).ListCalls(s.life(), &pb.ListCallsRequest{})
		if err != nil {
			s.Fatal(err)
		}
		met := map[string]bool{}
		for {
			res, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || len(res.GetCalls()) > 1000 {
				s.Fatalf("%d calls at once, %v", len(res.GetCalls()), err)
			}
			for _, c := range res.GetCalls() {
				if met[c.GetCall()] {
					s.Fatalf("call %v is there twice", c)
				}
				met[c.GetCall()] = true
			}
			w.reply(w.take(), "")
		}
		if len(met) < 2490 {
			s.Errorf("%d calls were found", len(met))
		}
	},
}
