package grpcqueue_test

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// clock is a service that this program has no code for: remote.Clock, whose messages
// are in another file.
func clock(t *testing.T) *protoregistry.Files {
	t.Helper()
	files, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		{Name: proto.String("remote/time.proto"), Package: proto.String("remote"), Syntax: proto.String("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Time")}}},
		{Name: proto.String("remote/clock.proto"), Package: proto.String("remote"), Syntax: proto.String("proto3"),
			Dependency: []string{"remote/time.proto"},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Clock"), Method: []*descriptorpb.MethodDescriptorProto{
				{Name: proto.String("Now"), InputType: proto.String(".remote.Time"), OutputType: proto.String(".remote.Time")},
			}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// serveClock serves the queue of remote.Clock with a reflection service that knows it, in
// one version.
func (w *world) serveClock(register func(grpc.ServiceRegistrar, reflection.ServerOptions)) {
	w.Helper()
	s := grpcqueue.NewServer()
	register(s, reflection.ServerOptions{Services: s, DescriptorResolver: clock(w.T)})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c := w.dial("clock")
	go func() { // the cleanup waits for it
		done <- rpc.Serve(ctx, c, "remote.Clock", s.Handle, rpc.Describe(client.ServiceInfo{
			Name: "remote.Clock", Metadata: map[string]string{grpcqueue.ProtocolKey: grpcqueue.ProtocolGRPC}}))
	}()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	synctest.Wait()
}

// A reflector asks a switch as grpcurl does.
type reflector struct {
	*world
	st reflectionpb.ServerReflection_ServerReflectionInfoClient
}

func (r reflector) ask(req *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
	r.Helper()
	if err := r.st.Send(req); err != nil {
		r.Fatal(err)
	}
	res, err := r.st.Recv()
	if err != nil {
		r.Fatal(err)
	}
	return res
}

// symbol gives the names of the files of a symbol.
func (r reflector) symbol(name string) (files []string) {
	r.Helper()
	res := r.ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
	for _, b := range res.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &file); err != nil {
			r.Fatal(err)
		}
		files = append(files, file.GetName())
	}
	return files
}

// Reflection lists the services behind queues, and describes them as whoever serves
// them does, in whichever version of reflection he has.
func TestReflectionOfRoutedServices(t *testing.T) {
	for name, register := range map[string]func(grpc.ServiceRegistrar, reflection.ServerOptions){
		"v1": func(s grpc.ServiceRegistrar, o reflection.ServerOptions) {
			reflectionpb.RegisterServerReflectionServer(s, reflection.NewServerV1(o))
		},
		"v1alpha": func(s grpc.ServiceRegistrar, o reflection.ServerOptions) {
			reflectionalpha.RegisterServerReflectionServer(s, reflection.NewServer(o))
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, func(w *world) {
				w.serveClock(register)
				ctx, cancel := context.WithCancel(w.ctx())
				defer cancel()
				st, err := reflectionpb.NewServerReflectionClient(w.sw.Conn()).ServerReflectionInfo(ctx)
				if err != nil {
					t.Fatal(err)
				}
				r := reflector{w, st}
				listed := map[string]bool{}
				list := r.ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
				for _, s := range list.GetListServicesResponse().GetService() {
					listed[s.GetName()] = true
				}
				if !listed["remote.Clock"] || !listed["messageswitch.v1.DataService"] {
					t.Errorf("listed are %v", listed)
				}
				if files := r.symbol("remote.Clock.Now"); len(files) != 2 {
					t.Errorf("a method behind a queue is in %q, want two files", files)
				}
				byName := r.ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: "remote/time.proto"}})
				if byName.GetFileDescriptorResponse() == nil {
					t.Errorf("by name: %v", byName.GetErrorResponse())
				}
				if files := r.symbol("messageswitch.v1.DataService"); len(files) == 0 {
					t.Error("the switch's own service is not there")
				}
				for _, nothing := range []string{"no.such.Service", "nothing", "", ".", "a..b"} {
					if files := r.symbol(nothing); len(files) != 0 {
						t.Errorf("%q is in %q", nothing, files)
					}
				}
			})
		})
	}
}
