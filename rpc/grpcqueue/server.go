package grpcqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// A Server answers the calls of gRPC services that come through queues. Services
// are registered first, as with a *grpc.Server; then its methods are safe for
// concurrent use. It has the reflection service, unless another one was
// registered.
type Server struct {
	codec   encoding.CodecV2
	unary   []grpc.UnaryServerInterceptor
	stream  []grpc.StreamServerInterceptor
	unknown grpc.StreamHandler // nil: what is not registered is refused

	services map[string]*service // by name
	reflect  sync.Once
}

var _ reflection.GRPCServer = (*Server)(nil)

// A service is one that was registered.
type service struct {
	impl    any
	desc    *grpc.ServiceDesc
	unary   map[string]*grpc.MethodDesc
	streams map[string]*grpc.StreamDesc
}

// NewServer makes a server without services.
func NewServer(opts ...ServerOption) *Server {
	s := &Server{codec: protoCodec(), services: map[string]*service{}}
	for _, o := range opts {
		o.applyToServer(s)
	}
	return s
}

// RegisterService implements [grpc.ServiceRegistrar], for generated code. It panics when the
// service is registered already or impl does not implement it.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if s.services[desc.ServiceName] != nil {
		panic(fmt.Sprintf("grpcqueue: service %s is registered already", desc.ServiceName))
	}
	if impl != nil {
		if want := reflect.TypeOf(desc.HandlerType).Elem(); !reflect.TypeOf(impl).Implements(want) {
			panic(fmt.Sprintf("grpcqueue: %T does not implement %v", impl, want))
		}
	}
	svc := &service{impl: impl, desc: desc, unary: map[string]*grpc.MethodDesc{}, streams: map[string]*grpc.StreamDesc{}}
	for i := range desc.Methods {
		svc.unary[desc.Methods[i].MethodName] = &desc.Methods[i]
	}
	for i := range desc.Streams {
		svc.streams[desc.Streams[i].StreamName] = &desc.Streams[i]
	}
	s.services[desc.ServiceName] = svc
}

// GetServiceInfo describes the services, as that of *grpc.Server does.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := make(map[string]grpc.ServiceInfo, len(s.services))
	for name, svc := range s.services {
		info := grpc.ServiceInfo{Metadata: svc.desc.Metadata}
		for _, m := range svc.desc.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, m := range svc.desc.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams})
		}
		all[name] = info
	}
	return all
}

// reflectionPackage has the names of the reflection services, v1 and v1alpha.
const reflectionPackage = "grpc.reflection."

// addReflection registers the reflection service, the first time.
func (s *Server) addReflection() {
	s.reflect.Do(func() {
		for name := range s.services {
			if strings.HasPrefix(name, reflectionPackage) {
				return
			}
		}
		if s.unknown == nil { // else who answers what is unknown answers that
			reflection.Register(s)
		}
	})
}

// Serve takes calls from the queue of each service, which has the service's name,
// until ctx ends: rpc.Serve, once for each, with rpc.Describe. When one of them can't
// go on, the others end too. To serve a queue of another name, give s.Handle to
// rpc.Serve.
func (s *Server) Serve(ctx context.Context, c *client.Client, opts ...rpc.ServeOption) error {
	s.addReflection()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, name := range slices.Sorted(maps.Keys(s.services)) {
		if strings.HasPrefix(name, reflectionPackage) {
			continue // it is asked for in the queue of the service that it is asked about
		}
		wg.Go(func() {
			defer stop()
			about := rpc.Describe(s.services[name].describe())
			err := rpc.Serve(ctx, c, name, s.Handle, append([]rpc.ServeOption{about}, opts...)...)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Handle answers one call, whose method a header of the request names. It is an
// rpc.Handler, for rpc.Serve.
func (s *Server) Handle(ctx context.Context, req *rpc.Request) ([]byte, error) {
	s.addReflection()
	full, is := req.Headers[headerMethod]
	if !is {
		return nil, status.Errorf(codes.InvalidArgument, "the request names no method: it has no header %q", headerMethod)
	}
	serviceName, method, err := splitMethod(full)
	if err != nil {
		return nil, err
	}
	md, err := metadataOf(req.Headers, "")
	if err != nil {
		return nil, err
	}
	k := newServerCall(metadata.NewIncomingContext(ctx, md), s, req, full)
	svc := s.services[serviceName]
	if svc != nil {
		if m := svc.unary[method]; m != nil {
			return k.unary(svc.impl, m)
		}
		if m := svc.streams[method]; m != nil {
			return k.streams(svc.impl, m)
		}
	}
	switch {
	case s.unknown != nil:
		return k.streams(nil, &grpc.StreamDesc{StreamName: method, Handler: s.unknown, ServerStreams: true, ClientStreams: true})
	case svc == nil:
		return nil, status.Errorf(codes.Unimplemented, "unknown service %s: the server of queue %q does not have it", serviceName, req.Queue)
	default:
		return nil, status.Errorf(codes.Unimplemented, "unknown method %s for service %s", method, serviceName)
	}
}
