package server

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// link is what a session's streams share, so that a new stream goes on where
// the lost one ended: which client frames were applied, and the answers that
// the client may not have seen. All of it is guarded by the engine's lock.
type link struct {
	session queue.SessionID
	applied uint64  // tag of the last client frame that was applied
	stream  *stream // the one that is attached; nil while none is
	answers answers
	held    []held // frames whose batch is not synced, in order
}

// held is a frame that was applied and may still be lost: neither its answer nor
// that it was applied is told before its batch is synced. The answers to later
// frames are held with it: an answer says that all before it is safe.
type held struct {
	batch  uint64
	tag    uint64
	answer []byte // encoded; empty: it is quiet
}

// hold keeps the frame back until its batch is synced.
func (l *link) hold(tx *engine.Tx, tag uint64, answer []byte) {
	batch, n := tx.Batch(), len(l.held)
	switch {
	case batch == 0:
		batch = l.held[n-1].batch
	case n == 0 || l.held[n-1].batch != batch:
		tx.Await(l)
	}
	l.held = append(l.held, held{batch, tag, bytes.Clone(answer)})
}

// settled is the tag of the last frame that can't be lost, with all before it.
func (l *link) settled() uint64 {
	if len(l.held) > 0 {
		return l.held[0].tag - 1
	}
	return l.applied
}

// Released answers the frames of batches that are synced.
func (l *link) Released(tx *engine.Tx, batch uint64) {
	n := 0
	for n < len(l.held) && l.held[n].batch <= batch {
		n++
	}
	done := l.held[:n]
	for _, h := range done {
		if len(h.answer) > 0 {
			l.answers.add(h.answer)
		}
	}
	if l.stream != nil {
		l.stream.release(done, l.answers.made)
	}
	rest := copy(l.held, l.held[n:])
	clear(l.held[rest:])
	l.held = l.held[:rest]
	if l.stream != nil {
		l.stream.batchApplied(l.settled(), 0)
		tx.Dirty(l.stream)
	}
}

// What a link keeps for a client that never says what it has seen: the newest
// answers, this many of so many bytes. It is more than a client library leaves
// unanswered (2,048). Twice as much may be kept for a while, so that dropping is
// rare: it moves the rest.
const (
	keptAnswers = 4096
	keptBytes   = 2 << 20
)

// answers are the encoded answers that the client has not confirmed.
type answers struct {
	made  uint64 // in the session's life
	kept  []byte // one after the other
	sizes []int  // of each that is kept
}

// add notes the answer that was appended to b from start on.
func (a *answers) add(frame []byte) {
	a.made++
	a.kept = append(a.kept, frame...)
	a.sizes = append(a.sizes, len(frame))
	if len(a.sizes) > 2*keptAnswers || len(a.kept) > 2*keptBytes {
		a.trim()
	}
}

// trim drops the oldest answers beyond the bounds, but never the newest one.
func (a *answers) trim() {
	n, bytes := 0, len(a.kept)
	for n < len(a.sizes)-1 && (len(a.sizes)-n > keptAnswers || bytes > keptBytes) {
		bytes -= a.sizes[n]
		n++
	}
	a.forget(a.made - uint64(len(a.sizes)-n))
}

// forget drops what the client has seen: the first n answers of the session.
func (a *answers) forget(n uint64) {
	first := a.made - uint64(len(a.sizes)) // dropped so far
	if n <= first || n > a.made {
		return
	}
	drop, bytes := int(n-first), 0
	for _, size := range a.sizes[:drop] {
		bytes += size
	}
	a.kept = a.kept[:copy(a.kept, a.kept[bytes:])]
	a.sizes = a.sizes[:copy(a.sizes, a.sizes[drop:])]
	if len(a.sizes) == 0 && cap(a.kept) > chunkBytes {
		a.kept = nil // the memory of one burst is not kept for the session's life
	}
}

// attach makes st the link's stream and repeats the answers that its client has
// not seen.
func (l *link) attach(tx *engine.Tx, st *stream, seen uint64) {
	l.stream, st.link = st, l
	l.answers.forget(seen)
	rest := l.answers.kept
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, size := range l.answers.sizes {
		st.push(rest[:size])
		rest = rest[size:]
	}
	st.answersMade = l.answers.made
	tx.Dirty(st)
}

// answer answers the frame of a tag once what it did can't be lost.
func (l *link) answer(tx *engine.Tx, st *stream, tag uint64, event frames.Event, m proto.Message) {
	l.answerEncoded(tx, st, tag, encodeAnswer(st, tag, event, m))
}

func encodeAnswer(st *stream, tag uint64, event frames.Event, m proto.Message) []byte {
	b, err := frames.AppendEvent(st.scratch[:0], tag, event, m)
	if err != nil {
		st.s.log.Error("encode an answer", "err", err)
	}
	return b
}

func (l *link) answerEncoded(tx *engine.Tx, st *stream, tag uint64, b []byte) {
	if tx.Batch() != 0 || len(l.held) > 0 {
		st.scratch = b[:0]
		l.hold(tx, tag, b)
		return
	}
	l.send(st, b)
}

// send appends an answer to the stream, and to what is kept.
func (l *link) send(st *stream, b []byte) {
	st.scratch = b[:0]
	l.answers.add(b)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.push(b)
	st.answersMade = l.answers.made
}
