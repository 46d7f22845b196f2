package grpcqueue_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// named serves a queue until the test ends, with a handler that answers UnaryCall
// with a name.
func (w *world) named(queue, name string, opts ...rpc.ServeOption) {
	w.Helper()
	body, err := proto.Marshal(&testpb.SimpleResponse{Username: name})
	if err != nil {
		w.Fatal(err)
	}
	w.rawly(queue, string(body), opts...)
}

// rawly serves a queue until the test ends, and answers everything with one body.
func (w *world) rawly(queue, body string, opts ...rpc.ServeOption) {
	w.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c := w.dial(queue)
	go func() { // the cleanup waits for it
		done <- rpc.Serve(ctx, c, queue, func(_ context.Context, req *rpc.Request) ([]byte, error) {
			w.seen = req.Headers
			return []byte(body), nil
		}, opts...)
	}()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	synctest.Wait()
}

// A call goes where its metadata says, else to who says that he is the service, else
// to the queue of the service's name.
func TestRouting(t *testing.T) {
	fake(t, func(w *world) {
		c := testpb.NewTestServiceClient(w.sw.Conn())
		asks := func(ctx context.Context) (string, error) {
			res, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
			time.Sleep(2 * time.Second) // so that the next call does not go by what was known
			return res.GetUsername(), err
		}
		_, err := asks(w.ctx())
		w.want(err, codes.Unimplemented, "", "QUEUE_NOT_FOUND")
		for _, looked := range []string{testService, "says that he serves it", "queue of that name", "switch-queue"} {
			if !strings.Contains(status.Convert(err).Message(), looked) {
				t.Errorf("%v does not say %q", err, looked)
			}
		}
		w.named("another", "a longer name", rpc.Describe(client.ServiceInfo{Name: testService + "Two"}))
		w.named(testService, "by name")
		if got, err := asks(w.ctx()); err != nil || got != "by name" {
			t.Errorf("got %q (%v)", got, err)
		}
		w.named("elsewhere", "described", rpc.Describe(client.ServiceInfo{Name: testService}))
		if got, err := asks(w.ctx()); err != nil || got != "described" {
			t.Errorf("got %q (%v)", got, err)
		}
		w.named("third", "by metadata")
		if got, err := asks(metadata.AppendToOutgoingContext(w.ctx(), "switch-queue", "third")); err != nil || got != "by metadata" {
			t.Errorf("got %q (%v)", got, err)
		}
		if want := map[string]string{"grpc-method": "/grpc.testing.TestService/UnaryCall"}; !maps.Equal(w.seen, want) {
			t.Errorf("the server sees the headers %q, want %q", w.seen, want)
		}
		_, err = asks(metadata.AppendToOutgoingContext(w.ctx(), "switch-queue", "nowhere"))
		w.want(err, codes.Unimplemented, "", "QUEUE_NOT_FOUND")
		if text := status.Convert(err).Message(); !strings.Contains(text, "nowhere, which the metadata switch-queue names") {
			t.Error(text)
		}
		_, err = asks(metadata.AppendToOutgoingContext(w.ctx(), "switch-queue", "tmp.somebodys"))
		w.want(err, codes.Unimplemented, "", "QUEUE_NOT_FOUND")
	})
}

// Who knows nothing of parts serves unary methods, from whatever client: the message
// is in the request. A call that streams he can tell.
func TestPlainResponder(t *testing.T) {
	fake(t, func(w *world) {
		queue := w.dial("plain")
		if _, err := queue.Create(w.ctx(), testService, client.QueueOptions{}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { // the responder; waited for below
			defer close(done)
			for d, err := range queue.Consume(ctx, testService, client.ConsumeOptions{}) {
				var req testpb.SimpleRequest
				switch {
				case err != nil:
					return
				case d.Headers["grpc-body"] == "none":
					_ = d.ReplyFailure(client.Failure{Code: codes.Unimplemented, Message: "no streams here"})
				case d.Headers["grpc-method"] == "/grpc.testing.TestService/UnaryCall" && proto.Unmarshal(d.Body, &req) == nil:
					body, _ := proto.Marshal(&testpb.SimpleResponse{Username: "got " + string(req.GetPayload().GetBody())})
					_ = d.Reply(body, map[string]string{"color": "red", ";late": "yes", "note": "two\nlines"})
				}
			}
		}()
		c := testpb.NewTestServiceClient(w.sw.Conn())
		for _, body := range []string{"", "one", string(make([]byte, 300_000))} {
			res, err := c.UnaryCall(w.ctx(), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(body)}})
			if err != nil || res.GetUsername() != "got "+body {
				t.Errorf("%d bytes: %v", len(body), err)
			}
		}
		st, err := c.FullDuplexCall(w.ctx())
		if err != nil {
			t.Fatal(err)
		}
		_, err = st.Recv()
		w.want(err, codes.Unimplemented, "no streams here", "")
		stop()
		<-done
	})
}

// A queue that nobody serves takes half of the gateway's streams and no more: calls that
// wait there for ever do not keep others out.
func TestDeadQueueKeepsNobodyOut(t *testing.T) {
	fake(t, func(w *world) {
		if _, err := w.dial("dead").Create(w.ctx(), "dead", client.QueueOptions{}); err != nil {
			t.Fatal(err)
		}
		w.named("alive", "answered")
		c := testpb.NewTestServiceClient(w.sw.Conn())
		waiting, stop := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "switch-queue", "dead"))
		var calls sync.WaitGroup
		refused := make(chan error, 1030)
		for range cap(refused) {
			calls.Go(func() { // ends with waiting
				if _, err := c.UnaryCall(waiting, &testpb.SimpleRequest{}); status.Code(err) != codes.Canceled {
					refused <- err
				}
			})
		}
		time.Sleep(time.Second) // all have been sent, or refused
		res, err := c.UnaryCall(metadata.AppendToOutgoingContext(w.ctx(), "switch-queue", "alive"), &testpb.SimpleRequest{})
		if err != nil || res.GetUsername() != "answered" {
			t.Errorf("a call to another queue: %v", err)
		}
		if len(refused) != 530 {
			t.Fatalf("%d of 1030 calls are refused, want 530", len(refused))
		}
		w.want(<-refused, codes.ResourceExhausted, "500 streams to queue dead are in flight through this gateway, and of its 1000 only 500 are free:"+
			" a queue may have as many as are free; retry later", "")
		stop()
		calls.Wait()
	})
}

// Calls of methods that are known to be unary share one reply queue.
func TestUnaryCallsShareAReplyQueue(t *testing.T) {
	fake(t, func(w *world) {
		w.serve()
		c := testpb.NewTestServiceClient(w.sw.Conn())
		waiting, stop := context.WithCancel(context.Background())
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() { _, _ = c.UnaryCall(waiting, &testpb.SimpleRequest{FillUsername: true}) }) // waits until stop
		}
		synctest.Wait()
		n := 0
		for _, err := range w.dial("admin").Admin().List(w.ctx(), client.ListQuery{Temporary: true, Prefix: "tmp."}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("3 unary calls take %d reply queues, want 1", n)
		}
		stop()
		calls.Wait()
	})
}

// Before it is started a gateway says so.
func TestGatewayNotStarted(t *testing.T) {
	g := &grpcqueue.Gateway{}
	if err := g.Handle(nil, nil); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	g.Close()
}
