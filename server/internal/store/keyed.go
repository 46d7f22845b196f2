package store

import (
	"slices"
	"time"
)

// Keyed is a call with an idempotency key. While it is not answered its request
// is among the messages; then its reply is here.
type Keyed struct {
	Queue     uint64
	Request   uint64 // the sequence of the request
	Key       string
	Principal string // of who sent it
	Digest    [16]byte
	TTL       time.Duration // how long the reply is kept
	Detached  bool          // it goes on when nobody waits

	Answered bool
	Expires  int64 // when the reply is forgotten, in nanoseconds since 1970
	Sender   string
	Failure  []byte // opaque here
	Headers  []Header
	Body     []byte
}

// Flags of a keyed call.
const (
	flagAnswered = 1 << iota
	flagDetached

	keyedFlagsKnown = 1<<iota - 1
)

// PutKeyed stores a call with a key, over an earlier form of it.
func (b *Batch) PutKeyed(k *Keyed) {
	b.raise(keyedFormat)
	b.put(appendPlace(b.key(), familyKeyed, k.Queue, k.Request), appendKeyed(b.value(), k))
}

// DeleteKeyed forgets a call with a key, whose reply had a body of some bytes.
func (b *Batch) DeleteKeyed(queue, request uint64, bytes int) {
	b.deleted += int64(bytes)
	b.delete(appendPlace(b.key(), familyKeyed, queue, request))
}

func appendKeyed(b []byte, k *Keyed) []byte {
	flags := byte(0)
	if k.Answered {
		flags |= flagAnswered
	}
	if k.Detached {
		flags |= flagDetached
	}
	b = append(b, valueFormat, flags)
	b = append(b, k.Digest[:]...)
	b = appendBytes(b, k.Key)
	b = appendBytes(b, k.Principal)
	b = appendInt(b, int64(k.TTL))
	b = appendInt(b, k.Expires)
	b = appendBytes(b, k.Sender)
	b = appendBytes(b, k.Failure)
	b = appendHeaders(b, k.Headers)
	return append(b, k.Body...)
}

func decodeKeyed(key, value []byte) (*Keyed, error) {
	k := new(Keyed)
	var err error
	if k.Queue, k.Request, err = splitPlace(key); err != nil {
		return nil, err
	}
	d := decode(value)
	flags := d.byte()
	if flags > keyedFlagsKnown {
		d.fail("it has unknown flags %#x", flags)
	}
	k.Answered, k.Detached = flags&flagAnswered != 0, flags&flagDetached != 0
	for i := range k.Digest {
		k.Digest[i] = d.byte()
	}
	k.Key = d.string()
	k.Principal = d.string()
	k.TTL = time.Duration(d.int64())
	k.Expires = d.int64()
	k.Sender = d.string()
	k.Failure = slices.Clone(d.optional())
	k.Headers = d.headers()
	if len(d.rest) > 0 {
		k.Body = slices.Clone(d.rest)
		d.rest = nil
	}
	return k, d.end(key)
}
