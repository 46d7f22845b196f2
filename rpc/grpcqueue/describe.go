package grpcqueue

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/d3b0a776/switch/client"
)

// ProtocolKey and ProtocolGRPC, in the metadata of a client.ServiceInfo, say that the
// service is one of gRPC, under its full name. The reflection of a gateway lists it.
const (
	ProtocolKey  = "protocol"
	ProtocolGRPC = "grpc"
)

const (
	// maxMethods and maxDescribed bound what is published, in methods and in bytes of
	// names: the protocol's limits are 256 and 16 KiB. What is beyond is left out.
	maxMethods   = 256
	maxDescribed = 12 << 10
)

// describe is what the switch is told about a service.
func (svc *service) describe() client.ServiceInfo {
	info := client.ServiceInfo{Name: svc.desc.ServiceName, Metadata: map[string]string{ProtocolKey: ProtocolGRPC}}
	var types protoreflect.MethodDescriptors
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(svc.desc.ServiceName)); err == nil {
		if sd, is := d.(protoreflect.ServiceDescriptor); is {
			types = sd.Methods()
		}
	}
	size := 0
	add := func(m client.MethodInfo) {
		if types != nil {
			if d := types.ByName(protoreflect.Name(m.Name)); d != nil {
				m.RequestType, m.ResponseType = string(d.Input().FullName()), string(d.Output().FullName())
			}
		}
		size += len(m.Name) + len(m.RequestType) + len(m.ResponseType) + 16
		if size <= maxDescribed && len(info.Methods) < maxMethods {
			info.Methods = append(info.Methods, m)
		}
	}
	for _, m := range svc.desc.Methods {
		add(client.MethodInfo{Name: m.MethodName})
	}
	for _, m := range svc.desc.Streams {
		add(client.MethodInfo{Name: m.StreamName, ClientStreaming: m.ClientStreams, ServerStreaming: m.ServerStreams})
	}
	return info
}
