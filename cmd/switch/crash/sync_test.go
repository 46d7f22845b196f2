package crash_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/d3b0a776/switch/client"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// watched are the system calls that tell when something reaches the disk, and
// when something leaves by a socket.
const watched = "trace=fdatasync,fsync,sync_file_range,write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg"

// TestNothingLeavesBeforeItsSync looks at the system calls: neither the answer to
// a durable Send nor the message's delivery is written to a socket before the
// sync returned that covers the message in the store's log. It has single Sends
// and many at a time, on streams and unary.
func TestNothingLeavesBeforeItsSync(t *testing.T) {
	d := newDaemon(t)
	log := d.traced(t, "--seccomp-bpf", "-e", watched)
	d.start(t)
	c := d.client(t, "producer")
	if _, err := c.Create(t.Context(), "q", client.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	marks := make([]string, 500)
	for i := range marks {
		marks[i] = fmt.Sprintf("<mark %d>", i)
	}
	sub, err := d.client(t, "consumer").Subscribe(t.Context(), "q", client.ConsumeOptions{}, client.SubscriptionHandler{
		Deliver: func(d *client.Delivery) { _ = d.Ack() },
	})
	if err != nil {
		t.Fatal(err)
	}
	streamed := func(body []byte) (string, error) {
		r, err := c.Send(t.Context(), "q", client.Message{Body: body})
		return r.MessageID, err
	}
	p := newPoller(t, d)
	unary := func(body []byte) (string, error) {
		r, err := p.Send(t.Context(), &pb.SendRequest{Session: p.token, Queue: "q", Body: body})
		return r.GetMessageId(), err
	}
	ids := sendMarked(t, marks[:100], 1, streamed)
	ids = append(ids, sendMarked(t, marks[100:300], 16, streamed)...)
	ids = append(ids, sendMarked(t, marks[300:350], 1, unary)...)
	ids = append(ids, sendMarked(t, marks[350:], 16, unary)...)
	if err := sub.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var took []span
	for i := range 20 {
		took = append(took, ackOne(t, c, i))
	}
	_ = c.Close()
	d.terminate(t)

	calls, _ := readTrace(t, log)
	delivered := 0
	for i, id := range ids {
		m := coverOf(calls, marks[i])
		switch answer := firstWrite(calls, idPattern(id)); {
		case m.synced < 0:
			t.Fatalf("message %s: no sync covers it (it is in the log's line %d)", id, m.logged)
		case answer < 0:
			t.Fatalf("message %s: there is no answer with its id", id)
		case answer < m.synced:
			t.Errorf("message %s: its answer left in line %d of the trace, its sync returned in line %d", id, answer, m.synced)
		}
		if m.delivered >= 0 {
			delivered++
			if m.delivered < m.synced {
				t.Errorf("message %s: it was delivered in line %d, and synced in line %d", id, m.delivered, m.synced)
			}
		}
	}
	for _, s := range took {
		if !slices.ContainsFunc(calls, func(c *tracedCall) bool {
			return c.syncs() && c.onLog() && c.done && !c.began.Before(s.from) && c.began.Before(s.to)
		}) {
			t.Errorf("an ack that waits was answered after %v, and nothing was synced meanwhile", s.to.Sub(s.from))
		}
	}
	syncs := 0
	for _, c := range calls {
		if c.syncs() && c.onLog() {
			syncs++
		}
	}
	t.Logf("%d messages, %d of them delivered, %d acks that wait; %d syncs of the log; %d system calls", len(ids), delivered, len(took), syncs, len(calls))
	if delivered < len(ids)/2 {
		t.Errorf("only %d of %d deliveries were seen", delivered, len(ids))
	}
}

// A span is the time of something that the test did.
type span struct{ from, to time.Time }

// sendMarked sends messages, so many at a time, and returns their ids. Each has
// a mark that is in no other, twice, as the log's blocks may cut one of them.
func sendMarked(t *testing.T, marks []string, atATime int, send func(body []byte) (id string, err error)) []string {
	t.Helper()
	ids := make([]string, len(marks))
	next := make(chan int)
	var senders sync.WaitGroup
	for range atATime {
		senders.Go(func() {
			for i := range next {
				id, err := send([]byte(marks[i] + strings.Repeat("-", 40) + marks[i]))
				if err != nil {
					t.Errorf("send %s: %v", marks[i], err)
				}
				ids[i] = id
			}
		})
	}
	for i := range marks {
		next <- i
	}
	close(next)
	senders.Wait()
	return ids
}

// ackOne sends a message, takes it, and acks it with AckWait.
func ackOne(t *testing.T, c *client.Client, i int) span {
	t.Helper()
	if _, err := c.Send(t.Context(), "acks", client.Message{Body: []byte{byte(i)}, Create: &client.QueueOptions{}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for d, err := range c.Consume(ctx, "acks", client.ConsumeOptions{Credit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		if err := d.AckWait(ctx); err != nil {
			t.Fatal(err)
		}
		return span{from, time.Now()}
	}
	t.Fatal("nothing was delivered")
	return span{}
}

// A cover says in which lines of the trace a message reached the log, was
// covered by a sync that had returned, and was delivered; -1: never.
type cover struct{ logged, synced, delivered int }

func coverOf(calls []*tracedCall, mark string) cover {
	m := cover{-1, -1, -1}
	for _, c := range calls {
		if c.writes() && c.onLog() && strings.Contains(c.text, mark) && c.done {
			m.logged, m.synced = c.exit, -1
		}
		if m.logged >= 0 && m.synced < 0 && c.syncs() && c.onLog() && c.done && c.entry > m.logged {
			m.synced = c.exit
		}
		if m.delivered < 0 && c.writes() && c.onSocket() && strings.Contains(c.text, mark) {
			m.delivered = c.entry
		}
	}
	return m
}

// idPattern finds an id that is not the beginning of a longer one.
func idPattern(id string) *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(id) + `[^0-9a-z]`)
}

// firstWrite is the line in which something begins to leave by a socket.
func firstWrite(calls []*tracedCall, what *regexp.Regexp) int {
	for _, c := range calls {
		if c.writes() && c.onSocket() && what.MatchString(c.text) {
			return c.entry
		}
	}
	return -1
}
