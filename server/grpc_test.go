package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// Health checks answer for the switch and for each service; from the drain on,
// nothing serves.
func TestHealthService(t *testing.T) {
	inFakeTime(t, forms[0], server.Config{}, func(s *scene) {
		_, w, held := aCall(s)
		c := healthpb.NewHealthClient(s.dial())
		services := []string{"", "messageswitch.v1.DataService", "messageswitch.v1.AdminService"}
		are := func(want healthpb.HealthCheckResponse_ServingStatus) {
			s.Helper()
			for _, name := range services {
				res, err := c.Check(s.Context(), &healthpb.HealthCheckRequest{Service: name})
				if err != nil || res.GetStatus() != want {
					s.Errorf("%q is %v (%v), want %v", name, res.GetStatus(), err, want)
				}
			}
		}
		are(healthpb.HealthCheckResponse_SERVING)
		if _, err := c.Check(s.Context(), &healthpb.HealthCheckRequest{Service: "messageswitch.v2"}); err == nil {
			s.Error("a service that is none has a health")
		}
		watch, err := c.Watch(s.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			s.Fatal(err)
		}
		for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
			res, err := watch.Recv()
			if err != nil || res.GetStatus() != want {
				s.Errorf("the watch says %v (%v), want %v", res.GetStatus(), err, want)
			}
			s.drain() // joins itself
		}
		are(healthpb.HealthCheckResponse_NOT_SERVING)
		w.ack(held)
		if took := <-s.drain(); took > 5*time.Second {
			s.Errorf("a watch holds the end up for %v", took)
		}
	})
}

// A client that knows nothing learns the whole protocol from the switch.
func TestReflection(t *testing.T) {
	s := newScene(t, forms[0], transports[1], server.Config{})
	stream, err := reflectionpb.NewServerReflectionClient(s.dial()).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asks := func(req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	var services []string
	list := asks(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	for _, svc := range list.GetListServicesResponse().GetService() {
		services = append(services, svc.GetName())
	}
	for _, want := range []string{"messageswitch.v1.DataService", "messageswitch.v1.AdminService", "grpc.health.v1.Health"} {
		if !slices.Contains(services, want) {
			t.Errorf("the services are %q, without %s", services, want)
		}
	}
	symbol := asks(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "messageswitch.v1.DataService.Transfer"}})
	var messages []string
	for _, b := range symbol.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		for _, m := range file.GetMessageType() {
			messages = append(messages, m.GetName())
		}
	}
	if !slices.Contains(messages, "TransferRequest") || !slices.Contains(messages, "Failure") {
		t.Errorf("the messages are %q", messages)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}

// Largest payloads go through, both ways and in both forms: the bound of gRPC
// leaves room for what is around a body.
func TestLargestPayload(t *testing.T) {
	const largest = 2 << 20
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s := newScene(t, f, transports[1], server.Config{MaxPayload: largest})
			addr := s.sw.Addr()
			s.dial = func() *grpc.ClientConn {
				return connect(t, addr, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest+server.FrameOverhead)))
			}
			p := s.client("p")
			p.create("q", nil)
			headers := map[string]string{}
			for i := range 16 {
				headers[fmt.Sprintf("%0100d", i)] = fmt.Sprintf("%0900d", i)
			}
			must[*pb.SendResponse](p, &pb.SendRequest{Queue: "q", Body: make([]byte, largest), Headers: headers, ReplyTo: p.temporary(), CorrelationId: "c"})
			p.subscribe("q", 1)
			d := p.take()
			must[*pb.ReplyResponse](p, &pb.ReplyRequest{Lease: d.GetLease(), Body: make([]byte, largest), Headers: headers})
			if r := p.take(); len(r.GetBody()) != largest || len(d.GetBody()) != largest || len(r.GetHeaders()) != 16 {
				t.Errorf("got %d bytes, and back %d", len(d.GetBody()), len(r.GetBody()))
			}
			p.refused(&pb.SendRequest{Queue: "q", Body: make([]byte, largest+1)}, codes.InvalidArgument, pb.Reason_REASON_PAYLOAD_TOO_LARGE)
		})
	}
}
