package main

import (
	"google.golang.org/grpc"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

// openGateway lets calls of unknown gRPC services in: the gateway is a client of the
// switch that it is part of. Closing it comes after the switch has ended.
func openGateway(g *grpcqueue.Gateway, conn *grpc.ClientConn) (closed func(), err error) {
	cl, err := client.New(client.Config{Conn: conn, Name: "gateway"})
	if err != nil {
		return nil, err
	}
	g.Start(cl)
	return func() {
		g.Close()
		_ = cl.Close() // its switch is gone
	}, nil
}
