package crash_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

const (
	// sendBound is how long one attempt of a Send may take, and patientFor how long
	// all of them: the switch is never away for so long.
	sendBound  = 5 * time.Second
	patientFor = patience
	// retryPause is between attempts that fail at once, while nobody listens.
	retryPause = 5 * time.Millisecond
)

// A producer sends numbered messages, each until it has an answer. One in sixty
// it gives up at the first trouble, and one in ten it sends again, to be told that
// it is a duplicate. It lives through all generations of its lane.
type producer struct {
	name  string
	line  *line
	clock *clock
	burst int // how many Sends it has under way at a time

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	last   uint64
	counts counts
}

// counts is what parties did, for the report.
type counts struct{ sent, retried, unknown, duplicates, delivered, acked, waited int }

func (c *counts) add(o counts) {
	c.sent += o.sent
	c.retried += o.retried
	c.unknown += o.unknown
	c.duplicates += o.duplicates
	c.delivered += o.delivered
	c.acked += o.acked
	c.waited += o.waited
}

// run sends n messages, or until ctx ends.
func (p *producer) run(ctx context.Context, t *testing.T, queue string, h *history, n int) {
	for i := 0; i < n && ctx.Err() == nil; i += p.burst {
		var burst sync.WaitGroup
		for range p.burst {
			burst.Go(func() { p.one(t, queue, h) })
		}
		burst.Wait()
	}
}

// one sends the next message, until there is an answer or it is given up.
func (p *producer) one(t *testing.T, queue string, h *history) {
	p.mu.Lock()
	p.last++
	k := key{p.name, p.last}
	restless, doubting := p.random.IntN(60) == 0, p.random.IntN(10) == 0
	p.mu.Unlock()
	e := event{kind: sent, key: k, party: p.name, call: p.clock.now(), ret: never}
	bound := sendBound
	if restless {
		bound = 10 * time.Millisecond
	}
	var r client.Receipt
	var err error
	tries := 0
	for over := time.Now().Add(patientFor); ; tries++ {
		if r, err = p.send(queue, k, bound); err == nil || restless {
			break
		}
		if time.Now().After(over) {
			t.Errorf("%s has no answer after %d attempts in %v: %v", k, tries+1, patientFor, err)
			break
		}
		time.Sleep(retryPause)
	}
	if err == nil {
		e.id, e.sure, e.ret = r.MessageID, true, p.clock.now()
	}
	p.check(t, k, r, err, tries)
	h.add(e)
	if err == nil && doubting {
		p.repeat(t, queue, k, r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.sent++
	p.counts.retried += tries
	if err != nil {
		p.counts.unknown++
	}
	if r.Duplicate {
		p.counts.duplicates++
	}
}

func (p *producer) send(queue string, k key, bound time.Duration) (client.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	return p.line.Send(ctx, queue, client.Message{Body: k.body(), Producer: []byte(k.producer), Sequence: k.number})
}

// check looks at an answer. The only errors are those that leave it open what
// became of the message: nothing here gives cause for a refusal.
func (p *producer) check(t *testing.T, k key, r client.Receipt, err error, tries int) {
	switch {
	case err != nil && status.Code(err) != codes.Unavailable && status.Code(err) != codes.DeadlineExceeded &&
		!errors.Is(err, context.DeadlineExceeded):
		t.Errorf("send %s: %v (%v)", k, err, status.Code(err))
	case err == nil && r.Durability != client.Durable:
		t.Errorf("send %s: it is %s only", k, r.Durability)
	case err == nil && r.MessageID == "" && !r.Duplicate:
		t.Errorf("send %s: OK without an id", k)
	}
}

// repeat sends what was acknowledged once more.
func (p *producer) repeat(t *testing.T, queue string, k key, first client.Receipt) {
	r, err := p.send(queue, k, sendBound)
	switch {
	case err != nil:
		p.check(t, k, r, err, 0)
	case !r.Duplicate:
		t.Errorf("%s was acknowledged as %s, and enqueued again as %s", k, first.MessageID, r.MessageID)
	case r.MessageID != "" && first.MessageID != "" && r.MessageID != first.MessageID:
		t.Errorf("%s was acknowledged as %s, and is a duplicate of %s", k, first.MessageID, r.MessageID)
	}
}
