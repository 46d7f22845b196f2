package otelrpc_test

import (
	"context"
	"fmt"
	"log"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/otelrpc"
	"github.com/d3b0a776/switch/server"
)

// One Config for both sides; a program sets the global TracerProvider instead, and
// leaves it empty.
func Example() {
	spans := tracetest.NewInMemoryExporter() // in a program: one that sends them somewhere
	config := otelrpc.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))}

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
		served <- rpc.Serve(ctx, c, "greet", rpc.Handle(func(ctx context.Context, name string) (string, error) {
			return "hello " + name, nil
		}), rpc.InterceptServing(otelrpc.Serving(config)))
	}()
	caller := rpc.NewCaller(c, rpc.InterceptCalls(otelrpc.Calls(config)))
	defer caller.Close()
	reply, err := rpc.Invoke[string](ctx, caller, "greet", "Ann", rpc.CreateQueue(client.QueueOptions{}), rpc.Timeout(time.Minute))
	fmt.Println(reply, err)

	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	trace := spans.GetSpans()[0].SpanContext.TraceID()
	for _, name := range []string{"call greet", "wait greet", "serve greet"} {
		for _, s := range spans.GetSpans() {
			if s.Name == name {
				fmt.Println(s.Name, s.SpanKind, s.SpanContext.TraceID() == trace)
			}
		}
	}
	// Output:
	// hello Ann <nil>
	// call greet client true
	// wait greet internal true
	// serve greet server true
}
