package server_test

import (
	"context"
	"fmt"
	"log"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
)

func Example() {
	sw := server.New(server.Config{})
	defer sw.Close()
	c, err := client.New(client.Config{Conn: sw.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	receipt, err := c.Send(context.Background(), "jobs", client.Message{Body: []byte("resize"), Create: &client.QueueOptions{}})
	fmt.Println(receipt.Durability, err)
	// Output: memory <nil>
}
