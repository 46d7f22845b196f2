package server_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// attached is the driver of a stream: each verb is a frame.
type attached struct {
	conn       *grpc.ClientConn
	stream     grpc.BidiStreamingClient[pb.AttachRequest, pb.AttachResponse]
	cancel     context.CancelFunc
	deliveries chan *pb.Delivery    // the reader's; never closed
	notices    chan *pb.ServerFrame // the same
	over       chan struct{}        // closed by the reader at the stream's end …
	err        error                // … which is this

	mu       sync.Mutex // guards what is below
	tag      uint64     // of the last frame
	applied  uint64     // as the switch has told
	received uint64     // answers
	answers  map[uint64]chan *pb.ServerFrame
}

func loginAttach(ctx context.Context, conn *grpc.ClientConn, req *pb.LoginRequest) (driver, *pb.LoginResponse, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := pb.NewDataServiceClient(conn).Attach(life)
	if err != nil {
		cancel()
		return nil, nil, refusalOf(err)
	}
	a := &attached{conn: conn, stream: stream, cancel: cancel, deliveries: make(chan *pb.Delivery, 1<<12),
		notices: make(chan *pb.ServerFrame, 16), over: make(chan struct{}), answers: map[uint64]chan *pb.ServerFrame{}}
	login := make(chan *pb.ServerFrame, 1)
	a.answers[0] = login
	go a.read()                  // ends with the stream
	_ = a.write(frameOf(0, req)) // if it fails, the stream is over
	f, err := await(ctx, login, a.over)
	if f == nil {
		cancel()
		return nil, nil, errors.Join(err, a.end())
	}
	a.tag = f.GetLogin().GetApplied()
	return a, f.GetLogin(), nil
}

// frameOf is a verb as a frame.
func frameOf(tag uint64, verb proto.Message) *pb.ClientFrame {
	f := &pb.ClientFrame{Tag: tag}
	verbs := f.ProtoReflect().Descriptor().Oneofs().ByName("verb").Fields()
	for i := range verbs.Len() {
		if verbs.Get(i).Message() == verb.ProtoReflect().Descriptor() {
			f.ProtoReflect().Set(verbs.Get(i), protoreflect.ValueOfMessage(verb.ProtoReflect()))
			return f
		}
	}
	panic("no frame carries a " + string(verb.ProtoReflect().Descriptor().Name()))
}

// eventOf is what a frame carries.
func eventOf(f *pb.ServerFrame) proto.Message {
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("event"))
	if field == nil {
		return nil
	}
	return m.Get(field).Message().Interface()
}

func (a *attached) write(fs ...*pb.ClientFrame) error {
	if err := a.stream.Send(&pb.AttachRequest{Frames: fs}); err != nil {
		<-a.over // the reader knows why
		return a.end()
	}
	return nil
}

// read routes what comes, until the stream ends.
func (a *attached) read() {
	defer close(a.over)
	for {
		res, err := a.stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			a.err = refusalOf(err)
			return
		}
		for _, f := range res.GetFrames() {
			a.route(f)
		}
		a.mu.Lock()
		a.applied = max(a.applied, res.GetApplied())
		a.mu.Unlock()
	}
}

func (a *attached) route(f *pb.ServerFrame) {
	a.mu.Lock()
	answer := a.answers[f.GetTag()]
	delete(a.answers, f.GetTag())
	if f.GetTag() != 0 {
		a.received++
	}
	a.mu.Unlock()
	switch {
	case f.GetDelivery() != nil:
		a.deliveries <- f.GetDelivery()
	case answer != nil:
		answer <- f
	default:
		a.notices <- f
	}
}

func (a *attached) do(ctx context.Context, verb proto.Message) (proto.Message, error) {
	answer := make(chan *pb.ServerFrame, 1)
	a.mu.Lock()
	a.tag++
	tag := a.tag
	a.answers[tag] = answer
	a.mu.Unlock()
	if err := a.write(frameOf(tag, verb)); err != nil {
		return nil, err
	}
	f, err := await(ctx, answer, a.over)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return nil, a.end()
	case f.GetFailure() != nil:
		return nil, refusal{f.GetFailure()}
	}
	return eventOf(f), nil
}

// await is what comes first, or nil when it is over and nothing has come.
func await[T any](ctx context.Context, c <-chan *T, over <-chan struct{}) (*T, error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-over:
	}
	select {
	case v := <-c: // it came before the end
		return v, nil
	default:
		return nil, nil
	}
}

// end is how the stream ended.
func (a *attached) end() error {
	if a.err == nil {
		return errors.New("the stream ended")
	}
	return a.err
}

func (a *attached) next(ctx context.Context, wait time.Duration) (*pb.Delivery, error) {
	if wait == 0 {
		// A delivery that was made before the answer to a verb comes before it,
		// so any verb will do; this one only fails.
		if _, err := a.do(ctx, &pb.UnsubscribeRequest{Consumer: 1 << 40}); !isReason(err, pb.Reason_REASON_CONSUMER_NOT_FOUND) {
			return nil, err
		}
		select {
		case d := <-a.deliveries:
			return d, nil
		default:
			return nil, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	d, err := await(ctx, a.deliveries, a.over)
	switch {
	case err != nil:
		return nil, nil // the time is up
	case d == nil:
		return nil, a.end()
	}
	return d, nil
}

func (a *attached) orphan(ctx context.Context, wait time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		f, err := await(ctx, a.notices, a.over)
		switch {
		case err != nil:
			return 0, nil // the time is up
		case f == nil:
			return 0, a.end()
		case f.GetCancelled() != nil:
			return f.GetCancelled().GetLease(), nil
		}
	}
}

func (a *attached) rebind(ctx context.Context, consumer, afterLease uint64) error {
	_, err := a.do(ctx, &pb.SubscribeRequest{Consumer: consumer, AfterLease: afterLease})
	return err
}

func (a *attached) close() {
	_ = a.conn.Close()
	a.cancel()
	<-a.over
}
