package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
)

// deadQueue is a dead-letter queue, as a document.
type deadQueue struct {
	Queue       string   `json:"queue"`
	Letters     uint64   `json:"letters"` // waiting and held
	Bytes       uint64   `json:"bytes"`
	OldestAgeMS int64    `json:"oldest_age_ms"`
	Sources     []string `json:"sources"` // the queues that it is for, and those where its letters died
	LastReason  string   `json:"last_reason,omitempty"`
}

// letter is a dead letter, as a document.
type letter struct {
	MessageID string            `json:"message_id"`
	Queue     string            `json:"queue,omitempty"` // where it died
	Reason    string            `json:"reason,omitempty"`
	Attempts  int               `json:"attempts,omitempty"` // there
	DeadID    string            `json:"dead_id,omitempty"`  // its id there
	AgeMS     int64             `json:"age_ms"`             // since it died
	Headers   map[string]string `json:"headers,omitempty"`  // its own
	BodyBytes uint64            `json:"body_bytes"`
	Body      []byte            `json:"body"` // or its beginning

	info client.MessageInfo
}

// The switch's headers of a dead letter begin with this.
const switchHeader = "switch-"

func newLetter(m client.MessageInfo) letter {
	l := letter{MessageID: m.MessageID, AgeMS: m.Age.Milliseconds(), BodyBytes: m.BodyBytes, Body: m.Body, Headers: map[string]string{}, info: m}
	for k, v := range m.Headers {
		switch k {
		case switchHeader + "dead-queue":
			l.Queue = v
		case switchHeader + "dead-reason":
			l.Reason = v
		case switchHeader + "dead-attempts":
			l.Attempts, _ = strconv.Atoi(v) // the switch wrote it
		case switchHeader + "dead-id":
			l.DeadID = v
		default:
			l.Headers[k] = v
		}
	}
	return l
}

func (sh *shell) dlqLs(ctx context.Context, a *client.Admin) error {
	queues, sources, err := deadQueues(ctx, a)
	if err != nil {
		return err
	}
	var docs []deadQueue
	for _, q := range queues {
		doc := deadQueue{Queue: q.Queue, Letters: q.Waiting + q.Leased, Bytes: q.Bytes, OldestAgeMS: q.OldestAge.Milliseconds(), Sources: sources[q.Queue]}
		ms, err := a.PeekBrief(ctx, q.Queue, mostShown, 1)
		if err != nil {
			if code, _ := codeOf(err); code == codes.NotFound { // it was destroyed meanwhile
				continue
			}
			return err
		}
		for _, m := range ms {
			l := newLetter(m)
			if l.Queue != "" && !slices.Contains(doc.Sources, l.Queue) {
				doc.Sources = append(doc.Sources, l.Queue)
			}
			doc.LastReason = l.Reason
		}
		slices.Sort(doc.Sources)
		docs = append(docs, doc)
	}
	return sh.printDeadQueues(docs)
}

// deadQueues are the queues that are some queue's dead-letter queue and hold
// something, and which queues those are.
func deadQueues(ctx context.Context, a *client.Admin) (dead []client.QueueSummary, sources map[string][]string, err error) {
	var all []client.QueueSummary
	sources = map[string][]string{}
	for q, err := range a.List(ctx, client.ListQuery{}) {
		if err != nil {
			return nil, nil, err
		}
		all = append(all, q)
	}
	for _, q := range all {
		d, err := a.Describe(ctx, q.Queue)
		if code, _ := codeOf(err); code == codes.NotFound {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		if to := d.Options.DeadLetterQueue; to != "" && !d.Options.NoDeadLetter {
			sources[to] = append(sources[to], q.Queue)
		}
	}
	for _, q := range all {
		// One whose source was destroyed is known by its name.
		isDead := sources[q.Queue] != nil || strings.HasSuffix(q.Queue, ".dead")
		if isDead && q.Waiting+q.Leased > 0 {
			dead = append(dead, q)
		}
	}
	return dead, sources, nil
}

func (sh *shell) printDeadQueues(docs []deadQueue) error {
	if sh.wantsJSON() {
		return jsonList(sh, docs)
	}
	if len(docs) == 0 && sh.outTerm {
		sh.notice("there are no dead letters")
	}
	t := sh.table("QUEUE", ">LETTERS", ">SIZE", ">AGE", "OF", "WHY THE LAST DIED")
	for _, d := range docs {
		var of []string
		for _, s := range d.Sources {
			of = append(of, plain(s))
		}
		t.row(plain(d.Queue), fmt.Sprint(d.Letters), sh.size(d.Bytes), brief(time.Duration(d.OldestAgeMS)*time.Millisecond), strings.Join(of, ","), oneLine(d.LastReason))
	}
	return t.print()
}

func (sh *shell) dlqShow(ctx context.Context, a *client.Admin, queue string, count int) error {
	ms, err := a.Peek(ctx, queue, count)
	if err != nil {
		return err
	}
	letters := make([]letter, len(ms))
	for i, m := range ms {
		letters[i] = newLetter(m)
	}
	if sh.wantsJSON() {
		return jsonList(sh, letters)
	}
	if len(ms) == 0 && sh.outTerm {
		sh.notice("the queue is empty")
	}
	t := sh.table("ID", "DIED IN", ">AGE", ">TRIES", ">SIZE", "WHY", "BODY")
	for _, l := range letters {
		why := oneLine(l.Reason)
		if sh.outTerm {
			why = fit(why, sh.width/2)
		}
		t.row(l.MessageID, plain(l.Queue), brief(l.info.Age), fmt.Sprint(l.Attempts), sh.size(l.BodyBytes), why, sh.bodyCell(l.info))
	}
	return t.print()
}

// oneLine is a text without what would break a table.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }
