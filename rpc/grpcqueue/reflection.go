package grpcqueue

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/d3b0a776/switch/rpc"
)

const (
	// describeTime bounds the wait for whoever serves a service to describe it.
	describeTime = 5 * time.Second
	// maxFiles bounds the files of one description. The largest APIs have some
	// thousands.
	maxFiles = 10_000
	// maxListed bounds how many services are listed.
	maxListed = 1000
)

// The reflection service, in its two versions, which differ in the name alone.
var reflectionMethods = []string{
	"/" + reflectionv1.ServerReflection_ServiceDesc.ServiceName + "/ServerReflectionInfo",
	"/" + reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName + "/ServerReflectionInfo",
}

// RegisterReflection adds server reflection to the gateway's gRPC server. It
// describes the server's own services, and those behind queues, about which it
// asks whoever serves them. It lists the server's own, and those that say of
// themselves that they are gRPC services, as a Server does.
func (g *Gateway) RegisterReflection(s reflection.GRPCServer) {
	opts := reflection.ServerOptions{Services: listing{s, g}, DescriptorResolver: resolver{g}}
	reflectionv1.RegisterServerReflectionServer(s, reflection.NewServerV1(opts))
	reflectionv1alpha.RegisterServerReflectionServer(s, reflection.NewServer(opts))
}

// A listing names the services that there are.
type listing struct {
	own     reflection.ServiceInfoProvider
	gateway *Gateway
}

// GetServiceInfo implements [reflection.ServiceInfoProvider]. The names alone count.
func (l listing) GetServiceInfo() map[string]grpc.ServiceInfo {
	all := l.own.GetServiceInfo()
	inside := l.gateway.inside.Load()
	if inside == nil {
		return all
	}
	ctx, cancel := context.WithTimeout(context.Background(), describeTime)
	defer cancel()
	for i, err := range inside.routes.admin.Services(ctx, "") {
		if err != nil || len(all) >= maxListed {
			break
		}
		if i.Info.Metadata[ProtocolKey] == ProtocolGRPC {
			all[i.Info.Name] = grpc.ServiceInfo{}
		}
	}
	return all
}

// A resolver finds descriptors in this program and behind the queues.
type resolver struct{ gateway *Gateway }

var _ protodesc.Resolver = resolver{}

// FindFileByPath implements [protodesc.Resolver]: what was not asked for by symbol
// before, and is not ours, is not found.
func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if fd, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
		return fd, nil
	}
	for _, files := range r.gateway.files.all() {
		if fd, err := files.FindFileByPath(path); err == nil {
			return fd, nil
		}
	}
	return nil, protoregistry.NotFound
}

// FindDescriptorByName implements [protodesc.Resolver].
func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	for _, files := range r.gateway.files.all() {
		if d, err := files.FindDescriptorByName(name); err == nil {
			return d, nil
		}
	}
	// A symbol is a service, or in one if it is a method.
	for service := name; service != "" && service.Parent() != ""; service = service.Parent() {
		files, err := r.gateway.describe(string(service))
		if err != nil {
			continue
		}
		if d, err := files.FindDescriptorByName(name); err == nil {
			r.gateway.files.add(string(service), files)
			return d, nil
		}
	}
	return nil, protoregistry.NotFound
}

// describe asks whoever serves a service for the files that describe it.
func (g *Gateway) describe(service string) (*protoregistry.Files, error) {
	inside := g.inside.Load()
	if inside == nil {
		return nil, errNotStarted
	}
	ctx, cancel := context.WithTimeout(context.Background(), describeTime)
	defer cancel()
	route, err := inside.routes.find(ctx, service)
	if err != nil {
		return nil, err
	}
	conn := NewConn(inside.caller, Queue(route.queue), CallWith(rpc.RequireServer()))
	for _, method := range reflectionMethods {
		var files *protoregistry.Files
		if files, err = askFiles(ctx, conn, method, service); status.Code(err) != codes.Unimplemented {
			return files, err
		}
	}
	return nil, err
}

// askFiles asks for the file of a symbol and for all that it imports. What can't be had
// of that is left out.
func askFiles(ctx context.Context, conn *Conn, method, symbol string) (*protoregistry.Files, error) {
	ask := &reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol},
	}
	set, have := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	for missing := ""; ; {
		files, err := askReflection(ctx, conn, method, ask)
		if err != nil && missing == "" {
			return nil, err
		}
		for _, b := range files {
			fd := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(b, fd); err != nil {
				return nil, err
			}
			if !have[fd.GetName()] {
				have[fd.GetName()] = true
				set.File = append(set.File, fd)
			}
		}
		next := firstMissing(set, have)
		if next == "" || next == missing || len(set.File) > maxFiles {
			return protodesc.FileOptions{AllowUnresolvable: true}.NewFiles(set)
		}
		missing = next
		ask.MessageRequest = &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: missing}
	}
}

// firstMissing is a file that others import and that is not there. Most servers
// send all at once.
func firstMissing(set *descriptorpb.FileDescriptorSet, have map[string]bool) string {
	for _, fd := range set.GetFile() {
		for _, dep := range fd.GetDependency() {
			if !have[dep] {
				return dep
			}
		}
	}
	return ""
}

// askReflection asks one question.
func askReflection(ctx context.Context, conn *Conn, method string, ask *reflectionv1.ServerReflectionRequest) ([][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(ask); err != nil {
		return nil, err
	}
	res := &reflectionv1.ServerReflectionResponse{}
	if err := stream.RecvMsg(res); err != nil {
		return nil, err
	}
	if e := res.GetErrorResponse(); e != nil {
		return nil, status.Error(codes.Code(e.GetErrorCode()), e.GetErrorMessage())
	}
	return res.GetFileDescriptorResponse().GetFileDescriptorProto(), nil
}
