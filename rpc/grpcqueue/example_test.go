package grpcqueue_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
	"github.com/d3b0a776/switch/server"
)

// Any generated service goes through a queue: here gRPC's health service, whose queue
// is "grpc.health.v1.Health".
func Example() {
	sw := server.New(server.Config{})
	defer sw.Close()
	connect := func() *client.Client {
		c, err := client.New(client.Config{Conn: sw.InProcess()}) // or Addr: "switch.example:7411"
		if err != nil {
			log.Fatal(err)
		}
		return c
	}

	// The server: generated code registers with a grpcqueue.Server.
	s := grpcqueue.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	c := connect()
	defer c.Close()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, c) }()

	// The client: a generated client takes a Conn. The queue is made by whoever is first.
	program := connect()
	defer program.Close()
	caller := rpc.NewCaller(program)
	defer caller.Close()
	conn := grpcqueue.NewConn(caller, grpcqueue.CallWith(rpc.CreateQueue(client.QueueOptions{})))
	reply, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)

	stop()
	fmt.Println("served", <-served)
	// Output:
	// SERVING <nil>
	// served <nil>
}
