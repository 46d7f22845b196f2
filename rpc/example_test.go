package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

func Example() {
	sw := server.New(server.Config{}) // a whole switch, in this process and in memory
	defer sw.Close()
	connect := func() *client.Client {
		c, err := client.New(client.Config{Conn: sw.InProcess()}) // or Addr: "switch.example:7411"
		if err != nil {
			log.Fatal(err)
		}
		return c
	}

	responder := connect()
	defer responder.Close()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- rpc.Serve(ctx, responder, "greet", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			return append([]byte("hello "), req.Body...), nil
		})
	}()

	program := connect()
	defer program.Close()
	caller := rpc.NewCaller(program)
	defer caller.Close()
	reply, err := caller.Call(ctx, "greet", []byte("world"), rpc.CreateQueue(client.QueueOptions{}))
	fmt.Println(string(reply), err)

	stop() // the responder finishes what it has begun
	fmt.Println("served", <-served)
	// Output:
	// hello world <nil>
	// served <nil>
}

// A handler can fail or panic without harm to the server, which takes two
// requests at a time here.
func ExampleServe() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	divide := func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		var a, b int
		if _, err := fmt.Sscan(string(req.Body), &a, &b); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "two numbers, please: %v", err)
		}
		return fmt.Append(nil, a/b), nil
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- rpc.Serve(ctx, c, "divide", divide, rpc.Concurrency(2), rpc.OnError(func(err error) {
			fmt.Println(errors.Unwrap(err))
		}))
	}()

	caller := rpc.NewCaller(c)
	defer caller.Close()
	for _, numbers := range []string{"6 3", "6", "6 0"} {
		reply, err := caller.Call(ctx, "divide", []byte(numbers), rpc.CreateQueue(client.QueueOptions{}))
		fmt.Printf("%q %v\n", reply, status.Code(err))
	}
	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// "2" OK
	// "" InvalidArgument
	// runtime error: integer divide by zero
	// "" Internal
}

func ExampleCaller_Call() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	caller := rpc.NewCaller(c)
	defer caller.Close()

	// Nobody serves the queue, so the request waits in it, for as long as the
	// caller has time.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = caller.Call(ctx, "accounts", []byte("42"), rpc.CreateQueue(client.QueueOptions{}))
	fmt.Println(status.Code(err), errors.Is(err, context.DeadlineExceeded))

	// Who does not want to wait is told at once.
	_, err = caller.Call(context.Background(), "accounts", []byte("42"), rpc.RequireServer())
	fmt.Println(status.Code(err), errors.Is(err, client.ErrNoConsumer))
	// Output:
	// DeadlineExceeded true
	// Unavailable true
}

func ExampleError() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() {
		served <- rpc.Serve(ctx, c, "accounts", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			return nil, status.Errorf(codes.NotFound, "no account %s", req.Body)
		})
	}()

	caller := rpc.NewCaller(c)
	defer caller.Close()
	_, err = caller.Call(ctx, "accounts", []byte("42"), rpc.CreateQueue(client.QueueOptions{}))
	if e := (*rpc.Error)(nil); errors.As(err, &e) {
		fmt.Println(e.Origin, "says", status.Code(err))
	}
	fmt.Println(err)

	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// handler says NotFound
	// call to queue "accounts": handler: no account 42
}
