package engine

import (
	"errors"
	"fmt"

	"github.com/d3b0a776/switch/server/internal/queue"
	"github.com/d3b0a776/switch/server/internal/store"
)

// errClosed answers who wants something of the disk while the engine ends.
var errClosed = &queue.Error{Kind: queue.ErrShuttingDown, Text: "the switch is ending; retry when it is back"}

// useDisk runs f, during which the disk is not closed. The lock must be free.
func (e *Engine) useDisk(f func(*store.Disk) error) error {
	e.mu.Lock()
	switch {
	case e.failure != nil:
		e.mu.Unlock()
		return errStoreFailed
	case e.closed:
		e.mu.Unlock()
		return errClosed
	}
	e.uses.Add(1)
	e.mu.Unlock()
	defer e.uses.Done()
	err := f(e.disk)
	if errors.Is(err, store.ErrFailed) {
		return errStoreFailed // the log has the cause
	}
	return err
}

// Page reads the stored messages of a durable queue with from <= sequence <= to,
// oldest first: at most so many, and until their bodies reach so many bytes. What
// is not synced may be missing (Tx.TicketForAll), and what has left the queue may
// still be there. Everything up to through was read.
func (e *Engine) Page(number, from, to uint64, messages, bytes int) (ms []queue.Stored, through uint64, err error) {
	err = e.useDisk(func(d *store.Disk) error {
		through, err = d.Messages(number, from, to, messages, bytes, func(m *store.Message) { ms = append(ms, stored(m)) })
		return err
	})
	return ms, through, err
}

// Pick reads single messages of a durable queue; those that are not there are
// left out. It stops once their bodies reach so many bytes, and says how many of
// the sequences it has looked for.
func (e *Engine) Pick(number uint64, sequences []uint64, bytes int) (ms []queue.Stored, looked int, err error) {
	err = e.useDisk(func(d *store.Disk) error {
		size := 0
		for _, at := range sequences {
			if size >= bytes {
				return nil
			}
			_, err := d.Messages(number, at, at, 1, 0, func(m *store.Message) {
				size += len(m.Body)
				ms = append(ms, stored(m))
			})
			if err != nil {
				return fmt.Errorf("read message %d: %w", at, err)
			}
			looked++
		}
		return nil
	})
	return ms, looked, err
}
