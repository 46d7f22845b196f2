package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/server"
)

// inProcess is a client of a switch in this process. A real one has an address:
// client.New(client.Config{Addr: "switch.example.com:7411"}).
func inProcess() (c *client.Client, stop func()) {
	sw := server.New(server.Config{})
	c, err := client.New(client.Config{Conn: sw.InProcess(), Name: "example"})
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		_ = c.Close() // it never fails
		_ = sw.Close()
	}
}

func Example() {
	c, stop := inProcess()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	for _, body := range []string{"tea", "scones", "jam"} {
		_, err := c.Send(ctx, "orders", client.Message{Body: []byte(body), Create: &client.QueueOptions{}})
		if err != nil {
			log.Fatal(err)
		}
	}
	for d, err := range c.Consume(ctx, "orders", client.ConsumeOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, attempt %d\n", d.Body, d.Attempt)
		if err := d.AckWait(ctx); err != nil {
			log.Fatal(err)
		}
		if string(d.Body) == "jam" {
			break
		}
	}
	// Output:
	// tea, attempt 1
	// scones, attempt 1
	// jam, attempt 1
}

func ExampleClient_Send() {
	c, stop := inProcess()
	defer stop()

	_, err := c.Send(context.Background(), "oders", client.Message{Body: []byte("tea")})
	fmt.Println(errors.Is(err, client.ErrQueueNotFound), status.Code(err) == codes.NotFound)
	fmt.Println(err)
	// Output:
	// true true
	// there is no queue "oders"; create it, or check the name
}

// A program that keeps its own key, here the number of an order, can send again
// after a crash without sending twice.
func ExampleMessage_idempotent() {
	c, stop := inProcess()
	defer stop()

	m := client.Message{
		Body:     []byte("tea"),
		Create:   &client.QueueOptions{},
		Producer: []byte("shop-7"),
		Sequence: 4711,
	}
	for range 2 {
		r, err := c.Send(context.Background(), "orders", m)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("duplicate:", r.Duplicate)
	}
	// Output:
	// duplicate: false
	// duplicate: true
}

func ExampleDelivery_Retry() {
	c, stop := inProcess()
	defer stop()
	ctx := context.Background()

	if _, err := c.Create(ctx, "mails", client.QueueOptions{MaxAttempts: 3}); err != nil {
		log.Fatal(err)
	}
	if _, err := c.Send(ctx, "mails", client.Message{Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	for d, err := range c.Consume(ctx, "mails", client.ConsumeOptions{Credit: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("attempt", d.Attempt)
		if d.Attempt == 2 {
			fmt.Println("rejected:", d.Reject(ctx, "no such address"))
			break
		}
		if err := d.Retry(ctx, time.Millisecond, "mail server busy"); err != nil {
			log.Fatal(err)
		}
	}
	dead, err := c.Admin().Peek(ctx, "mails.dead", 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("dead: %s\n", dead[0].Body)
	// Output:
	// attempt 1
	// attempt 2
	// rejected: <nil>
	// dead: hello
}

func ExampleAdmin_List() {
	c, stop := inProcess()
	defer stop()
	ctx := context.Background()

	for _, queue := range []string{"orders", "orders.eu", "mails"} {
		if _, err := c.Create(ctx, queue, client.QueueOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	for q, err := range c.Admin().List(ctx, client.ListQuery{Prefix: "orders"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(q.Queue, q.Waiting)
	}
	// Output:
	// orders 0
	// orders.eu 0
}
