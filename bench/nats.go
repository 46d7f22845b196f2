package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/nats-io/nats.go"
)

// natsConfig is what differs from the server's defaults: room for bodies of a
// MiB and for a pipeline's producer that runs ahead, and for JetStream a sync
// before each confirmation.
const natsConfig = `listen: %q
max_payload: 8MB
max_pending: 2GB
`

const jetstreamConfig = `jetstream { store_dir: %q, sync_interval: always }
`

// natsPeer is NATS core: requests to a queue group, no acks, at most once.
func natsPeer() *peer {
	return &peer{name: "nats", title: "NATS core", program: programNATS,
		start:    func(l launch) (*exec.Cmd, error) { return natsCommand(l, false) },
		ask:      natsAsk,
		respond:  natsRespond,
		caller:   natsCaller,
		producer: natsProducer,
		consumer: natsConsumer,
		queues:   natsQueues,
		client:   natsClient,
	}
}

func natsCommand(l launch, jetstream bool) (*exec.Cmd, error) {
	text := fmt.Sprintf(natsConfig, l.addr)
	if jetstream {
		text += fmt.Sprintf(jetstreamConfig, filepath.Join(l.dir, "data"))
	}
	config := filepath.Join(l.dir, "nats.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(l.programs.path(programNATS), "-c", config), nil
}

func dialNATS(addr string) (*nats.Conn, error) {
	return nats.Connect("nats://"+addr, nats.MaxReconnects(0))
}

func natsAsk(_ context.Context, addr string) error {
	nc, err := nats.Connect("nats://"+addr, nats.Timeout(askTimeout))
	if err != nil {
		return err
	}
	defer nc.Close()
	return nc.FlushTimeout(askTimeout)
}

func natsRespond(ctx context.Context, addr string, ready func()) error {
	nc, err := dialNATS(addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	failed := make(chan error, 1)
	_, err = nc.QueueSubscribe(target, "responders", func(m *nats.Msg) {
		if err := m.Respond(m.Data); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		return err
	}
	ready()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func natsCaller(_ context.Context, addr string) (call, error) {
	nc, err := dialNATS(addr)
	return func(_ context.Context, request []byte) ([]byte, error) {
		m, err := nc.Request(target, request, callTimeout)
		if err != nil {
			return nil, err
		}
		return m.Data, nil
	}, err
}

func natsProducer(_ context.Context, addr string) (*producer, error) {
	nc, err := dialNATS(addr)
	return &producer{
		workers: 1,
		publish: func(_ context.Context, body []byte) error { return nc.Publish(target, body) },
		flush:   func(context.Context) error { return nc.FlushTimeout(drainTime) },
	}, err
}

func natsConsumer(_ context.Context, addr string, on func([]byte)) error {
	nc, err := dialNATS(addr)
	if err != nil {
		return err
	}
	s, err := nc.QueueSubscribe(target, "consumers", func(m *nats.Msg) { on(m.Data) })
	if err != nil {
		return err
	}
	return errors.Join(s.SetPendingLimits(-1, -1), nc.Flush())
}

// natsQueues subscribes: in NATS core a queue is nothing but who listens to it.
func natsQueues(_ context.Context, addr string, count int) error {
	nc, err := dialNATS(addr)
	for n := 0; err == nil && n < count; n++ {
		_, err = nc.QueueSubscribeSync(queueName(n), "responders")
	}
	if err != nil {
		return err
	}
	return nc.Flush()
}

// natsClient connects and listens to an inbox, as a program that calls does.
func natsClient(_ context.Context, addr string) error {
	nc, err := dialNATS(addr)
	if err != nil {
		return err
	}
	if _, err := nc.SubscribeSync(nc.NewInbox()); err != nil {
		return err
	}
	return nc.Flush()
}
