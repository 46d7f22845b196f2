package main

import (
	"context"
	"net"
	"os/exec"

	"github.com/redis/go-redis/v9"
)

// redisConnections is how many connections the pool may open: one for each of 64
// senders that wait, and one to spare.
const redisConnections = 65

// redisPeer is Redis with an append-only file that is synced before each answer.
// A send adds to a stream.
func redisPeer() *peer {
	return &peer{name: "redis", title: "Redis, sync always", program: programRedis,
		start: func(l launch) (*exec.Cmd, error) {
			host, port, err := net.SplitHostPort(l.addr)
			return exec.Command(l.programs.path(programRedis), "--bind", host, "--port", port, "--dir", l.dir, "--save", "",
				"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"), err
		},
		ask: func(ctx context.Context, addr string) error {
			r := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: askTimeout})
			defer func() { _ = r.Close() }() // it has been answered or not
			return r.Ping(ctx).Err()
		},
		sender: redisSender,
	}
}

func redisSender(ctx context.Context, addr string) (*sender, error) {
	r := redis.NewClient(&redis.Options{Addr: addr, PoolSize: redisConnections, MaxRetries: -1,
		ReadTimeout: callTimeout, WriteTimeout: callTimeout})
	return &sender{
		send: func(ctx context.Context, body []byte) error {
			return r.XAdd(ctx, &redis.XAddArgs{Stream: target, Values: []any{"body", body}}).Err()
		},
		stored: func(ctx context.Context) (int64, error) { return r.XLen(ctx, target).Result() },
	}, r.Ping(ctx).Err()
}
