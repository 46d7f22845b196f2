package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The stream, its consumer, and the headers that make a request of a message.
const (
	jetstreamName     = "BENCH"
	jetstreamConsumer = "consumer"
	headerReplyTo     = "Reply-To"
	headerCorrelation = "Correlation-Id"
)

// jetstreamStall is how long an asynchronous publish may wait for room.
const jetstreamStall = 10 * time.Second

// jetstreamPeer is NATS JetStream with a work-queue stream, in memory or in a file
// that is synced before each confirmation.
func jetstreamPeer(name string) *peer {
	p := &peer{name: name, title: "JetStream, memory", program: programNATS, ask: natsAsk,
		start:    func(l launch) (*exec.Cmd, error) { return natsCommand(l, true) },
		producer: jetstreamProducer,
		consumer: jetstreamConsume,
	}
	if name == "jetstream-file" {
		p.title = "JetStream, file"
		p.producer, p.consumer = nil, nil
		p.respond, p.caller = jetstreamRespond, jetstreamCaller
	}
	return p
}

// jetstreamPending is how many messages may wait for their acks of publishing.
const jetstreamPending = 1024

func dialJetstream(addr string) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := dialNATS(addr)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(jetstreamPending))
	return nc, js, err
}

// openJetstream makes stream and consumer.
func openJetstream(ctx context.Context, js jetstream.JetStream, storage jetstream.StorageType) (jetstream.Consumer, error) {
	_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: jetstreamName, Subjects: []string{target}, Retention: jetstream.WorkQueuePolicy, Storage: storage})
	if err != nil {
		return nil, fmt.Errorf("make the stream: %w", err)
	}
	return js.CreateOrUpdateConsumer(ctx, jetstreamName, jetstream.ConsumerConfig{
		Durable: jetstreamConsumer, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 5 * pipeCredit})
}

func jetstreamProducer(_ context.Context, addr string) (*producer, error) {
	_, js, err := dialJetstream(addr)
	return &producer{
		workers: 1,
		publish: func(_ context.Context, body []byte) error {
			_, err := js.PublishAsync(target, body, jetstream.WithStallWait(jetstreamStall))
			return err
		},
		flush: func(ctx context.Context) error {
			select {
			case <-js.PublishAsyncComplete():
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, err
}

func jetstreamConsume(ctx context.Context, addr string, on func([]byte)) error {
	_, js, err := dialJetstream(addr)
	if err != nil {
		return err
	}
	c, err := openJetstream(ctx, js, jetstream.MemoryStorage)
	if err != nil {
		return err
	}
	_, err = c.Consume(func(m jetstream.Msg) {
		on(m.Data())
		_ = m.Ack() // without it the message comes twice, which is noticed
	}, jetstream.PullMaxMessages(pipeCredit))
	return err
}

// jetstreamRespond answers on the inbox that the request names, and then acks
// the request.
func jetstreamRespond(ctx context.Context, addr string, ready func()) error {
	nc, js, err := dialJetstream(addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := openJetstream(ctx, js, jetstream.FileStorage)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	consuming, err := c.Consume(func(m jetstream.Msg) {
		if err := jetstreamAnswer(nc, m); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}, jetstream.PullMaxMessages(pipeCredit))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	ready()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func jetstreamAnswer(nc *nats.Conn, m jetstream.Msg) error {
	reply := nats.NewMsg(m.Headers().Get(headerReplyTo))
	reply.Header.Set(headerCorrelation, m.Headers().Get(headerCorrelation))
	reply.Data = m.Data()
	if err := nc.PublishMsg(reply); err != nil {
		return err
	}
	return m.Ack()
}

// jetstreamCaller publishes the request to the stream, waits until that is
// confirmed, and then for the reply on an inbox of NATS core.
func jetstreamCaller(_ context.Context, addr string) (call, error) {
	nc, js, err := dialJetstream(addr)
	if err != nil {
		return nil, err
	}
	inbox := nc.NewInbox()
	var pending correlator
	_, err = nc.Subscribe(inbox, func(m *nats.Msg) {
		if n, err := strconv.ParseUint(m.Header.Get(headerCorrelation), 10, 64); err == nil {
			pending.deliver(n, m.Data)
		}
	})
	return func(ctx context.Context, request []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return pending.call(ctx, func(n uint64) error {
			m := nats.NewMsg(target)
			m.Header.Set(headerReplyTo, inbox)
			m.Header.Set(headerCorrelation, strconv.FormatUint(n, 10))
			m.Data = request
			_, err := js.PublishMsg(ctx, m)
			return err
		})
	}, err
}
