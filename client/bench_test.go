package client_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
)

// BenchmarkSend has messages of 1 KiB sent, each waiting for its receipt, and
// consumed and acked by another client: two clients, their streams and the
// switch, in one process.
func BenchmarkSend(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) { benchmarkSends(b, senders) })
	}
}

func benchmarkSends(b *testing.B, senders int) {
	sw := server.New(server.Config{})
	defer sw.Close()
	clients := make([]*client.Client, 2)
	for i := range clients {
		c, err := client.New(client.Config{Conn: sw.InProcess()})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
	}
	ctx := context.Background()
	var left atomic.Int64
	left.Store(int64(b.N))
	acked := make(chan struct{})
	_, err := clients[1].Subscribe(ctx, "q", client.ConsumeOptions{Credit: 1024, Create: &client.QueueOptions{}}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) {
			if err := d.Ack(); err != nil {
				b.Error(err)
			}
			if left.Add(-1) == 0 {
				close(acked)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 1024)
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	for range senders {
		go func() { // ends with the last message, which the benchmark waits for
			for next.Add(1) <= int64(b.N) {
				if _, err := clients[0].Send(ctx, "q", client.Message{Body: body}); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	<-acked
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
