package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

// A reply that comes word by word.
func ExampleCaller_Stream() {
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
		served <- rpc.Serve(ctx, c, "tell", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			for _, word := range strings.Fields("once upon a time") {
				if err := req.Stream().Send(rpc.Part{Body: []byte(word)}); err != nil {
					return nil, err
				}
			}
			return []byte("the end"), nil
		})
	}()

	caller := rpc.NewCaller(c)
	defer caller.Close()
	story, err := caller.Stream(ctx, rpc.Request{Queue: "tell"}, rpc.CreateQueue(client.QueueOptions{}))
	if err != nil {
		log.Fatal(err)
	}
	for {
		part, err := story.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(part.Body))
	}
	fmt.Println(string(story.Reply().Body))

	stop()
	fmt.Println("served", <-served)
	// Output:
	// once
	// upon
	// a
	// time
	// the end
	// served <nil>
}
