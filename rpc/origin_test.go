package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// A mishap is one way in which a call to queue q fails, and what its error says.
type mishap struct {
	name   string
	ctx    func() (context.Context, context.CancelFunc) // nil: background
	setup  func(w *world)
	during func(w *world) // once the request is in the queue
	opts   []rpc.CallOption
	origin rpc.Origin
	code   codes.Code
	is     error
	text   string
}

var bg = context.Background()

// mishaps are all ways in which a call can fail without anybody's line being cut.
var mishaps = []mishap{
	{name: "context over before",
		ctx: func() (context.Context, context.CancelFunc) {
			ctx, stop := context.WithCancel(bg)
			stop()
			return ctx, stop
		},
		origin: rpc.OriginLocal, code: codes.Canceled, is: context.Canceled, text: "not sent"},
	{name: "deadline",
		ctx:    func() (context.Context, context.CancelFunc) { return context.WithTimeout(bg, 2*time.Second) },
		setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
		origin: rpc.OriginLocal, code: codes.DeadlineExceeded, is: context.DeadlineExceeded, text: "no reply within 2s"},
	{name: "caller closed",
		setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
		during: func(w *world) { w.caller.Close() },
		origin: rpc.OriginLocal, code: codes.Canceled, is: client.ErrClosed},
	{name: "client closed",
		setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
		during: func(w *world) { w.client.Close() },
		origin: rpc.OriginLocal, code: codes.Canceled, is: client.ErrClosed},
	{name: "no queue",
		origin: rpc.OriginSwitch, code: codes.NotFound, is: client.ErrQueueNotFound},
	{name: "no server",
		setup:  func(w *world) { w.create("q", client.QueueOptions{}) },
		opts:   []rpc.CallOption{rpc.RequireServer()},
		origin: rpc.OriginSwitch, code: codes.Unavailable, is: client.ErrNoConsumer},
	{name: "queue full",
		setup: func(w *world) {
			w.create("q", client.QueueOptions{MaxMessages: 1})
			if _, err := w.client.Send(bg, "q", client.Message{}); err != nil {
				w.t.Fatal(err)
			}
		},
		origin: rpc.OriginSwitch, code: codes.ResourceExhausted, is: client.ErrQueueFull},
	{name: "dropped as the oldest",
		setup: func(w *world) {
			w.create("q", client.QueueOptions{MaxMessages: 1, Overflow: client.DropOldest})
		},
		during: func(w *world) {
			if _, err := w.client.Send(bg, "q", client.Message{}); err != nil {
				w.t.Fatal(err)
			}
		},
		origin: rpc.OriginSwitch, code: codes.ResourceExhausted, is: client.ErrDropped},
	{name: "expired in the queue before the caller's own deadline",
		setup:  func(w *world) { w.create("q", client.QueueOptions{MaxAge: time.Second}) },
		origin: rpc.OriginSwitch, code: codes.DeadlineExceeded, is: client.ErrExpired},
	{name: "expired counts as the deadline",
		setup:  func(w *world) { w.create("q", client.QueueOptions{MaxAge: time.Second}) },
		origin: rpc.OriginSwitch, code: codes.DeadlineExceeded, is: context.DeadlineExceeded},
	{name: "purged",
		setup: func(w *world) { w.create("q", client.QueueOptions{}) },
		during: func(w *world) {
			if _, err := w.client.Admin().Purge(bg, "q"); err != nil {
				w.t.Fatal(err)
			}
		},
		origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrPurged},
	{name: "queue destroyed",
		setup: func(w *world) { w.create("q", client.QueueOptions{}) },
		during: func(w *world) {
			if _, err := w.client.Destroy(bg, "q"); err != nil {
				w.t.Fatal(err)
			}
		},
		origin: rpc.OriginSwitch, code: codes.NotFound, is: client.ErrQueueDestroyed},
	{name: "attempts exhausted",
		setup: func(w *world) {
			w.consume("q", client.QueueOptions{MaxAttempts: 3}, func(d *client.Delivery) error {
				return d.Retry(bg, time.Second, "no luck")
			})
		},
		origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrAttemptsExhausted},
	{name: "rejected",
		setup: func(w *world) {
			w.consume("q", client.QueueOptions{}, func(d *client.Delivery) error { return d.Reject(bg, "poison") })
		},
		origin: rpc.OriginSwitch, code: codes.Aborted, is: client.ErrRejected, text: "poison"},
	{name: "handler's status",
		setup: func(w *world) {
			w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) {
				return nil, status.Error(codes.PermissionDenied, "not you")
			})
		},
		origin: rpc.OriginHandler, code: codes.PermissionDenied, text: "not you"},
	{name: "handler's plain error",
		setup: func(w *world) {
			w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { return nil, errors.New("disk on fire") })
		},
		origin: rpc.OriginHandler, code: codes.Unknown, text: "disk on fire"},
	{name: "handler's panic",
		setup: func(w *world) {
			w.serve("q", func(context.Context, *rpc.Request) ([]byte, error) { panic("secret") })
		},
		origin: rpc.OriginHandler, code: codes.Internal, text: "panicked"},
}

func TestErrorsSayWhoSpoke(t *testing.T) {
	for _, c := range mishaps {
		t.Run(c.name, func(t *testing.T) {
			fake(t, func(t *testing.T, w *world) {
				if c.setup != nil {
					c.setup(w)
				}
				ctx := bg
				if c.ctx != nil {
					var stop context.CancelFunc
					ctx, stop = c.ctx()
					defer stop()
				}
				call := w.call(ctx, "q", "body", c.opts...)
				if c.during != nil {
					w.await(func() bool { return w.describe("q").Summary.Waiting > 0 })
					c.during(w)
				}
				wantError(t, (<-call).err, c.origin, c.code, c.is, c.text)
			})
		})
	}
}

// wantError checks all that an error of a call has to say.
func wantError(t *testing.T, err error, origin rpc.Origin, code codes.Code, is error, text string) {
	t.Helper()
	var e *rpc.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *rpc.Error", err)
	}
	if e.Origin != origin || status.Code(err) != code || e.Queue != "q" {
		t.Errorf("%v: origin %v, code %v, queue %q; want %v, %v", err, e.Origin, status.Code(err), e.Queue, origin, code)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v: errors.Is does not find %v", err, is)
	}
	for _, part := range []string{`"q"`, origin.String(), text} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// consume consumes the queue with f, one delivery at a time, until the test ends.
func (w *world) consume(queue string, o client.QueueOptions, f func(*client.Delivery) error) {
	w.t.Helper()
	c, _ := w.dial("consumer")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // the consumer; the cleanup waits for it
		defer close(done)
		for d, err := range c.Consume(ctx, queue, client.ConsumeOptions{Credit: 1, Create: &o}) {
			if err == nil {
				err = f(d)
			}
			if err != nil {
				w.t.Errorf("consuming %s: %v", queue, err)
				return
			}
		}
	}()
	w.t.Cleanup(func() { stop(); <-done })
	w.await(func() bool { return w.describe(queue).Summary.Consumers > 0 })
}
