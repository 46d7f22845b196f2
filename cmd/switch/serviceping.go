package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// answer is what became of one ping, as a document.
type answer struct {
	Queue    string `json:"queue"`
	Instance string `json:"instance,omitempty"`
	Version  string `json:"version,omitempty"`
	TimeUS   int64  `json:"time_us"` // there and back; until it failed
	Error    string `json:"error,omitempty"`
}

// servicePing pings the queues of a service, each so many times; zero: as often as
// it has instances there.
func (sh *shell) servicePing(ctx context.Context, cl *client.Client, name string, count int, timeout time.Duration) error {
	instances, err := instancesOf(ctx, cl.Admin(), name)
	if err != nil {
		return err
	}
	queues := distinct(instances, queueOf)
	there := map[string]int{}
	for _, q := range queues {
		if there[q], err = pingable(ctx, cl.Admin(), q, name); err != nil {
			return err
		}
	}
	caller := rpc.NewCaller(cl)
	defer func() { _ = caller.Close() }() // the pings are over
	var all []answer
	var failed error
	for _, q := range queues {
		for range orElse(count > 0, count, there[q]) {
			began := time.Now()
			pong, err := caller.Ping(ctx, q, name, rpc.Timeout(timeout))
			a := answer{Queue: q, Instance: pong.Instance, Version: pong.Version, TimeUS: time.Since(began).Microseconds()}
			if ctx.Err() != nil {
				return err
			}
			if err != nil {
				failed, a.Error = err, err.Error()
			}
			all = append(all, a)
		}
	}
	if err := sh.printAnswers(all); err != nil {
		return err
	}
	return failed
}

// pingable counts the instances that answer pings on a queue; an error says that
// others serve it too.
func pingable(ctx context.Context, a *client.Admin, queue, name string) (n int, err error) {
	d, err := a.Describe(ctx, queue)
	if err != nil {
		return 0, err
	}
	// Read after Describe: who has come since is too many here, never too few.
	for in, err := range a.Services(ctx, name) {
		if err != nil {
			return 0, err
		}
		if in.Info.Name == name && in.Queue == queue && in.Info.AnswersPings {
			n++
		}
	}
	if others := len(d.Consumers) - n; others > 0 {
		return 0, &client.Error{Code: codes.FailedPrecondition,
			Message: fmt.Sprintf("queue %s is also served by %s that would take a ping for a request", plain(queue), plural(others, "consumer"))}
	}
	return n, nil
}

func (sh *shell) printAnswers(all []answer) error {
	if sh.wantsJSON() {
		return jsonList(sh, all)
	}
	t := sh.table("QUEUE", "INSTANCE", "VERSION", ">TIME")
	answered, instances := 0, map[string]bool{}
	var least, most time.Duration
	for _, a := range all {
		if a.Error != "" {
			sh.notice("queue %s: %s", plain(a.Queue), oneLine(a.Error))
			continue
		}
		took := time.Duration(a.TimeUS) * time.Microsecond
		if answered == 0 {
			least = took
		}
		answered++
		instances[a.Instance] = true
		least, most = min(least, took), max(most, took)
		t.row(plain(a.Queue), plain(a.Instance), orElse(a.Version != "", plain(a.Version), "-"), fmt.Sprintf("%.3fms", float64(a.TimeUS)/1000))
	}
	if err := t.print(); err != nil {
		return err
	}
	if sh.outTerm && answered > 0 {
		sh.notice("%d of %s answered, by %s, in %s to %s", answered, plural(len(all), "ping"), plural(len(instances), "instance"), brief(least), brief(most))
	}
	return nil
}
