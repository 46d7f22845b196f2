package main

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A relayStore puts bodies on disk, and holds back what goes out for them until
// the sync that covers them is done. A key is a sequence of 8 bytes, big-endian; a
// value is a body and nothing else.
type relayStore struct {
	db    *pebble.DB
	last  atomic.Uint64 // sequence that was given to a body
	wake  chan struct{} // buffered; never closed
	spare *relayBatch   // only committing uses it
	mu    sync.Mutex
	open  *relayBatch // guarded by mu
}

// A relayBatch is what one sync covers.
type relayBatch struct {
	records *pebble.Batch
	out     []parcel
}

// A parcel is the encoded frames that a link gets once they may go out.
type parcel struct {
	to     *link
	frames *[]byte
}

// relayStoreOptions are the switch's, as far as they matter to a store that does so
// little (server/internal/store/pebble.go says why).
func relayStoreOptions() *pebble.Options {
	o := &pebble.Options{
		Cache:                       pebble.NewCache(96 << 20),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                500,
		MaxManifestFileSize:         8 << 20,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       40,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      quietLogger{pebble.DefaultLogger},
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 256 << 10
	}
	o.Experimental.EnableColumnarBlocks = func() bool { return true }
	return o
}

// A quietLogger drops what Pebble tells in passing.
type quietLogger struct{ pebble.Logger }

// Infof drops the message.
func (quietLogger) Infof(string, ...any) {}

// openRelayStore makes a store in an empty directory. It is not closed: nobody will
// miss its data when the process ends.
func openRelayStore(dir string, o *pebble.Options) (*relayStore, error) {
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &relayStore{db: db, wake: make(chan struct{}, 1),
		open: &relayBatch{records: db.NewBatch()}, spare: &relayBatch{records: db.NewBatch()}}, nil
}

// put stores a body under a sequence of its own, with the next commit, after which
// the frame goes out. Nothing of either is kept.
func (s *relayStore) put(sequence uint64, body []byte, to *link, out frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	op := s.open.records.SetDeferred(8, len(body))
	binary.BigEndian.PutUint64(op.Key, sequence)
	copy(op.Value, body)
	frames := s.open.parcel(to)
	*frames = appendFrame(*frames, out)
	return op.Finish()
}

// parcel is where frames for a link are encoded.
func (b *relayBatch) parcel(to *link) *[]byte {
	i := slices.IndexFunc(b.out, func(p parcel) bool { return p.to == to })
	if i < 0 {
		i = len(b.out)
		b.out = append(b.out, parcel{to, relayBuffers.take()})
	}
	return b.out[i].frames
}

// delete deletes bodies with the next commit that something waits for. As in the
// switch, a key is written once, so its deletion ends where the two meet.
func (s *relayStore) delete(sequences []uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sequence := range sequences {
		op := s.open.records.SingleDeleteDeferred(8)
		binary.BigEndian.PutUint64(op.Key, sequence)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// hurry has what was put committed.
func (s *relayStore) hurry() {
	select {
	case s.wake <- struct{}{}:
	default: // it is due already
	}
}

// committing takes everything that is pending, syncs it in one batch, lets go out
// what waited for it, and does so again, until ctx ends or the disk fails.
func (s *relayStore) committing(ctx context.Context) error {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for b := s.take(); b != nil; b = s.take() {
			if err := s.db.Apply(b.records, pebble.Sync); err != nil {
				return err
			}
			s.release(b)
		}
	}
}

// take is the open batch; nil if nobody waits for it.
func (s *relayStore) take() *relayBatch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open.out) == 0 {
		return nil
	}
	b := s.open
	s.open, s.spare = s.spare, nil
	return b
}

func (s *relayStore) release(b *relayBatch) {
	for _, p := range b.out {
		_ = p.to.pass(p.frames) // whose stream has ended needs nothing, and who waits for him says so
	}
	clear(b.out)
	b.out = b.out[:0]
	b.records.Reset()
	s.spare = b
}

// count reads how many bodies there are.
func (s *relayStore) count() (n uint64, err error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n, it.Error()
}
