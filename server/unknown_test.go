package server_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/d3b0a776/switch/proto/frames"
	"github.com/d3b0a776/switch/server"
)

// Calls of services that the switch does not have reach who is to answer them, byte for
// byte, and nobody if there is no such handler.
func TestUnknownServices(t *testing.T) {
	var methods []string
	echo := func(_ any, ss grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(ss)
		methods = append(methods, method)
		var b []byte
		if err := ss.RecvMsg(&b); err != nil {
			return err
		}
		b = append(b, b...)
		return ss.SendMsg(&b)
	}
	inFakeTime(t, forms[0], server.Config{Unknown: echo}, func(s *scene) {
		conn := s.dial()
		got, sent := []byte(nil), bytes.Repeat([]byte("\x00\xff"), 50_000)
		if err := conn.Invoke(s.Context(), "/any.Service/Method", &sent, &got, grpc.ForceCodecV2(frames.Codec{})); err != nil {
			s.Fatal(err)
		}
		if !bytes.Equal(got, append(slices.Clone(sent), sent...)) {
			s.Errorf("%d bytes came back", len(got))
		}
		err := conn.Invoke(s.Context(), "/messageswitch.v1.DataService/Verb", &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) != codes.Unimplemented || !slices.Equal(methods, []string{"/any.Service/Method"}) {
			s.Errorf("a verb that the switch lacks: %v; passed on: %q", err, methods)
		}
	})
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		err := s.dial().Invoke(s.Context(), "/any.Service/Method", &emptypb.Empty{}, &wrapperspb.BytesValue{})
		if status.Code(err) != codes.Unimplemented {
			s.Errorf("without a handler: %v", err)
		}
	})
}

// Calls that are passed on end with the switch, at once and with its word, as long polls
// do.
func TestUnknownServicesEndWithTheSwitch(t *testing.T) {
	begun := make(chan struct{})
	waits := func(_ any, ss grpc.ServerStream) error {
		close(begun)
		<-ss.Context().Done()
		return ss.Context().Err()
	}
	inFakeTime(t, forms[0], server.Config{Unknown: waits}, func(s *scene) {
		conn, told := s.dial(), make(chan error)
		go func() { // waited for below
			told <- conn.Invoke(s.Context(), "/any.Service/Method", &emptypb.Empty{}, &emptypb.Empty{})
		}()
		<-begun
		took := s.drain()
		err := <-told
		if st := status.Convert(err); st.Code() != codes.Unavailable || len(st.Details()) == 0 {
			s.Errorf("the caller is told %v", err)
		}
		if took := <-took; took > time.Millisecond {
			s.Errorf("the call holds the end up for %v", took)
		}
	})
}

// Who is refused is not passed on either.
func TestUnknownServicesAuthenticate(t *testing.T) {
	cfg := server.Config{
		Unknown:      func(any, grpc.ServerStream) error { t.Error("it was passed on"); return nil },
		Authenticate: func(context.Context) (string, error) { return "", status.Error(codes.PermissionDenied, "not you") },
	}
	inFakeTime(t, forms[0], cfg, func(s *scene) {
		err := s.dial().Invoke(s.Context(), "/any.Service/Method", &emptypb.Empty{}, &emptypb.Empty{})
		if st := status.Convert(err); st.Code() != codes.PermissionDenied || st.Message() != "not you" {
			s.Errorf("the caller is told %v", err)
		}
	})
}

// A program may add services to the switch's, and reflection of its own.
func TestRegister(t *testing.T) {
	asked := false
	own := reflectionFunc(func(st grpc.BidiStreamingServer[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]) error {
		asked = true
		return nil
	})
	cfg := server.Config{Register: func(g reflection.GRPCServer) { reflectionpb.RegisterServerReflectionServer(g, own) }}
	inFakeTime(t, forms[0], cfg, func(s *scene) {
		st, err := reflectionpb.NewServerReflectionClient(s.dial()).ServerReflectionInfo(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		_, _ = st.Recv()
		if !asked {
			s.Error("the program's reflection is not asked")
		}
	})
}

type reflectionFunc func(grpc.BidiStreamingServer[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]) error

func (f reflectionFunc) ServerReflectionInfo(st grpc.BidiStreamingServer[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]) error {
	return f(st)
}
