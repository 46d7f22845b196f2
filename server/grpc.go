package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/d3b0a776/switch/proto/frames"
	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// What a stranger on the port may use up. gRPC's own defaults are made for
// friends: no bound on streams, none on time to say hello.
const (
	maxStreams        = 1000             // per connection; a client library needs two
	maxHeaderBytes    = 16 << 10         // gRPC's default is 16 MiB
	connectionTimeout = 10 * time.Second // from accept to the end of the HTTP/2 preface; default 120 s
	keepaliveTime     = 20 * time.Second // silence before the switch pings, so that a dead peer is found …
	keepaliveTimeout  = 10 * time.Second // … within 30 s
	keepaliveMinTime  = 5 * time.Second  // a client that pings more often is cut off
	// Static windows turn off gRPC's bandwidth estimation, whose pings cost a
	// lone caller 12 to 21 % of its CPU (docs/benchmarks.md).
	streamWindow = 1 << 20
	connWindow   = 4 << 20
	// socketBuffer is how much is read and written at once, in bytes. gRPC has the
	// memory only while there is something. With its 32 KiB, calls of 64 KiB take
	// about a tenth more CPU.
	socketBuffer = 64 << 10
	// frameOverhead is what a stream message may have besides one largest body:
	// headers, names, and the small frames that came before it.
	frameOverhead = 256 << 10
)

// maxStreamMessage is the largest gRPC message for a largest payload.
func maxStreamMessage(payload int) int { return payload + frameOverhead }

// newGRPC makes the gRPC server with everything that it serves.
func newGRPC(s *Server, cfg Config) (*grpc.Server, *health.Server) {
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(frames.Codec{}),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxRecvMsgSize(maxStreamMessage(cfg.MaxPayload)),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMinTime, PermitWithoutStream: true}),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.ReadBufferSize(socketBuffer),
		grpc.WriteBufferSize(socketBuffer),
		experimental.BufferPool(&frames.Pool),
	}
	others := &unknown{s: s}
	if cfg.Unknown != nil {
		opts = append(opts, grpc.UnknownServiceHandler(others.handle))
	}
	g := grpc.NewServer(append(opts, cfg.GRPC...)...)
	pb.RegisterDataServiceServer(g, &dataService{s: s})
	pb.RegisterAdminServiceServer(g, &adminService{s: s})
	h := health.NewServer()
	healthpb.RegisterHealthServer(g, h)
	for _, name := range []string{"", pb.DataService_ServiceDesc.ServiceName, pb.AdminService_ServiceDesc.ServiceName} {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	if cfg.Register != nil {
		cfg.Register(g)
	}
	if _, has := g.GetServiceInfo()[reflectionpb.ServerReflection_ServiceDesc.ServiceName]; !has {
		reflection.Register(g)
	}
	others.services = g.GetServiceInfo()
	return g, h
}
