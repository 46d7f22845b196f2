package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
)

// Queues that the durable relay reads itself.
const (
	keepQueue  = "keep"  // bodies to store; answered with nothing once that is synced
	countQueue = "count" // answered with how many bodies are stored, 8 bytes, big-endian
)

// countTime is how long counting may take: every body is read.
const countTime = time.Minute

// relayDurablePeer is the limit of gRPC and Pebble together: the relay, but what
// comes in is synced before it goes on or is confirmed. Still no queues, leases,
// acks, duplicates to be found, limits or deadlines.
func relayDurablePeer() *peer {
	return &peer{name: "relay-durable", title: "bare gRPC relay, synced",
		start: func(l launch) (*exec.Cmd, error) {
			return relayCommand(job{Role: "relay-durable", Addr: l.addr, Dir: filepath.Join(l.dir, "data")})
		},
		ask:     relayAsk,
		respond: relayRespond,
		caller:  relayCaller,
		sender:  relaySender,
	}
}

func relaySender(ctx context.Context, addr string) (*sender, error) {
	keep, err := relayCalls(ctx, addr, keepQueue, callTimeout)
	if err != nil {
		return nil, err
	}
	counted, err := relayCalls(ctx, addr, countQueue, countTime)
	if err != nil {
		return nil, err
	}
	return &sender{
		send: func(ctx context.Context, body []byte) error {
			_, err := keep(ctx, body)
			return err
		},
		stored: func(ctx context.Context) (int64, error) {
			n, err := counted(ctx, nil)
			if err != nil {
				return 0, err
			}
			if len(n) != 8 {
				return 0, mismatch("a count of %d bytes", len(n))
			}
			return int64(binary.BigEndian.Uint64(n)), nil
		},
	}, nil
}

// A durableRelay stores before it forwards.
type durableRelay struct {
	relay
	store *relayStore
}

// relayDurableRole is the durable relay's process. A disk that fails ends it.
func relayDurableRole(ctx context.Context, _ *child, j job) error {
	store, err := openRelayStore(j.Dir, relayStoreOptions())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// The committing goroutine ends with ctx; the process does not wait for it.
	go func() { stop(store.committing(ctx)) }()
	r := &durableRelay{relay: relay{links: make(map[string]*link)}, store: store}
	if err := serveRelay(ctx, j.Addr, r.serve); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func (r *durableRelay) serve(s grpc.ServerStream) error {
	own, err := r.enter(s)
	if err != nil {
		return err
	}
	d := &durableStream{durableRelay: r}
	return own.receive(d.take, d.after)
}

// A durableStream is what has come in on a stream with one message.
type durableStream struct {
	*durableRelay
	held     bool     // something waits for a commit
	answered []uint64 // sequences of requests whose replies go out
	out      touched
	replyTo  []byte // memory
}

// take stores a request or a send, and forwards a reply: what asks for no reply is
// one.
func (d *durableStream) take(f frame) error {
	switch {
	case len(f.replyTo) == 0:
		return d.reply(f)
	case string(f.queue) == keepQueue:
		return d.keep(f)
	case string(f.queue) == countQueue:
		return d.count(f)
	default:
		return d.request(f)
	}
}

// request has a request forwarded once it is synced. Its sequence travels with the
// name of the reply's queue, so that nothing has to be remembered here.
func (d *durableStream) request(f frame) error {
	to, err := d.reader(f.queue)
	if err != nil {
		return err
	}
	sequence := d.store.last.Add(1)
	d.replyTo = binary.BigEndian.AppendUint64(append(d.replyTo[:0], f.replyTo...), sequence)
	f.replyTo = d.replyTo
	d.held = true
	return d.store.put(sequence, f.body, to, f)
}

// reply forwards a reply at once.
func (d *durableStream) reply(f frame) error {
	name := len(f.queue) - 8
	if name < 0 {
		return errBadBatch
	}
	d.answered = append(d.answered, binary.BigEndian.Uint64(f.queue[name:]))
	f.queue = f.queue[:name]
	to, err := d.reader(f.queue)
	if err != nil {
		return err
	}
	return d.out.append(to, f)
}

// keep has a send confirmed once it is synced.
func (d *durableStream) keep(f frame) error {
	to, err := d.reader(f.replyTo)
	if err != nil {
		return err
	}
	d.held = true
	return d.store.put(d.store.last.Add(1), f.body, to, frame{queue: f.replyTo, number: f.number})
}

func (d *durableStream) count(f frame) error {
	to, err := d.reader(f.replyTo)
	if err != nil {
		return err
	}
	n, err := d.store.count()
	if err != nil {
		return err
	}
	return d.out.append(to, frame{queue: f.replyTo, number: f.number, body: binary.BigEndian.AppendUint64(nil, n)})
}

// after sends the replies, and then has their requests deleted. Nobody waits for
// that, so it takes no sync of its own.
func (d *durableStream) after() error {
	if d.held {
		d.held = false
		d.store.hurry()
	}
	if err := d.out.flush(); err != nil {
		return err
	}
	err := d.store.delete(d.answered)
	d.answered = d.answered[:0]
	return err
}
