package crash_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

const (
	// churnBody is the size of the bodies, in bytes; all of them together are
	// several times what the directory may have.
	churnBody = 8 << 10
	// mostDisk is what the directory may take once it has settled, whatever came
	// and went, in bytes: logs that are kept to be used again, and tables that are
	// not yet merged.
	mostDisk = 192 << 20
)

// TestTheDirectoryDoesNotGrow has much come and go, while next to nothing stays.
// Neither may the directory grow, nor the time that it takes to open.
func TestTheDirectoryDoesNotGrow(t *testing.T) {
	notUnderRace(t)
	for _, c := range []struct {
		name  string
		churn func(*testing.T, *daemon)
	}{
		{"messages around an old one", churnMessages},
		{"a drained backlog", churnBacklog},
		{"queues", churnQueues},
		{"messages that expire", churnExpired},
		{"dead letters", churnDead},
		{"sessions", churnSessions},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemon(t, "--drain", "100ms") // one lease never ends
			d.start(t)
			peak := watchDisk(t, d.dir)
			began := time.Now()
			c.churn(t, d)
			took, most := time.Since(began), peak()
			began = time.Now()
			awaitSmall(t, d.dir)
			settling, settled := time.Since(began), diskUse(t, d.dir)
			d.terminate(t)
			began = time.Now()
			d.start(t)
			t.Logf("churned for %.1f s; %d MiB at most, %d after %.1f s more; opened again in %v, and then %d MiB",
				took.Seconds(), most>>20, settled>>20, settling.Seconds(), time.Since(began).Round(time.Millisecond), diskUse(t, d.dir)>>20)
		})
	}
}

// watchDisk looks at a directory until its result is asked for: the most that it
// has taken.
func watchDisk(t *testing.T, dir string) (peak func() int64) {
	quit, most := make(chan struct{}), make(chan int64)
	go func() { // until peak
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for high := int64(0); ; {
			select {
			case <-tick.C:
				high = max(high, diskUse(t, dir))
			case <-quit:
				most <- high
				return
			}
		}
	}()
	return func() int64 { close(quit); return <-most }
}

// awaitSmall waits until the directory is small enough.
func awaitSmall(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for over := time.Now().Add(patience); diskUse(t, dir) > mostDisk; <-tick.C {
		if time.Now().After(over) {
			t.Errorf("after %v of rest, the directory still has %d MiB", patience, diskUse(t, dir)>>20)
			return
		}
	}
}

// crowd does something n times, from many goroutines, in no order.
func crowd(t *testing.T, n int, do func(i int)) {
	t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n && !t.Failed(); i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// send sends a message of random bytes that are hard to compress.
func send(t *testing.T, c *client.Client, queue string, i int, m client.Message) {
	m.Body = make([]byte, churnBody)
	write(m.Body, 0, i)
	if _, err := c.Send(t.Context(), queue, m); err != nil {
		t.Errorf("send to %s: %v", queue, err)
	}
}

// consume does something with each delivery of a queue.
func consume(t *testing.T, c *client.Client, queue string, o client.ConsumeOptions, do func(*client.Delivery)) {
	t.Helper()
	o.Create = &client.QueueOptions{}
	if _, err := c.Subscribe(t.Context(), queue, o, client.SubscriptionHandler{Deliver: do}); err != nil {
		t.Fatal(err)
	}
}

func awaitEmpty(t *testing.T, d *daemon, queue string, left uint64) {
	t.Helper()
	eventually(t, "an empty queue "+queue, func() bool { s := describe(t, d, queue); return s.Waiting+s.Leased == left })
}

func churnMessages(t *testing.T, d *daemon) {
	c := d.client(t, "churner")
	var old atomic.Bool
	consume(t, c, "q", client.ConsumeOptions{Credit: 1024, Lease: time.Hour}, func(m *client.Delivery) {
		if old.Swap(true) {
			_ = m.Ack() // all but the first
		}
	})
	crowd(t, long(1_000_000, 80_000), func(i int) { send(t, c, "q", i, client.Message{}) })
	awaitEmpty(t, d, "q", 1)
}

// churnBacklog has everything in the queue before the first is taken.
func churnBacklog(t *testing.T, d *daemon) {
	c := d.client(t, "churner")
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{MaxBytes: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	crowd(t, long(500_000, 40_000), func(i int) { send(t, c, "q", i, client.Message{}) })
	consume(t, c, "q", client.ConsumeOptions{Credit: 1024}, func(m *client.Delivery) { _ = m.Ack() })
	awaitEmpty(t, d, "q", 0)
}

func churnQueues(t *testing.T, d *daemon) {
	c := d.client(t, "churner")
	crowd(t, long(200_000, 15_000), func(i int) {
		q := fmt.Sprintf("q%d", i)
		for j := range 4 {
			send(t, c, q, 4*i+j, client.Message{Create: &client.QueueOptions{}})
		}
		if n, err := c.Destroy(t.Context(), q); err != nil || n != 4 {
			t.Errorf("destroy %s: %d messages, %v", q, n, err)
		}
	})
}

func churnExpired(t *testing.T, d *daemon) {
	c := d.client(t, "churner")
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{MaxBytes: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	crowd(t, long(1_000_000, 80_000), func(i int) { send(t, c, "q", i, client.Message{Timeout: 100 * time.Millisecond}) })
	awaitEmpty(t, d, "q", 0)
}

func churnDead(t *testing.T, d *daemon) {
	c := d.client(t, "churner")
	var dead atomic.Int64
	n := long(500_000, 40_000)
	consume(t, c, "q", client.ConsumeOptions{Credit: 256}, func(m *client.Delivery) {
		go func() { // ends with the verb
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := m.Reject(ctx, "a churn"); err != nil {
				t.Errorf("reject: %v", err)
			}
		}()
	})
	consume(t, c, "q.dead", client.ConsumeOptions{Credit: 1024}, func(m *client.Delivery) {
		dead.Add(1)
		_ = m.Ack()
	})
	crowd(t, n, func(i int) { send(t, c, "q", i, client.Message{}) })
	eventually(t, "the last dead letter", func() bool { return dead.Load() >= int64(n) })
	awaitEmpty(t, d, "q.dead", 0)
}

// churnSessions has sessions with a queue and a consumer of their own that log
// out, or are left to their end.
func churnSessions(t *testing.T, d *daemon) {
	p := newPoller(t, d)
	must(p, p.Create, &pb.CreateRequest{Session: p.token, Queue: "q"})
	crowd(t, long(200_000, 10_000), func(i int) {
		token := must(p, p.Login, &pb.LoginRequest{TtlMs: 1000, GraceMs: 1000, Producer: fmt.Appendf(nil, "%016d", i)}).GetSession()
		q := must(p, p.Create, &pb.CreateRequest{Session: token}).GetQueue()
		must(p, p.Subscribe, &pb.SubscribeRequest{Session: token, Queue: q})
		must(p, p.Send, &pb.SendRequest{Session: token, Queue: q, Body: []byte("mine"), Sequence: 1})
		if i%2 == 0 {
			must(p, p.Logout, &pb.LogoutRequest{Session: token})
		}
	})
}
