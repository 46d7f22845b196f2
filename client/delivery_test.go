package client_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/d3b0a776/switch/client"
)

func TestDeliveryHasEverything(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		m := client.Message{
			Body:          []byte("body"),
			Headers:       map[string]string{"traceparent": "00-1", "empty": ""},
			CorrelationID: "id",
			ReplyTo:       "replies",
			Timeout:       time.Hour,
		}
		w.create("replies")
		receipt, err := w.c.Send(t.Context(), "q", m)
		if err != nil || receipt.Duplicate || receipt.Durability != client.Memory {
			t.Fatalf("%+v, %v", receipt, err)
		}
		sent := time.Now()
		time.Sleep(time.Minute)
		d := w.subscribe(w.c, "q", client.ConsumeOptions{Lease: time.Second}).next(t)
		if d.MessageID != receipt.MessageID || d.Queue != "q" || string(d.Body) != "body" || !maps.Equal(d.Headers, m.Headers) ||
			d.CorrelationID != "id" || d.ReplyTo != "replies" || d.Attempt != 1 || d.Failure != nil || d.Lease() == 0 {
			t.Errorf("got %+v", d)
		}
		if !d.Sent().Equal(sent) || !d.Expires().Equal(sent.Add(time.Hour)) || !d.LeaseUntil().Equal(time.Now().Add(time.Second)) {
			t.Errorf("sent %v, expires %v, lease until %v", d.Sent(), d.Expires(), d.LeaseUntil())
		}
		if err := d.Extend(t.Context(), time.Hour); err != nil {
			t.Error(err)
		}
		time.Sleep(30 * time.Minute)
		if err := d.Reply([]byte("hello"), nil); err != nil {
			t.Error(err)
		}
		if r := w.subscribe(w.c, "replies", client.ConsumeOptions{}).next(t); string(r.Body) != "hello" || r.CorrelationID != "id" || !r.Expires().IsZero() {
			t.Errorf("reply %+v", r)
		}
	})
}

func TestVerbsOfADelivery(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{})
		w.send("q", "body")
		d := got.next(t)
		if err := d.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d = got.next(t); d.Attempt != 1 {
			t.Errorf("attempt %d after a release", d.Attempt)
		}
		began := time.Now()
		if err := d.Retry(t.Context(), 30*time.Second, "busy"); err != nil {
			t.Fatal(err)
		}
		again := got.next(t)
		if took := time.Since(began); again.Attempt != 2 || took != 30*time.Second {
			t.Errorf("attempt %d, after %v", again.Attempt, took)
		}
		wantError(t, d.AckWait(t.Context()), client.ErrLeaseGone, codes.FailedPrecondition)
		wantError(t, d.Extend(t.Context(), 0), client.ErrLeaseGone, codes.FailedPrecondition)
		wantError(t, again.Reply(nil, nil), client.ErrNoReplyTo, codes.FailedPrecondition)
		if err := again.Reject(t.Context(), "no use"); err != nil {
			t.Fatal(err)
		}
		dead := w.subscribe(w.c, "q.dead", client.ConsumeOptions{}).next(t)
		if string(dead.Body) != "body" || len(dead.Headers) == 0 {
			t.Errorf("dead letter %+v", dead)
		}
		if err := dead.AckWait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReplyToACallerWhoIsGone(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		x := w.caller()
		x.request("q")
		worker, _ := w.dial(client.Config{})
		d := w.subscribe(worker, "q", client.ConsumeOptions{}).next(t)
		if err := w.c.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, d.ReplyWait(t.Context(), nil, nil), client.ErrReplyQueueGone, codes.NotFound)
	})
}

func TestFailureTravels(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		got := make(chan *client.Failure, 1)
		inbox, err := w.c.OpenInbox()
		if err != nil {
			t.Fatal(err)
		}
		pending := pendingFuncs{"1", func(_ string, r client.Reply) { got <- r.Failure }, func(_ string, err error) { t.Error(err) }}
		if err := inbox.Request(t.Context(), "q", client.Message{CorrelationID: "1"}, pending); err != nil {
			t.Fatal(err)
		}
		detail, err := anypb.New(durationpb.New(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		d := w.subscribe(w.c, "q", client.ConsumeOptions{}).next(t)
		err = d.ReplyFailure(client.Failure{Code: codes.NotFound, Message: "no such order", RetryAfter: time.Minute,
			Metadata: map[string]string{"order": "7"}, Details: []*anypb.Any{detail}})
		if err != nil {
			t.Fatal(err)
		}
		f := <-got
		st := status.Convert(f)
		if f == nil || st.Code() != codes.NotFound || st.Message() != "no such order" || len(st.Details()) != 1 ||
			f.Metadata["order"] != "7" || f.RetryAfter != time.Minute || f.Reason != "" {
			t.Errorf("got %+v", f)
		}
	})
}

// TestWhatWouldSpoilTheStream is refused before it is sent: the switch could not
// tell it from what is sent along with it.
func TestWhatWouldSpoilTheStream(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		send := func(queue string, m client.Message) error {
			_, err := w.c.Send(t.Context(), queue, m)
			return err
		}
		tooMany := map[string]string{}
		for i := range 65 {
			tooMany[strings.Repeat("k", i+1)] = ""
		}
		for what, err := range map[string]error{
			"queue":            send("\xff", client.Message{}),
			"no queue":         send("", client.Message{}),
			"correlation id":   send("q", client.Message{CorrelationID: "\xff"}),
			"header":           send("q", client.Message{Headers: map[string]string{"k": "\xff"}}),
			"header name":      send("q", client.Message{Headers: map[string]string{"switch-k": ""}}),
			"headers":          send("q", client.Message{Headers: tooMany}),
			"large headers":    send("q", client.Message{Headers: map[string]string{"k": strings.Repeat("v", 1<<14)}}),
			"half a key":       send("q", client.Message{Sequence: 1}),
			"timeout":          send("q", client.Message{Timeout: -1}),
			"attempts":         send("q", client.Message{MaxAttempts: -1}),
			"dead letters":     send("q", client.Message{Create: &client.QueueOptions{DeadLetterQueue: "\xff"}}),
			"a name to create": func() error { _, err := w.c.Create(t.Context(), "\xff", client.QueueOptions{}); return err }(),
		} {
			if !isInvalid(err) {
				t.Errorf("%s: got %v", what, err)
			}
		}
		wantError(t, send("q", client.Message{Body: make([]byte, 1<<20+1)}), client.ErrPayloadTooLarge, codes.InvalidArgument)
		if err := send("q", client.Message{Body: make([]byte, 1<<20), CorrelationID: "1", ReplyTo: "q"}); err != nil {
			t.Error(err)
		}
		d := w.subscribe(w.c, "q", client.ConsumeOptions{}).next(t)
		if !bytes.Equal(d.Body, make([]byte, 1<<20)) {
			t.Error("the largest body was mangled")
		}
		for _, err := range []error{d.Reply(make([]byte, 1<<20+1), nil), d.ReplyWait(t.Context(), make([]byte, 1<<20+1), nil)} {
			wantError(t, err, client.ErrPayloadTooLarge, codes.InvalidArgument)
		}
		if err := d.Reply(nil, map[string]string{"": ""}); !isInvalid(err) {
			t.Errorf("reply header: %v", err)
		}
		if n := len(w.line.streams); n != 1 {
			t.Errorf("%d streams: one was spoilt", n)
		}
	})
}

func isInvalid(err error) bool { return client.ReasonOf(err) == "INVALID" }

// TestFirstSendIsLarge does not know yet what the switch takes.
func TestFirstSendIsLarge(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		_, err := w.c.Send(t.Context(), "q", client.Message{Body: make([]byte, 60<<20)})
		wantError(t, err, client.ErrPayloadTooLarge, codes.InvalidArgument)
	})
}

// TestAcksTravelTogether acks in a loop, as most programs do.
func TestAcksTravelTogether(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q")
		got := w.subscribe(w.c, "q", client.ConsumeOptions{Credit: 10})
		for range 100 {
			w.send("q", "")
			if err := got.next(t).Ack(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if d := w.describe("q"); d.Counters.Acked != 100 || d.Counters.Delivered != 100 {
			t.Errorf("%+v", d.Counters)
		}
	})
}
