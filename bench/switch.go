package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// callTimeout is the deadline of each call, on every system that has them.
const callTimeout = 5 * time.Second

// askTimeout is how long one attempt may take to ask a broker that is coming up.
const askTimeout = 2 * time.Second

// switchPeer is the switch as released, driven by its public library.
func switchPeer(name string, durable bool) *peer {
	p := &peer{name: name, title: "switch", program: programSwitch,
		ask:      switchAsk,
		caller:   switchCaller,
		producer: switchProducer,
		consumer: switchConsumer,
		queues:   switchQueues,
		client: func(ctx context.Context, addr string) error {
			_, err := dialSwitch(ctx, addr)
			return err
		},
	}
	p.respond = func(ctx context.Context, addr string, ready func()) error {
		options := client.QueueOptions{Durability: client.Memory}
		if durable {
			options.Durability = client.Durable
		}
		return switchRespond(ctx, addr, options, ready)
	}
	p.start = func(l launch) (*exec.Cmd, error) {
		args := []string{"serve", "--listen", l.addr, "--log-level", "error"}
		if durable {
			args = append(args, "--data-dir", filepath.Join(l.dir, "data"))
		}
		return exec.Command(l.programs.path(programSwitch), args...), nil
	}
	if durable {
		p.title = "switch, durable"
		p.sender = switchSender
	}
	return p
}

// dialSwitch is a client that is logged in.
func dialSwitch(ctx context.Context, addr string) (*client.Client, error) {
	c, err := client.New(client.Config{Addr: addr, Name: "bench"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// switchAsk asks as soon as somebody listens: gRPC would wait for a second after
// the first refusal.
func switchAsk(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return err
	}
	_, err = c.Admin().Diagnostics(ctx, 0)
	return errors.Join(err, c.Close())
}

func switchRespond(ctx context.Context, addr string, options client.QueueOptions, ready func()) error {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return err
	}
	if _, err := c.Create(ctx, target, options); err != nil {
		return err
	}
	ready()
	return rpc.Serve(ctx, c, target, func(_ context.Context, r *rpc.Request) ([]byte, error) { return r.Body, nil })
}

func switchCaller(ctx context.Context, addr string) (call, error) {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return nil, err
	}
	caller := rpc.NewCaller(c)
	return func(ctx context.Context, request []byte) ([]byte, error) {
		return caller.Call(ctx, target, request, rpc.Timeout(callTimeout))
	}, nil
}

// roomy is a queue that a load can't fill.
var roomy = client.QueueOptions{MaxMessages: 100_000_000, MaxBytes: 100 << 30}

// switchSend sends a message and looks at the receipt. It has no deadline of its
// own: nor have those of the peers, but for what their sockets do.
func switchSend(ctx context.Context, c *client.Client, queue string, body []byte, want client.Durability) error {
	r, err := c.Send(ctx, queue, client.Message{Body: body})
	if err != nil {
		return err
	}
	if r.Durability != want || r.Duplicate {
		return mismatch("the receipt says %v, duplicate %v", r.Durability, r.Duplicate)
	}
	return nil
}

func switchSender(ctx context.Context, addr string) (*sender, error) {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Create(ctx, target, roomy); err != nil {
		return nil, err
	}
	return &sender{
		send: func(ctx context.Context, body []byte) error {
			return switchSend(ctx, c, target, body, client.Durable)
		},
		stored: func(ctx context.Context) (int64, error) { return switchMessages(ctx, c) },
	}, nil
}

// switchMessages counts the messages in the target, leased ones among them.
func switchMessages(ctx context.Context, c *client.Client) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for q, err := range c.Admin().List(ctx, client.ListQuery{Prefix: target}) {
		if err != nil || q.Queue == target {
			return int64(q.Waiting + q.Leased), err
		}
	}
	return 0, fmt.Errorf("queue %q is not listed", target)
}

func switchProducer(ctx context.Context, addr string) (*producer, error) {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return nil, err
	}
	var underWay atomic.Int64
	var failed atomic.Pointer[error]
	told := func(err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
		underWay.Add(-1)
	}
	return &producer{
		workers: 1,
		publish: func(ctx context.Context, body []byte) error {
			underWay.Add(1)
			return c.SendAsync(ctx, target, client.Message{Body: body}, told)
		},
		flush: func(ctx context.Context) error {
			err := await(ctx, drainTime, func() bool { return underWay.Load() == 0 })
			if first := failed.Load(); first != nil {
				err = errors.Join(err, *first)
			}
			return err
		},
	}, nil
}

// pipeCredit is how many messages a consumer that acks may hold, on every system.
const pipeCredit = 2000

func switchConsumer(ctx context.Context, addr string, on func([]byte)) error {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return err
	}
	options := client.ConsumeOptions{Credit: pipeCredit, Create: &roomy}
	_, err = c.Subscribe(ctx, target, options, client.SubscriptionHandler{Deliver: func(d *client.Delivery) {
		on(d.Body)
		_ = d.Ack() // it fails only when the session is lost, and then messages come twice
	}})
	return err
}

// makers is how many queues are being made at a time.
const makers = 64

func switchQueues(ctx context.Context, addr string, count int) error {
	c, err := dialSwitch(ctx, addr)
	if err != nil {
		return err
	}
	return spread(ctx, makers, count, func(ctx context.Context, n int) error {
		_, err := c.Create(ctx, queueName(n), client.QueueOptions{})
		return err
	})
}

// queueName is that of an empty queue.
func queueName(n int) string { return fmt.Sprintf("queue.%06d", n) }
