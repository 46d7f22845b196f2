package server

import (
	"context"
	"math"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// What admin verbs need of messages that are on disk alone.

// Bounds of one step that was read from the disk.
const (
	partMessages = 1000
	partBytes    = 8 << 20
)

// place is where a queue's messages are.
type place struct {
	number  uint64 // on disk; zero: they are in memory
	spilled int    // how many are on disk alone
	last    uint64 // sequence of the newest message of the switch
}

// place looks at a queue. When it returns, all that was sent by then is on disk.
func (s *Server) place(ctx context.Context, name string) (place, error) {
	at, wait, err := underLock(s, func(tx *engine.Tx) (at place, _ *engine.Ticket, err error) {
		q, err := tx.State().QueueNamed(name)
		if err != nil {
			return at, nil, err
		}
		at.number, at.spilled = q.OnDisk()
		at.last = tx.State().LastSequence()
		return at, tx.TicketForAll(), nil
	})
	if err != nil {
		return at, err
	}
	return at, wait.Wait(ctx)
}

// inParts does f for ids, so many at a time, with those that were on disk alone.
func (s *Server) inParts(ctx context.Context, name string, ids []queue.ID, f func([]queue.ID, []queue.Stored) error) error {
	at, err := s.place(ctx, name)
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		part := ids[:min(len(ids), partMessages)]
		var stored []queue.Stored
		if at.spilled > 0 {
			if part, stored, err = s.fetch(at, name, part); err != nil {
				return err
			}
		}
		if err := f(part, stored); err != nil {
			return err
		}
		ids = ids[len(part):]
	}
	return nil
}

// fetch reads those of ids that are on disk alone. Of large ones it does not read
// all: part is as far as it came.
func (s *Server) fetch(at place, name string, ids []queue.ID) (part []queue.ID, stored []queue.Stored, err error) {
	var sequences []uint64
	_, _, err = underLock(s, func(tx *engine.Tx) (struct{}, *engine.Ticket, error) {
		q, err := tx.State().QueueNamed(name)
		if err == nil {
			sequences = q.Spilled(ids)
		}
		return struct{}{}, nil, err
	})
	if err != nil || len(sequences) == 0 {
		return ids, nil, err
	}
	stored, looked, err := s.engine.Pick(at.number, sequences, partBytes)
	if err != nil || looked == len(sequences) {
		return ids, stored, err
	}
	for i, id := range ids {
		if id.Sequence == sequences[looked] {
			return ids[:i], stored, nil
		}
	}
	return ids, stored, nil
}

// parseIDs reads message ids, at most so many.
func parseIDs(texts []string, most int) ([]queue.ID, error) {
	if len(texts) > most {
		return nil, invalid("%d message_ids: at most %d", len(texts), most)
	}
	ids := make([]queue.ID, len(texts))
	for i, text := range texts {
		id, err := queue.ParseID(text)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// oldest are the first messages of a queue, those on disk among them, for f to
// read under the lock. It reads at most so many bytes of bodies from the disk,
// but for the last body.
func (s *Server) oldest(ctx context.Context, name string, n, bytes int, f func(queue.Instant, *queue.Queue, []*queue.Message) error) error {
	at, err := s.place(ctx, name)
	if err != nil {
		return err
	}
	var stored []queue.Stored
	through := uint64(math.MaxUint64)
	if at.spilled > 0 {
		if stored, through, err = s.engine.Page(at.number, 1, at.last, n, bytes); err != nil {
			return err
		}
	}
	_, wait, err := underLock(s, func(tx *engine.Tx) (struct{}, *engine.Ticket, error) {
		q, err := tx.State().QueueNamed(name)
		if err == nil {
			err = f(tx.Now, q, tx.State().OldestOf(q, stored, through, n))
		}
		return struct{}{}, tx.TicketForAll(), err
	})
	if err != nil {
		return err
	}
	return wait.Wait(ctx)
}
