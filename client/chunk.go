package client

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/d3b0a776/switch/proto/frames"
)

const (
	// chunkBytes is where one stream message ends and the next begins: the same
	// as the switch's. A larger frame has a chunk of its own.
	chunkBytes = 64 << 10
	// minChunk is more than gRPC's threshold for giving buffers back (1 KiB).
	minChunk = 4 << 10
	// maxPooled is the largest buffer that a chunk keeps for later.
	maxPooled = 2 * chunkBytes
)

// A chunk is one stream message: frames, encoded one after the other. It is sent
// as it is, and sent again as it is after a reconnect; the switch skips the
// frames in it that it has applied. It goes back to the pool when the switch has
// applied its last frame and gRPC has let go of it.
type chunk struct {
	buf   []byte
	last  uint64       // tag of its last frame
	large *[]byte      // what buf is part of, if that is one of frames.Pool
	mute  int          // where its last frame of SendAsync begins, from 1; 0: there is none
	refs  atomic.Int32 // the outbox's, and one for each sending under way

	first sending // the first time it is sent, which for most is the only one
	again bool    // first is used
}

var chunks = sync.Pool{New: func() any { return &chunk{buf: make([]byte, 0, minChunk)} }}

func newChunk() *chunk {
	k := chunks.Get().(*chunk)
	k.buf, k.last, k.mute, k.again = k.buf[:0], 0, 0, false
	k.refs.Store(1)
	return k
}

// release gives up one hold of k.
func (k *chunk) release() {
	if k.refs.Add(-1) > 0 {
		return
	}
	if k.large != nil {
		*k.large = k.buf
		frames.Pool.Put(k.large)
		k.large, k.buf = nil, nil
		return
	}
	if cap(k.buf) <= maxPooled {
		chunks.Put(k)
	}
}

// grow makes room for a frame of size bytes: once, not by doubling.
func (k *chunk) grow(size int) {
	need := len(k.buf) + size
	if need <= maxPooled || need <= cap(k.buf) {
		return
	}
	large := frames.Pool.Get(need)
	k.buf, k.large = append((*large)[:0], k.buf...), large
}

// sendOn prepares k for the stream. The transport gives it back by Put, unless
// its connection dies; then the garbage collector gets it.
func (k *chunk) sendOn(st *stream) *sending {
	s := &k.first
	if k.again {
		s = new(sending)
	}
	k.again = true
	k.refs.Add(1)
	*s = sending{chunk: k, stream: st}
	s.out = frames.Outgoing{Data: &k.buf, Pool: s}
	st.inTransport.Add(int64(len(k.buf)))
	return s
}

// sending is one hand-over of a chunk to gRPC, as the pool that its memory goes
// back to.
type sending struct {
	out    frames.Outgoing
	chunk  *chunk
	stream *stream
}

var _ mem.BufferPool = (*sending)(nil)

// Get is part of mem.BufferPool; gRPC asks its own.
func (s *sending) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put is called once gRPC has written the chunk.
func (s *sending) Put(*[]byte) {
	s.stream.inTransport.Add(-int64(len(s.chunk.buf)))
	s.chunk.release()
}
