package rpc

import "sync"

// spareWorkers is how many idle goroutines a crew keeps for the next burst.
// Beyond, they end: a hundred thousand stacks are too much to pay for a busy minute.
const spareWorkers = 256

// A crew does jobs on a bounded number of goroutines. A worker that is done is
// used again, the last one first, because its stack has grown to what the
// handler needs and is still in the cache.
//
// One worker is woken at a time, and wakes the next one if there is more to do.
// So handlers that are done in a microsecond run one after the other on the
// workers that are awake, and those that take long still get one each.
type crew struct {
	limit int // set at construction: how many workers at most

	mu      sync.Mutex
	workers []*worker // all, at their index
	idle    []*worker // those without a job; empty once the crew is closed
	first   *job      // of those that no worker has begun, the one that has waited longest
	last    *job      // of them
	waking  bool      // a worker is on its way to them
	closed  bool
	empty   chan struct{} // closed once the crew is closed and the last worker has left
}

// A worker is one goroutine of a crew.
type worker struct {
	index int       // in crew.workers; owned by the crew's lock
	job   *job      // nil while idle; owned by the crew's lock
	wake  chan bool // capacity 1, so that who wakes never waits; false sends the worker home; never closed
}

func newCrew(limit int) *crew {
	return &crew{limit: limit, empty: make(chan struct{})}
}

// do has a worker do the job, at once unless all are busy. It never blocks.
func (c *crew) do(j *job) {
	c.mu.Lock()
	if c.first == nil {
		c.first = j
	} else {
		c.last.next = j
	}
	c.last = j
	c.wakeLocked()
	c.mu.Unlock()
}

// wakeLocked sees to it that a worker comes for the jobs that wait, if one can.
func (c *crew) wakeLocked() {
	if c.waking || c.closed || c.first == nil {
		return
	}
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.waking = true
		w.wake <- true
		return
	}
	if len(c.workers) < c.limit {
		c.waking = true
		w := &worker{index: len(c.workers), wake: make(chan bool, 1)}
		c.workers = append(c.workers, w)
		go c.work(w) // a worker; leaves when the crew has no use for it, and closes empty as the last one
	}
}

// work does jobs until there is no use for w. A new worker counts as woken.
func (c *crew) work(w *worker) {
	defer c.leave(w) // also when a handler ends the goroutine
	j, stays := c.next(w, true)
	for stays {
		if j != nil {
			j.run()
			j, stays = c.next(w, false)
		} else if stays = <-w.wake; stays {
			j, stays = c.next(w, true)
		}
	}
}

// next gives w the job that has waited longest, and wakes another worker for the
// rest. Without a job, w is idle now, or is not to stay.
func (c *crew) next(w *worker, woken bool) (j *job, stays bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.job = nil
	if woken {
		c.waking = false
	}
	switch {
	case c.closed:
		return nil, false
	case c.first != nil:
		w.job = c.takeLocked()
		c.wakeLocked()
		return w.job, true
	case len(c.idle) >= spareWorkers:
		return nil, false
	}
	c.idle = append(c.idle, w)
	return nil, true
}

// takeLocked takes the job that has waited longest.
func (c *crew) takeLocked() *job {
	j := c.first
	c.first, j.next = j.next, nil
	if c.first == nil {
		c.last = nil
	}
	return j
}

// leave takes w out of the crew. If a job has come in meanwhile, another takes
// its place.
func (c *crew) leave(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.workers) - 1
	c.workers[w.index] = c.workers[last]
	c.workers[w.index].index = w.index
	c.workers[last] = nil
	c.workers = c.workers[:last]
	if c.closed && last == 0 {
		close(c.empty)
	}
	c.wakeLocked()
}

// close lets the workers finish what they do and begin nothing new. What is
// given to do from here on only waits, until takeWaiting.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, w := range c.idle {
		w.wake <- false
	}
	c.idle = nil
	if len(c.workers) == 0 {
		close(c.empty)
	}
}

// takeWaiting takes the jobs that no worker has begun.
func (c *crew) takeWaiting() []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	var jobs []*job
	for c.first != nil {
		jobs = append(jobs, c.takeLocked())
	}
	return jobs
}

// forgetLost drops the waiting jobs whose leases are gone: with handlers that
// never return and sessions that come and go, they would pile up.
func (c *crew) forgetLost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	link := &c.first
	c.last = nil
	for j := c.first; j != nil; j = *link {
		if j.lost.Load() {
			*link, j.next = j.next, nil
		} else {
			c.last, link = j, &j.next
		}
	}
}

// find answers the job of a lease; nil when it is done.
func (c *crew) find(lease uint64) *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		if w.job != nil && w.job.delivery.Lease() == lease {
			return w.job
		}
	}
	for j := c.first; j != nil; j = j.next {
		if j.delivery.Lease() == lease {
			return j
		}
	}
	return nil
}

// running answers the jobs that handlers are at.
func (c *crew) running() []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	var jobs []*job
	for _, w := range c.workers {
		if w.job != nil {
			jobs = append(jobs, w.job)
		}
	}
	return jobs
}

// overdue answers the jobs, running or waiting, that were here at the last call
// already and whose leases are not known to be lost.
func (c *crew) overdue() []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	var jobs []*job
	meet := func(j *job) {
		if j.seen && !j.lost.Load() {
			jobs = append(jobs, j)
		}
		j.seen = true
	}
	for _, w := range c.workers {
		if w.job != nil {
			meet(w.job)
		}
	}
	for j := c.first; j != nil; j = j.next {
		meet(j)
	}
	return jobs
}

// each calls f with every job, all at once, and waits until it has returned.
func each(jobs []*job, f func(*job)) {
	var wg sync.WaitGroup
	for _, j := range jobs {
		wg.Go(func() { f(j) }) // one for each job that waits for the switch's answer, which bounds it
	}
	wg.Wait()
}
