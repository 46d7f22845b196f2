package queue

import (
	"strconv"
	"strings"
	"time"
)

// Instant is a point in time: nanoseconds since the Unix epoch, from a clock
// that never goes back. Zero means never.
type Instant int64

// Add is i moved by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub is how long i is after j.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// until is how long i is in the future at now, at least zero.
func (i Instant) until(now Instant) time.Duration { return max(0, i.Sub(now)) }

// ID names a message. It is never used again: sequences rise within an epoch,
// and each start of the switch has an epoch of its own.
type ID struct {
	Shard    uint16 // always 0 today
	Epoch    uint64 // which start of the switch; milliseconds since 1970, or later
	Sequence uint64 // counts from 1
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id.Sequence == 0 }

// Before reports whether id was made before other.
func (id ID) Before(other ID) bool {
	if id.Epoch != other.Epoch {
		return id.Epoch < other.Epoch
	}
	return id.Sequence < other.Sequence
}

// idBase is a power of two because an id is written with every delivery, and
// other bases divide: base 32 took 7 % of the switch's time.
const idBase = 32

// idLength is how long an id may be: 16 bits, and twice 64, five in each digit.
const idLength = 4 + 1 + 13 + 1 + 13

// Append appends the id's text form: shard, epoch and sequence in base 32.
func (id ID) Append(b []byte) []byte {
	var text [idLength]byte // from its end
	at := digits(&text, idLength, id.Sequence) - 1
	text[at] = '-'
	at = digits(&text, at, id.Epoch) - 1
	text[at] = '-'
	at = digits(&text, at, uint64(id.Shard))
	return append(b, text[at:]...)
}

// digits writes n so that it ends before end, and returns where it begins.
// strconv.AppendUint does not know that its base is a constant.
func digits(text *[idLength]byte, end int, n uint64) (begin int) {
	for {
		end--
		text[end] = "0123456789abcdefghijklmnopqrstuv"[n%idBase]
		if n /= idBase; n == 0 {
			return end
		}
	}
}

// String is the id's text form; the zero ID is empty.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id.Append(make([]byte, 0, idLength)))
}

// ParseID reads what String wrote. The error is ErrInvalid.
func ParseID(s string) (ID, error) {
	shard, rest, _ := strings.Cut(s, "-")
	epoch, seq, ok := strings.Cut(rest, "-")
	n, err1 := strconv.ParseUint(shard, idBase, 16)
	e, err2 := strconv.ParseUint(epoch, idBase, 64)
	q, err3 := strconv.ParseUint(seq, idBase, 64)
	id := ID{Shard: uint16(n), Epoch: e, Sequence: q}
	if !ok || err1 != nil || err2 != nil || err3 != nil || id.String() != s {
		return ID{}, errorf(ErrInvalid, "message id %s is not one of this switch; use one that it printed", quote(s))
	}
	return id, nil
}

// SessionID names a session inside the switch; the token outside is made of it.
// It is never used again.
type SessionID uint64

// ConsumerID names a consumer within its session; counts from 1.
type ConsumerID uint64

// Lease names one delivery of one message. Leases rise with every delivery and
// are never used again, also across restarts.
type Lease uint64

// leaseBits is how far an epoch is shifted for its first lease and session. An
// epoch is at least a millisecond, so a start would have to make four billion
// leases a second to reach the next start's range.
const leaseBits = 22
