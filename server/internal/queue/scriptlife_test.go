package queue_test

import (
	"fmt"
	"strings"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// A life is what a script has beside a State with durable queues: a disk, the
// batch that is open, and what was asked of the disk.
type life struct {
	epoch   uint64
	limits  queue.Limits
	disk    *disk
	open    *batch
	loads   []queue.Load
	unsaved queue.Unsaved
}

func newLife(l queue.Limits) *life { return &life{limits: l, disk: newDisk(0), open: new(batch)} }

// firstLease is what scripts leave out of a lease: that of its epoch.
func (s *script) firstLease() queue.Lease {
	if s.life == nil {
		return 0
	}
	return queue.Lease(s.life.epoch << 22)
}

// stored prints what a store is told and asked.
func (s *script) stored() {
	for _, c := range s.fx.Changes {
		s.life.open.change(c, func(uint64) *mMessage { return nil })
		switch name := short(c.Queue.Name); c.Kind {
		case queue.QueueStored:
			s.printf("  disk: queue %s is #%d", name, c.Queue.Number())
		case queue.QueueGone:
			s.printf("  disk: queue %s goes", name)
		case queue.MessageStored:
			s.printf("  disk: #%d into %s", c.Message.ID.Sequence, name)
		case queue.MessageGone:
			s.printf("  disk: #%d goes", c.Message.ID.Sequence)
		case queue.AttemptsCounted:
			s.printf("  disk: #%d was tried %d times", c.Message.ID.Sequence, c.Attempts)
		case queue.RunGone:
			s.printf("  disk: all of %s from #%d to #%d go", name, c.First, c.Last)
		case queue.KeyStored:
			word := "runs"
			if k := c.Keyed.Kept(); k.Answered {
				word = fmt.Sprintf("was answered with %d bytes", len(k.Body))
			}
			s.printf("  disk: key %s of %s %s", c.Keyed.Kept().Key, name, word)
		case queue.KeyGone:
			s.printf("  disk: key %s of %s goes", c.Keyed.Kept().Key, name)
		}
	}
	for _, l := range s.fx.Loads {
		what := "those"
		if l.Expired != 0 {
			what = "expired ones"
		}
		s.printf("  disk: read %s from #%d to #%d of queue #%d, at most %d, %d bytes", what, l.From, l.To, l.Queue, l.Messages, l.Bytes)
	}
	s.life.loads = append(s.life.loads, s.fx.Loads...)
}

// sync commits what is open, and tells the State.
func (s *script) sync() {
	l := s.life
	b := l.open
	b.close(s.state, &l.unsaved)
	l.open = new(batch)
	if err := l.disk.write(b); err != nil {
		panic(err)
	}
	s.do(&queue.Synced{Through: b.through})
}

// load answers the Loads that are open; part says of how many messages each.
func (s *script) load() {
	loads := s.life.loads
	s.life.loads = nil
	for _, l := range loads {
		less := l
		if n := s.num("part"); n > 0 {
			less.Messages = n
		}
		f := s.life.disk.read(less)
		f.Load = l
		var all []string
		for _, st := range f.Messages {
			all = append(all, fmt.Sprintf("#%d", st.Sequence))
		}
		s.printf("read: %s; looked at all up to #%d", strings.Join(all, " "), f.Through)
		s.do(f)
	}
	if len(loads) == 0 {
		s.printf("nothing is to be read")
	}
}

// crash loses all but the disk.
func (s *script) crash() {
	l := s.life
	l.epoch++
	l.open, l.loads = new(batch), nil
	var err error
	if s.state, err = queue.Restore(l.epoch, l.limits, s.now, l.disk.begin(l.epoch), &s.fx); err != nil {
		s.printf("%v", err)
		return
	}
	s.printf("ok")
	s.effects()
}

// showDisk prints what the disk has.
func (s *script) showDisk() {
	for _, k := range s.life.disk.sortedQueues() {
		s.printf("%s is #%d: %d messages, %d bytes", short(k.Name), k.ID, k.Messages, k.Bytes)
		for _, st := range s.life.disk.sorted(k.ID) {
			line := fmt.Sprintf("  #%d %d bytes", st.Sequence, len(st.Body))
			if st.Attempts > 0 {
				line += fmt.Sprintf(", tried %d times", st.Attempts)
			}
			if st.request {
				line += ", a request"
			}
			s.printf("%s", line)
		}
		for _, key := range s.life.disk.sortedKeys(k.ID) {
			s.printf("  key %s of #%d, answered: %v", key.Key, key.Request, key.Answered)
		}
	}
}
