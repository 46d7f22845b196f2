package rpc

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

// newJobs makes a service that has no client, so its jobs are settled already.
func newJobs(h Handler, limit int) (*service, func() *job) {
	s := newService(context.Background(), nil, "q", h, newServeConfig([]ServeOption{Concurrency(limit)}))
	return s, func() *job {
		j := newJob(s, &client.Delivery{Queue: "q"})
		j.settled.Store(true)
		return j
	}
}

// size answers how many workers there are.
func size(c *crew) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.workers)
}

func TestCrewUsesWorkersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) { return nil, nil }, 10)
		for range 100 {
			s.crew.do(next())
			synctest.Wait()
			if n := size(s.crew); n != 1 {
				t.Fatalf("%d workers for one job at a time", n)
			}
		}
		s.crew.close()
		<-s.crew.empty
	})
}

func TestCrewLetsGoOfSpareWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
			time.Sleep(time.Second)
			return nil, nil
		}, 2*spareWorkers)
		for range 2 * spareWorkers {
			s.crew.do(next())
		}
		time.Sleep(time.Minute)
		if n := size(s.crew); n != spareWorkers {
			t.Errorf("%d workers stay, want %d", n, spareWorkers)
		}
		s.crew.close()
		<-s.crew.empty
	})
}

// TestCrewReplacesWorkersThatExit has every handler end its worker.
func TestCrewReplacesWorkersThatExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{}, 100)
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
			defer func() { done <- struct{}{} }()
			runtime.Goexit()
			return nil, nil
		}, 2)
		for range 100 {
			s.crew.do(next())
		}
		synctest.Wait()
		if n := len(done); n != 100 {
			t.Errorf("%d of 100 jobs were done", n)
		}
		s.crew.close()
		<-s.crew.empty
	})
}

func TestCrewBeginsNothingOnceClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) { return nil, errors.New("ran") }, 2)
		s.crew.do(next())
		synctest.Wait()
		s.crew.close()
		<-s.crew.empty
		s.crew.do(next())
		if n := len(s.crew.takeWaiting()); n != 1 {
			t.Errorf("%d jobs wait, want 1", n)
		}
	})
}

func TestClosedCrewFinishesAndLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		ran := 0
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
			ran++
			<-finish
			return nil, nil
		}, 1)
		s.crew.do(next())
		s.crew.do(next())
		synctest.Wait()
		s.crew.close()
		close(finish)
		<-s.crew.empty
		if left := len(s.crew.takeWaiting()); ran != 1 || left != 1 {
			t.Errorf("%d jobs ran and %d are left, want 1 and 1", ran, left)
		}
	})
}

// TestCrewMissesNoJob gives the only worker a job in the moment in which it is
// about to rest, as often as it takes.
func TestCrewMissesNoJob(t *testing.T) {
	done := make(chan struct{})
	s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
		done <- struct{}{}
		return nil, nil
	}, 1)
	for range 50_000 {
		s.crew.do(next())
		<-done
	}
	s.crew.close()
	<-s.crew.empty
}

// TestCrewKeepsJobsInOrder loses each subset of the jobs that wait.
func TestCrewKeepsJobsInOrder(t *testing.T) {
	_, next := newJobs(nil, 0)
	for lost := range 1 << 4 {
		c := newCrew(0) // nobody takes them
		var want []*job
		for n := range 4 {
			j := next()
			c.do(j)
			if lost>>n&1 == 1 {
				j.lose(client.ErrLeaseGone)
			} else {
				want = append(want, j)
			}
		}
		c.forgetLost()
		last := next()
		c.do(last)
		if got := c.takeWaiting(); !slices.Equal(got, append(want, last)) {
			t.Errorf("of the jobs %04b: %d are left, and not the %d that should be, in order", lost, len(got), len(want)+1)
		}
		if got := c.takeWaiting(); len(got) != 0 {
			t.Errorf("of the jobs %04b: %d are taken twice", lost, len(got))
		}
	}
}

func TestCrewForgetsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		ran := 0
		s, next := newJobs(func(context.Context, *Request) ([]byte, error) {
			ran++
			<-finish
			return nil, nil
		}, 1)
		var jobs []*job
		for range 4 {
			jobs = append(jobs, next())
			s.crew.do(jobs[len(jobs)-1])
		}
		synctest.Wait()
		if n := len(s.crew.overdue()); n != 0 {
			t.Errorf("%d jobs are overdue at the first look", n)
		}
		jobs[1].lose(client.ErrLeaseGone)
		if n := len(s.crew.overdue()); n != 3 {
			t.Errorf("%d jobs are overdue at the second look, want 3", n)
		}
		s.crew.forgetLost()
		if jobs := s.crew.takeWaiting(); len(jobs) != 2 {
			t.Errorf("%d jobs wait, want 2", len(jobs))
		} else {
			s.crew.do(jobs[0])
			s.crew.do(jobs[1])
		}
		jobs[2].lose(client.ErrLeaseGone) // and nobody forgets it
		close(finish)
		synctest.Wait()
		if ran != 2 {
			t.Errorf("%d jobs ran, want 2", ran)
		}
		s.crew.close()
		<-s.crew.empty
	})
}

func TestHandlerContext(t *testing.T) {
	type key struct{}
	parent := context.WithValue(context.Background(), key{}, 1)
	cause := errors.New("cause")
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]*lazyContext{
			"plain":    {parent: parent},
			"deadline": {parent: parent, deadline: time.Now().Add(time.Hour)},
		} {
			if d, ok := c.Deadline(); ok != (name == "deadline") || !d.Equal(c.deadline) {
				t.Errorf("%s: deadline %v, %v", name, d, ok)
			}
			if c.real.Load() != nil {
				t.Errorf("%s: the real context exists before anybody looks", name)
			}
			child, stop := context.WithCancel(c)
			if c.Err() != nil || child.Value(key{}) != 1 {
				t.Errorf("%s: %v, %v", name, c.Err(), child.Value(key{}))
			}
			c.end(cause)
			c.end(errors.New("another"))
			<-child.Done()
			if !errors.Is(c.Err(), context.Canceled) || !errors.Is(context.Cause(c), cause) || !errors.Is(context.Cause(child), cause) {
				t.Errorf("%s: %v, %v, %v", name, c.Err(), context.Cause(c), context.Cause(child))
			}
			stop()
		}
		unseen := &lazyContext{parent: parent, deadline: time.Now().Add(time.Hour)}
		unseen.end(cause)
		unseen.end(errors.New("another"))
		if !errors.Is(unseen.Err(), context.Canceled) || !errors.Is(context.Cause(unseen), cause) {
			t.Errorf("looked at after its end: %v, %v", unseen.Err(), context.Cause(unseen))
		}
		timed := &lazyContext{parent: parent, deadline: time.Now().Add(time.Second)}
		<-timed.Done()
		if !errors.Is(timed.Err(), context.DeadlineExceeded) {
			t.Error(timed.Err())
		}
		timed.end(nil)

		ended, stop := context.WithCancelCause(parent)
		stop(cause)
		orphan := &lazyContext{parent: ended}
		if !errors.Is(orphan.Err(), context.Canceled) || !errors.Is(context.Cause(orphan), cause) {
			t.Errorf("with an ended parent: %v, %v", orphan.Err(), context.Cause(orphan))
		}
		orphan.end(nil)
	})
}

func TestHandlerContextInParallel(t *testing.T) {
	for range 200 {
		c := &lazyContext{parent: context.Background(), deadline: time.Now().Add(time.Hour)}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { <-c.Done() })
		}
		wg.Go(func() { c.end(nil) })
		wg.Wait()
	}
}

func TestFailureOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{errors.New("plain"), codes.Unknown, "plain"},
		{errors.New("broken \xff"), codes.Unknown, "broken \uFFFD"},
		{context.Canceled, codes.Canceled, "context canceled"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		{status.Error(codes.DataLoss, "gone"), codes.DataLoss, "gone"},
		{status.Error(4711, "odd"), codes.Unknown, "odd"},
		{okError{}, codes.Unknown, "fine"},
		{&Error{Origin: OriginSwitch, Queue: "q", code: codes.NotFound, cause: errors.New("no queue")}, codes.NotFound, "no queue"},
	} {
		if f := failureOf(c.err); f.Code != c.code || f.Message != c.text || f.Reason != "" {
			t.Errorf("%v: got %v %q", c.err, f.Code, f.Message)
		}
	}
	if f := failureOf(errors.New(strings.Repeat("é", maxMessage))); len(f.Message) > maxMessage || strings.ContainsRune(f.Message, '\uFFFD') {
		t.Errorf("a long text has %d bytes: …%q", len(f.Message), f.Message[len(f.Message)-8:])
	}
}

// okError is an error that claims to be none.
type okError struct{}

func (okError) Error() string              { return "fine" }
func (okError) GRPCStatus() *status.Status { return status.New(codes.OK, "fine") }
