package crash_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
)

const (
	// fillers send at the same time, over fillClients clients. Each sends one
	// message after the other, so that the order of its own is known.
	fillers     = 1024
	fillClients = 4
	// bodySize is the size of each message's body, in bytes, random ones: nothing
	// in it can be compressed.
	bodySize = 1024
	// baseRSS is what the switch may take beside its --memory-budget, in bytes: 512
	// MiB in all with the default of 256.
	baseRSS = 256 << 20
)

// TestMemoryStaysBounded fills one durable queue with many messages, restarts
// the switch, and drains the queue: the memory of the process stays bounded all
// the time, and the messages come out complete and in order.
func TestMemoryStaysBounded(t *testing.T) {
	notUnderRace(t)
	messages := long(10_000_000, 200_000)
	if env := os.Getenv("SWITCH_MESSAGES"); env != "" {
		messages, _ = strconv.Atoi(env)
	}
	budget := long(256<<20, 32<<20)
	d := newDaemon(t, "--memory-budget", fmt.Sprint(budget))
	began := time.Now()
	d.start(t)
	t.Logf("%d messages of %d bytes, a budget of %d MiB; the empty store opens in %v", messages, bodySize, budget>>20, time.Since(began).Round(time.Millisecond))
	w := watchMemory(t, d, budget+baseRSS)
	defer w.stop()

	w.phase("fill")
	began = time.Now()
	fill(t, d, messages)
	t.Logf("filled at %.0f messages/s; the directory has %d MiB", float64(messages)/time.Since(began).Seconds(), diskUse(t, d.dir)>>20)
	w.phase("idle")
	time.Sleep(long(10*time.Second, time.Second)) // only the memory is looked at
	w.phase("closed")
	began = time.Now()
	d.kill(t)
	d.launch(t)
	d.awaitReady(t)
	w.phase("reopened")
	if n := describe(t, d, "backlog").Waiting; n != uint64(messages) {
		t.Errorf("%d messages wait after the restart, want %d", n, messages)
	}
	t.Logf("after SIGKILL, the first answer comes %v after the start", time.Since(began).Round(time.Millisecond))
	w.phase("drain")
	drain(t, d, messages)
	w.phase("drained")
	time.Sleep(long(10*time.Second, time.Second))
	t.Logf("the directory has %d MiB", diskUse(t, d.dir)>>20)
}

// fill sends the messages, spread evenly over the fillers.
func fill(t *testing.T, d *daemon, messages int) {
	t.Helper()
	clients := make([]*client.Client, fillClients)
	for i := range clients {
		clients[i] = d.client(t, fmt.Sprintf("filler-%d", i))
	}
	o := client.QueueOptions{MaxMessages: uint64(messages) + 1, MaxBytes: 1 << 40}
	if _, err := clients[0].Create(t.Context(), "backlog", o); err != nil {
		t.Fatal(err)
	}
	var fill sync.WaitGroup
	for f := range fillers {
		fill.Go(func() {
			body := make([]byte, bodySize)
			for n := range share(messages, f) {
				write(body, f, n)
				if _, err := clients[f%fillClients].Send(t.Context(), "backlog", client.Message{Body: body}); err != nil {
					t.Errorf("send %d of filler %d: %v", n, f, err)
					return
				}
			}
		})
	}
	fill.Wait()
	for _, c := range clients {
		_ = c.Close()
	}
	if t.Failed() {
		t.FailNow()
	}
}

// share is how many of the messages a filler sends.
func share(messages, filler int) int {
	n := messages / fillers
	if filler < messages%fillers {
		n++
	}
	return n
}

// write makes the body of a filler's n-th message.
func write(body []byte, filler, n int) {
	r := rand.NewPCG(uint64(filler), uint64(n))
	binary.BigEndian.PutUint32(body, uint32(filler))
	binary.BigEndian.PutUint32(body[4:], uint32(n))
	for i := 8; i < len(body); i += 8 {
		binary.BigEndian.PutUint64(body[i:], r.Uint64())
	}
}

// drain takes everything, and checks that each filler's messages come in the
// order in which it sent them, and unharmed.
func drain(t *testing.T, d *daemon, messages int) {
	t.Helper()
	c := d.client(t, "drainer")
	began := time.Now()
	var first atomic.Int64
	done := make(chan string, 1)
	next := make([]int, fillers)
	left := messages
	want := make([]byte, bodySize)
	handle := func(m *client.Delivery) {
		if left == messages {
			first.Store(int64(time.Since(began)))
		}
		f, n := int(binary.BigEndian.Uint32(m.Body)), int(binary.BigEndian.Uint32(m.Body[4:]))
		write(want, f, n)
		switch {
		case f >= fillers || next[f] != n:
			finish(done, fmt.Sprintf("message %d of filler %d came when %d was due", n, f, next[f]))
		case !bytes.Equal(m.Body, want):
			finish(done, fmt.Sprintf("message %d of filler %d is not what was sent", n, f))
		}
		next[f]++
		_ = m.Ack()
		if left--; left == 0 {
			finish(done, "")
		}
	}
	sub, err := c.Subscribe(t.Context(), "backlog", client.ConsumeOptions{Credit: 4096}, client.SubscriptionHandler{Deliver: handle})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case why := <-done:
		if why != "" {
			t.Fatal(why)
		}
	case <-time.After(long(30*time.Minute, time.Minute)):
		t.Fatalf("the drain does not end; %+v", describe(t, d, "backlog"))
	}
	took := time.Since(began)
	t.Logf("drained at %.0f messages/s, the first after %v", float64(messages)/took.Seconds(), time.Duration(first.Load()).Round(time.Millisecond))
	if err := sub.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "an empty queue", func() bool { s := describe(t, d, "backlog"); return s.Waiting+s.Leased == 0 })
	_ = c.Close()
}

// finish says how it ended, unless that was said.
func finish(done chan<- string, why string) {
	select {
	case done <- why:
	default:
	}
}

func describe(t *testing.T, d *daemon, queue string) client.QueueSummary {
	t.Helper()
	c := d.client(t, "admin")
	defer c.Close()
	info, err := c.Admin().Describe(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	return info.Summary
}
