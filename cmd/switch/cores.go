package main

import (
	"context"
	"os"
	"runtime"
	"time"
)

// A switch in memory keeps half of the cores busy at a time as long as those are
// enough. One lock orders what it does, so with calls a second core mostly looks
// for work that there is not, and takes the State's memory from the cache of the
// first: on two cores, which programs share with it, 64 callers got 78,184
// replies/s with one and 64,335 with both, a lone caller one in 139 µs and in
// 176 µs. A pipeline uses both: 475,083 messages/s, and 284,831 with one.
const (
	coresEvery = 250 * time.Millisecond
	// Of the time of the few cores: above, all are used; below, the few again.
	coresBusy = 0.75
	coresIdle = 0.5
)

// cores says how many cores to keep busy.
type cores struct{ few, all, now int }

// after is how many it is to be when so many were busy on average.
func (c *cores) after(busy float64) int {
	switch {
	case busy > coresBusy*float64(c.few):
		c.now = c.all
	case busy < coresIdle*float64(c.few):
		c.now = c.few
	}
	return c.now
}

// useCores sees to it until ctx ends. A store needs all cores: its merges would hold
// the calls up. GOMAXPROCS in the environment is obeyed.
func useCores(ctx context.Context, durable bool) {
	all := runtime.GOMAXPROCS(0)
	if durable || all == 1 || os.Getenv("GOMAXPROCS") != "" || cpuTime() == 0 {
		return
	}
	c := &cores{few: all / 2, all: all, now: all / 2}
	runtime.GOMAXPROCS(c.now)
	go c.watch(ctx) // until the daemon ends
}

func (c *cores) watch(ctx context.Context) {
	tick := time.NewTicker(coresEvery)
	defer tick.Stop()
	used, at := cpuTime(), time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		u, now := cpuTime(), time.Now()
		before := c.now
		if c.after((u-used).Seconds()/now.Sub(at).Seconds()) != before {
			runtime.GOMAXPROCS(c.now)
		}
		used, at = u, now
	}
}
