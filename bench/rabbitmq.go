package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbitmqPeer is RabbitMQ with a quorum queue of one node and publisher
// confirms.
func rabbitmqPeer() *peer {
	return &peer{name: "rabbitmq", title: "RabbitMQ, quorum queue", program: programRabbitMQ, process: "beam.smp",
		start: rabbitmqCommand,
		ask: func(_ context.Context, addr string) error {
			c, err := dialRabbitMQ(addr)
			if err != nil {
				return err
			}
			return c.Close()
		},
		sender: rabbitmqSender,
	}
}

// rabbitmqCommand is this binary as a guard: the server is a tree of processes,
// one of which leaves it.
func rabbitmqCommand(l launch) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told, err := jobText(job{Role: "guard", Addr: l.addr, Dir: l.dir, Program: l.programs.path(programRabbitMQ)})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), told)
	// No Pdeathsig: the guard outlives this process by as long as it takes to end
	// the server. It notices by the end of its input.
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	return cmd, nil
}

func dialRabbitMQ(addr string) (*amqp.Connection, error) {
	return amqp.Dial("amqp://guest:guest@" + addr + "/")
}

// rabbitmqSender gives each send that is under way a channel of its own, on one
// connection: a channel's confirms come in order.
func rabbitmqSender(ctx context.Context, addr string) (*sender, error) {
	c, err := dialRabbitMQ(addr)
	if err != nil {
		return nil, err
	}
	first, err := c.Channel()
	if err != nil {
		return nil, err
	}
	if _, err := first.QueueDeclare(target, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return nil, fmt.Errorf("declare the queue: %w", err)
	}
	channels := rabbitmqChannels{conn: c}
	return &sender{
		send: channels.send,
		stored: func(context.Context) (int64, error) {
			q, err := first.QueueDeclarePassive(target, true, false, false, false, nil)
			return int64(q.Messages), err
		},
	}, ctx.Err()
}

// rabbitmqChannels are the channels of one connection that nobody uses now.
type rabbitmqChannels struct {
	conn *amqp.Connection
	mu   sync.Mutex
	idle []*amqp.Channel // guarded by mu
}

func (r *rabbitmqChannels) send(ctx context.Context, body []byte) error {
	ch, err := r.take()
	if err != nil {
		return err
	}
	confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", target, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	confirmed, err := confirm.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !confirmed {
		return errors.New("the message was refused")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, ch)
	return nil
}

func (r *rabbitmqChannels) take() (*amqp.Channel, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.idle) - 1; last >= 0 {
		ch := r.idle[last]
		r.idle = r.idle[:last]
		return ch, nil
	}
	ch, err := r.conn.Channel()
	if err != nil {
		return nil, err
	}
	return ch, ch.Confirm(false)
}

// rabbitmqEnvironment keeps everything in a directory and on loopback, apart from
// a RabbitMQ that the machine may have.
func rabbitmqEnvironment(dir, addr, epmdPort string) ([]string, error) {
	for name, text := range map[string]string{
		"rabbitmq.conf":   "listeners.tcp.1 = " + addr + "\n",
		"enabled_plugins": "[].\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return append(os.Environ(),
		"HOME="+dir,
		"RABBITMQ_NODENAME=bench"+epmdPort+"@localhost",
		"RABBITMQ_MNESIA_BASE="+dir,
		"RABBITMQ_LOG_BASE="+dir,
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		epmdVariable+"="+epmdPort,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
	), nil
}
