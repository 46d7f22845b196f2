package client

import (
	"google.golang.org/protobuf/proto"

	"github.com/d3b0a776/switch/proto/frames"
)

const (
	// maxUnapplied and maxUnappliedBytes are how much may be sent, or wait to be,
	// before the switch has applied it. Beyond that new verbs block. The frames are
	// half of the answers that the switch keeps for a reconnect (4,096).
	maxUnapplied      = 2048
	maxUnappliedBytes = 16 << 20
	// maxSpan is how far tags and sequences may run ahead of the oldest that has no
	// answer: the switch remembers a producer's last 4,096 sequences.
	maxSpan = 4000
	// sendOverhead and headerOverhead are what tags, lengths and numbers of a frame
	// and of one header take at most.
	sendOverhead   = 128
	headerOverhead = 16
	// maxAcks is how many leases one Ack may name (protocol).
	maxAcks = 4096
)

// outbox is what the client has to say in this session and the switch has not
// confirmed: encoded frames in chunks, and for each frame who is to be told of
// its answer. Client.mu guards all of it.
type outbox struct {
	tag     uint64 // the last one given
	applied uint64 // all frames up to this one need not be sent again
	told    uint64 // answers that the switch knows we have seen
	answers uint64 // answers that we have seen

	// Frames. chunks[:sent] went out on this stream; what follows is to be sent.
	chunks []*chunk
	sent   int
	open   bool // the last chunk takes further frames
	bytes  int  // in all chunks

	// slots[tag%len] is the frame of a tag, for tags in (base, tag].
	slots []slot
	base  uint64
	swept uint64 // quiet frames up to this one are done

	// Sequences of the client's own producer; they go on in the next session.
	sequence uint64
	oldest   uint64 // no sequence before this one waits for its answer

	taken []func(error) // of messages that are in their queues, to be told

	acks []uint64 // leases to be acked with the next stream message
	due  bool     // an inbox has so much to ack that it asks for a stream message
}

// A slot says who waits for the answer of a frame.
type slot struct {
	call     *call       // nil for a quiet frame
	inbox    *Inbox      // whose request it is, for a quiet Send
	id       string      // the request's correlation id
	told     func(error) // of SendAsync, or a part
	sequence uint64      // of a Send under the client's own producer
	done     bool
}

// slot is the frame of a tag; nil when it is done or was never sent.
func (o *outbox) slot(tag uint64) *slot {
	if tag <= o.base || tag > o.tag {
		return nil
	}
	s := &o.slots[tag&uint64(len(o.slots)-1)]
	if s.done {
		return nil
	}
	return s
}

// roomy reports whether who waits for room is to go on: there is room for many,
// so that they don't go on one by one.
func (o *outbox) roomy() bool {
	return o.tag-o.applied <= maxUnapplied/2 && o.bytes <= maxUnappliedBytes/2 && o.room()
}

// room reports whether another verb may enter.
func (o *outbox) room() bool {
	if o.tag-o.applied >= maxUnapplied || o.bytes >= maxUnappliedBytes || o.tag-o.base >= maxSpan {
		return false
	}
	if o.sequence-o.oldest < maxSpan {
		return true
	}
	o.oldest = o.sequence
	for t := o.base + 1; t <= o.tag; t++ {
		if s := o.slot(t); s != nil && s.sequence != 0 {
			o.oldest = min(o.oldest, s.sequence-1)
		}
	}
	return o.sequence-o.oldest < maxSpan
}

// nextSequence is for a new Send.
func (o *outbox) nextSequence() uint64 {
	o.sequence++
	return o.sequence
}

// begin gives the next tag and the chunk to encode its frame of about size bytes
// into. commit ends it.
func (o *outbox) begin(size int) (*chunk, uint64) {
	if o.open && len(o.tail().buf)+size > chunkBytes {
		o.seal()
	}
	if !o.open {
		o.chunks = append(o.chunks, newChunk())
		o.open = true
	}
	k := o.tail()
	k.grow(size)
	o.bytes -= len(k.buf)
	o.tag++
	return k, o.tag
}

// commit notes the frame that was encoded, and who waits for its answer.
func (o *outbox) commit(k *chunk, s slot) {
	o.bytes += len(k.buf)
	k.last = o.tag
	if o.tag-o.base > uint64(len(o.slots)) {
		o.grow()
	}
	o.slots[o.tag&uint64(len(o.slots)-1)] = s
}

func (o *outbox) grow() {
	old := o.slots
	o.slots = make([]slot, max(64, 2*len(old)))
	for t := o.base + 1; t < o.tag; t++ {
		o.slots[t&uint64(len(o.slots)-1)] = old[t&uint64(len(old)-1)]
	}
}

// abort takes back what begin gave, when the frame can't be encoded; n is what
// was in the chunk.
func (o *outbox) abort(k *chunk, n int) {
	k.buf = k.buf[:n]
	o.bytes += n
	o.tag--
	if n == 0 {
		o.chunks = o.chunks[:len(o.chunks)-1]
		o.open = false
		k.release()
	}
}

// addSend appends a Send.
func (o *outbox) addSend(m *frames.Send, quiet bool, s slot) {
	size := len(m.Body) + len(m.Queue) + len(m.CorrelationID) + len(m.ReplyTo) + len(m.Producer) + len(m.Create) + len(m.Key) + sendOverhead
	for i := range m.Headers {
		size += len(m.Headers[i].Key) + len(m.Headers[i].Value) + headerOverhead
	}
	k, tag := o.begin(size)
	if s.told != nil {
		k.mute = len(k.buf) + 1
	}
	k.buf = m.Append(k.buf, tag, quiet)
	o.commit(k, s)
}

// addReply appends a quiet Reply.
func (o *outbox) addReply(m *frames.Reply) {
	size := len(m.Body) + len(m.Failure) + sendOverhead
	for i := range m.Headers {
		size += len(m.Headers[i].Key) + len(m.Headers[i].Value) + headerOverhead
	}
	k, tag := o.begin(size)
	k.buf = m.Append(k.buf, tag, true)
	o.commit(k, slot{})
}

// addPart appends a quiet Part.
func (o *outbox) addPart(m *frames.Part, s slot) {
	size := len(m.Body) + len(m.ReplyTo) + len(m.CorrelationID) + sendOverhead
	for i := range m.Headers {
		size += len(m.Headers[i].Key) + len(m.Headers[i].Value) + headerOverhead
	}
	k, tag := o.begin(size)
	k.buf = m.Append(k.buf, tag, true)
	o.commit(k, s)
}

// addVerb appends any other verb. It fails when a text is not UTF-8.
func (o *outbox) addVerb(verb frames.Verb, m proto.Message, quiet bool, s slot) error {
	k, tag := o.begin(proto.Size(m) + sendOverhead)
	n := len(k.buf)
	b, err := frames.AppendVerb(k.buf, tag, quiet, verb, m)
	if err != nil {
		o.abort(k, n)
		return invalid("%v", err)
	}
	k.buf = b
	o.commit(k, s)
	return nil
}

// add appends a call's frame.
func (o *outbox) add(c *call) error {
	s := slot{call: c}
	if c.verb != frames.VerbSend {
		return o.addVerb(c.verb, c.msg, false, s)
	}
	if len(c.send.Producer) == 0 {
		s.sequence = c.send.Sequence
	}
	o.addSend(&c.send, false, s)
	return nil
}

func (o *outbox) tail() *chunk { return o.chunks[len(o.chunks)-1] }

// seal ends the open chunk. Its last frame of SendAsync is to be answered, and
// that answer is for all of them.
func (o *outbox) seal() {
	o.open = false
	if k := o.tail(); k.mute > 0 {
		frames.Speak(k.buf[k.mute-1:])
	}
	if o.answers == o.told {
		return
	}
	o.told = o.answers
	k := o.tail()
	n := len(k.buf)
	k.buf = frames.AppendAnswersReceived(k.buf, o.answers)
	o.bytes += len(k.buf) - n
}

// pending reports whether there is something to send.
func (o *outbox) pending() bool { return o.sent < len(o.chunks) || len(o.acks) > 0 || o.due }

// next is the chunk to send, nil if there is none. inboxes may add their acks to
// the last one.
func (o *outbox) next(inboxes []*Inbox) *chunk {
	last := o.sent == len(o.chunks) || o.open && o.sent == len(o.chunks)-1
	if last {
		o.due = false
		o.putAcks()
		for _, i := range inboxes {
			i.putAckLocked()
		}
	}
	if o.sent == len(o.chunks) {
		return nil
	}
	if o.open && o.sent == len(o.chunks)-1 {
		o.seal()
	}
	k := o.chunks[o.sent]
	o.sent++
	return k
}

// putAcks turns the collected acks into one quiet frame.
func (o *outbox) putAcks() {
	if len(o.acks) == 0 {
		return
	}
	k, tag := o.begin(9*len(o.acks) + 16)
	ack := frames.Ack{Leases: o.acks}
	k.buf = ack.Append(k.buf, tag, true)
	o.commit(k, slot{})
	o.acks = o.acks[:0]
}

// answered takes the frame of an answer; ok is false for one that nobody waits
// for.
func (o *outbox) answered(tag uint64) (s slot, ok bool) {
	p := o.slot(tag)
	if p == nil {
		return slot{}, false
	}
	s = *p
	*p = slot{done: true}
	if s.told != nil {
		o.sweep(tag)
		return s, true
	}
	o.trim(tag) // whoever answers it has applied it, and all before it
	o.advance()
	return s, true
}

// trim forgets frames that need not be sent again.
func (o *outbox) trim(applied uint64) {
	o.applied = max(o.applied, min(applied, o.tag))
	n := 0
	for n < o.sent && o.chunks[n].last <= o.applied {
		o.bytes -= len(o.chunks[n].buf)
		o.chunks[n].release()
		n++
	}
	if n > 0 {
		rest := copy(o.chunks, o.chunks[n:])
		clear(o.chunks[rest:])
		o.chunks = o.chunks[:rest]
		o.sent -= n
	}
}

// sweep is trim, and ends the quiet frames up to applied: had they failed, we
// would know.
func (o *outbox) sweep(applied uint64) {
	o.trim(applied)
	applied = min(applied, o.tag) // not o.applied: after a reconnect answers may follow that say what failed
	for t := max(o.swept, o.base) + 1; t <= applied; t++ {
		if s := o.slot(t); s != nil && s.call == nil {
			if s.told != nil {
				o.taken = append(o.taken, s.told)
			}
			*s = slot{done: true}
		}
	}
	o.swept = max(o.swept, applied)
	o.advance()
}

// advance moves base over what is done.
func (o *outbox) advance() {
	for o.base < o.tag {
		s := &o.slots[(o.base+1)&uint64(len(o.slots)-1)]
		if !s.done {
			return
		}
		*s = slot{}
		o.base++
	}
}

// rewind lets everything that was not applied be sent again, on a new stream
// whose Login told the switch of the answers seen.
func (o *outbox) rewind(applied, told uint64) {
	o.trim(applied)
	o.sent, o.told = 0, told
}

// unanswerable takes out the calls that were applied by a switch which has been
// restarted since: no answer will come, and their frames may not be kept any more.
func (o *outbox) unanswerable() (calls []*call) {
	for t := o.base + 1; t <= o.applied; t++ {
		if s := o.slot(t); s != nil && s.call != nil {
			calls = append(calls, s.call)
			*s = slot{done: true}
		}
	}
	o.advance()
	return calls
}

// reset forgets the session. It returns the calls that wait, in order, and who is
// to be told that nobody knows of their messages.
func (o *outbox) reset() (calls []*call, lost []func(error)) {
	for t := o.base + 1; t <= o.tag; t++ {
		switch s := o.slot(t); {
		case s == nil:
		case s.call != nil:
			calls = append(calls, s.call)
		case s.told != nil:
			lost = append(lost, s.told)
		}
	}
	for _, k := range o.chunks {
		k.release()
	}
	clear(o.chunks)
	clear(o.slots)
	*o = outbox{chunks: o.chunks[:0], slots: o.slots, acks: o.acks[:0], taken: o.taken, sequence: o.sequence, oldest: o.oldest}
	return calls, lost
}
