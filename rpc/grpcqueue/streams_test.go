package grpcqueue_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// sized asks for a reply message of each size.
func sized(sizes ...int32) *testpb.StreamingOutputCallRequest {
	req := &testpb.StreamingOutputCallRequest{}
	for _, n := range sizes {
		req.ResponseParameters = append(req.ResponseParameters, &testpb.ResponseParameters{Size: n})
	}
	return req
}

func carrying(body string) *testpb.StreamingInputCallRequest {
	return &testpb.StreamingInputCallRequest{Payload: &testpb.Payload{Body: []byte(body)}}
}

// wantSizes receives messages of these sizes and then the end.
func (w *world) wantSizes(st interface {
	Recv() (*testpb.StreamingOutputCallResponse, error)
}, sizes ...int) error {
	w.Helper()
	for i := 0; ; i++ {
		res, err := st.Recv()
		if err != nil {
			if i != len(sizes) {
				w.Errorf("%d messages, want %d: %v", i, len(sizes), err)
			}
			return err
		}
		if i >= len(sizes) || len(res.GetPayload().GetBody()) != sizes[i] {
			w.Fatalf("message %d has %d bytes, want %v", i, len(res.GetPayload().GetBody()), sizes)
		}
	}
}

func TestServerStreaming(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		st, err := c.StreamingOutputCall(metadata.AppendToOutgoingContext(w.ctx(), "echo", "x"), sized(1, 0, 300_000, 5))
		if err != nil {
			w.Fatal(err)
		}
		header, err := st.Header()
		if err != nil || header.Get("echo") == nil {
			w.Errorf("header %q (%v)", header, err)
		}
		if err := w.wantSizes(st, 1, 0, 300_000, 5); !errors.Is(err, io.EOF) {
			w.Error(err)
		}
		if st.Trailer().Get("late-bin") == nil {
			w.Errorf("trailer %q", st.Trailer())
		}

		st, err = c.StreamingOutputCall(w.ctx(), sized())
		if err != nil {
			w.Fatal(err)
		}
		if err := w.wantSizes(st); !errors.Is(err, io.EOF) {
			w.Errorf("a stream without messages: %v", err)
		}

		fails := sized(3)
		fails.ResponseStatus = &testpb.EchoStatus{Code: int32(codes.DataLoss), Message: "half"}
		st, err = c.StreamingOutputCall(w.ctx(), fails)
		if err != nil {
			w.Fatal(err)
		}
		w.want(w.wantSizes(st, 3), codes.DataLoss, "half", "")
	})
}

func TestClientStreaming(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		for _, n := range []int{0, 1, 2, 50} {
			st, err := c.StreamingInputCall(metadata.AppendToOutgoingContext(w.ctx(), "echo", "x"))
			if err != nil {
				w.Fatal(err)
			}
			for range n {
				if err := st.Send(carrying("12345")); err != nil {
					w.Fatal(err)
				}
			}
			res, err := st.CloseAndRecv()
			if err != nil || res.GetAggregatedPayloadSize() != int32(5*n) {
				w.Errorf("%d messages add up to %d (%v)", n, res.GetAggregatedPayloadSize(), err)
			}
			header, err := st.Header()
			if err != nil || header.Get("echo") == nil || st.Trailer().Get("late-bin") == nil {
				w.Errorf("header %q (%v), trailer %q", header, err, st.Trailer())
			}
		}
	})
}

// A server that has enough ends the call, however much the client still sends.
func TestClientStreamingEndsEarly(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		st, err := c.StreamingInputCall(w.ctx())
		if err != nil {
			w.Fatal(err)
		}
		for err == nil {
			err = st.Send(carrying("enough"))
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(err, io.EOF) {
			w.Errorf("sending ends with %v, want io.EOF", err)
		}
		_, err = st.CloseAndRecv()
		w.want(err, codes.Unknown, "I have enough", "")
	})
}

// Each side waits for the other's messages, many times over, and the server greets
// first.
func TestBidirectional(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		st, err := c.FullDuplexCall(w.ctx())
		if err != nil {
			w.Fatal(err)
		}
		if header, err := st.Header(); err != nil || header.Get("greeting") == nil {
			w.Errorf("the server does not greet: %q (%v)", header, err)
		}
		for i := range 20 {
			if err := st.Send(sized(int32(i), 1)); err != nil {
				w.Fatal(err)
			}
			for _, want := range []int{i, 1} {
				res, err := st.Recv()
				if err != nil || len(res.GetPayload().GetBody()) != want {
					w.Fatalf("round %d: %d bytes (%v), want %d", i, len(res.GetPayload().GetBody()), err, want)
				}
			}
		}
		if err := st.CloseSend(); err != nil {
			w.Error(err)
		}
		if err := w.wantSizes(st); !errors.Is(err, io.EOF) {
			w.Error(err)
		}
	})
}

// A stream ends for both sides when the client cancels, or has no more time.
func TestStreamEnds(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		w.impl.ended = make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		st, err := c.FullDuplexCall(ctx)
		if err != nil {
			w.Fatal(err)
		}
		if err := st.Send(sized(1)); err != nil {
			w.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			w.Fatal(err)
		}
		cancel()
		_, err = st.Recv()
		w.want(err, codes.Canceled, status.Convert(err).Message(), "")
		if err := <-w.impl.ended; status.Code(err) != codes.Canceled {
			w.Errorf("the handler sees %v, want Canceled", err)
		}

		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		in, err := c.StreamingInputCall(ctx)
		if err != nil {
			w.Fatal(err)
		}
		if err := in.Send(carrying("and then silence")); err != nil {
			w.Fatal(err)
		}
		err = in.RecvMsg(&testpb.StreamingInputCallResponse{})
		w.want(err, codes.DeadlineExceeded, status.Convert(err).Message(), "")
		if err := <-w.impl.ended; status.Code(err) != codes.DeadlineExceeded {
			w.Errorf("the handler sees %v, want DeadlineExceeded", err)
		}
	})
}

// A message that is larger than the switch takes ends the call, and the status says
// who does not take it.
func TestOversizedMessages(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		st, err := c.StreamingOutputCall(w.ctx(), sized(1, 1<<20))
		if err != nil {
			w.Fatal(err)
		}
		w.want(w.wantSizes(st, 1), codes.ResourceExhausted, "", "PAYLOAD_TOO_LARGE")

		in, err := c.StreamingInputCall(w.ctx())
		if err != nil {
			w.Fatal(err)
		}
		_ = in.Send(carrying(string(make([]byte, 1<<20)))) // what is wrong comes with the status
		_, err = in.CloseAndRecv()
		w.want(err, codes.ResourceExhausted, "", "PAYLOAD_TOO_LARGE")

		st, err = c.StreamingOutputCall(w.ctx(), &testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 1<<20)}})
		if err == nil {
			_, err = st.Recv()
		}
		w.want(err, codes.ResourceExhausted, "", "PAYLOAD_TOO_LARGE")
	})
}

// When the server of a call that has begun to stream is gone, the caller is told so by the
// switch: nobody else can go on with it.
func TestServerDiesInAStream(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		st, err := c.FullDuplexCall(w.ctx())
		if err != nil {
			w.Fatal(err)
		}
		if err := st.Send(sized(1)); err != nil {
			w.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			w.Fatal(err)
		}
		w.server.Close()
		_, err = st.Recv()
		w.want(err, codes.Aborted, status.Convert(err).Message(), "STREAM_BROKEN")
	})
}

// More metadata than a message may have is refused, by the switch on the way there, and
// for the handler on the way back.
func TestTooMuchMetadata(t *testing.T) {
	everyWay(t, func(w *world, c testpb.TestServiceClient) {
		ctx := w.ctx()
		for range 70 {
			ctx = metadata.AppendToOutgoingContext(ctx, "many", "x")
		}
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
		w.want(err, codes.InvalidArgument, "", "INVALID")
		ctx = w.ctx()
		for range 40 { // which come back twice
			ctx = metadata.AppendToOutgoingContext(ctx, "echo", "x")
		}
		_, err = c.UnaryCall(ctx, &testpb.SimpleRequest{})
		w.want(err, codes.Internal, "", "")
	})
}

// Interceptors of a server see each stream.
func TestStreamInterceptors(t *testing.T) {
	fake(t, func(w *world) {
		var seen []string
		w.serve(grpcqueue.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			seen = append(seen, info.FullMethod)
			return h(srv, ss)
		}))
		st, err := testpb.NewTestServiceClient(grpcqueue.NewConn(w.caller)).StreamingOutputCall(w.ctx(), sized(1))
		if err != nil {
			w.Fatal(err)
		}
		if err := w.wantSizes(st, 1); !errors.Is(err, io.EOF) || len(seen) != 1 {
			w.Errorf("%v, seen %q", err, seen)
		}
	})
}
