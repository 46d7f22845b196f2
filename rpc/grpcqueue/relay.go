package grpcqueue

import (
	"io"

	"google.golang.org/grpc"
)

// A Relay passes the messages of one call on as they are, from In, where the call
// comes from, to Out, where it is answered, and back. Both have [RawCodec] or one like
// it.
type Relay struct {
	In  grpc.ServerStream
	Out grpc.ClientStream
}

// Requests passes the messages of the caller on, until they end or the call does. In
// the second case somebody else has the reason.
func (r Relay) Requests() {
	for {
		var m []byte
		if err := r.In.RecvMsg(&m); err != nil {
			if err == io.EOF { //nolint:errorlint // RecvMsg never wraps it
				_ = r.Out.CloseSend() // Replies tells what is wrong
			}
			return
		}
		if r.Out.SendMsg(&m) != nil {
			return
		}
	}
}

// Replies passes on what the server answers, and gives its status.
func (r Relay) Replies() error {
	if header, err := r.Out.Header(); err == nil && worthSending(header) {
		if err := r.In.SendHeader(header); err != nil {
			return err
		}
	}
	for {
		var m []byte
		if err := r.Out.RecvMsg(&m); err != nil {
			r.In.SetTrailer(r.Out.Trailer())
			if err == io.EOF { //nolint:errorlint // RecvMsg never wraps it
				return nil
			}
			return err
		}
		if err := r.In.SendMsg(&m); err != nil {
			return err
		}
	}
}

// worthSending says whether header metadata has anything of the application's: an
// empty one need not go ahead of the first message.
func worthSending(md map[string][]string) bool {
	for key := range md {
		if travels(key) {
			return true
		}
	}
	return false
}
