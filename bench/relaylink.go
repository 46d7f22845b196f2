package main

import (
	"errors"
	"runtime"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// linkFull is how many bytes may be pending before whoever appends must send
// them. Larger stream messages gained nothing (docs/benchmarks.md).
const linkFull = 64 << 10

// A relayed is a stream, of either side.
type relayed interface {
	SendMsg(message any) error
	RecvMsg(message any) error
}

// A link sends many frames in one message of its stream. It has no goroutine:
// whoever appends flushes.
type link struct {
	stream  relayed
	sending sync.Mutex // held over stream.SendMsg
	mu      sync.Mutex
	pending *[]byte // encoded frames; guarded by mu
}

// append encodes a frame, to be sent with the next flush.
func (l *link) append(f frame) error {
	l.mu.Lock()
	if l.pending == nil {
		l.pending = relayBuffers.take()
	}
	*l.pending = appendFrame(*l.pending, f)
	full := len(*l.pending) > linkFull
	l.mu.Unlock()
	if full {
		return l.flush()
	}
	return nil
}

// send is for callers. It lets others append first, so that one of them sends
// what all have.
func (l *link) send(f frame) error {
	if err := l.append(f); err != nil {
		return err
	}
	runtime.Gosched()
	return l.flush()
}

// flush sends what is pending, unless somebody else already has.
func (l *link) flush() error {
	l.sending.Lock()
	defer l.sending.Unlock()
	l.mu.Lock()
	batch := l.pending
	l.pending = nil
	l.mu.Unlock()
	if batch == nil {
		return nil
	}
	return l.stream.SendMsg(batch)
}

// pass sends frames that somebody else has encoded.
func (l *link) pass(batch *[]byte) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	return l.stream.SendMsg(batch)
}

// end sends what is pending, and waits until the other side has taken all of it:
// who ends the process before loses what gRPC still has.
func (l *link) end() error {
	if err := l.flush(); err != nil {
		return err
	}
	if s, ok := l.stream.(grpc.ClientStream); ok {
		if err := s.CloseSend(); err != nil {
			return err
		}
	}
	for {
		var batch mem.Buffer
		if err := l.stream.RecvMsg(&batch); err != nil {
			return nil // it has ended, as it should
		}
		batch.Free()
	}
}

// receive calls on for each frame, which is valid during the call only, and then
// after once for the message that they came in.
func (l *link) receive(on func(frame) error, after func() error) error {
	for {
		var batch mem.Buffer
		if err := l.stream.RecvMsg(&batch); err != nil {
			return err
		}
		for rest := batch.ReadOnlyData(); len(rest) > 0; {
			f, n, err := parseFrame(rest)
			if err != nil {
				return err
			}
			if err := on(f); err != nil {
				return err
			}
			rest = rest[n:]
		}
		batch.Free()
		if err := after(); err != nil {
			return err
		}
	}
}

// touched are the links that have something to send.
type touched []*link

func (t *touched) append(to *link, f frame) error {
	if !slices.Contains(*t, to) {
		*t = append(*t, to)
	}
	return to.append(f)
}

func (t *touched) flush() error {
	var failed error
	for _, to := range *t {
		failed = errors.Join(failed, to.flush())
	}
	*t = (*t)[:0]
	return failed
}
