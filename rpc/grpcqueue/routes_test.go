package grpcqueue

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server/servertest"
)

// A caller who goes away while the gateway asks where his call goes, or a switch that
// can't be asked, leaves nothing behind that the next caller would go by.
func TestRouteThatCouldNotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := servertest.New(t)
		c, err := client.New(client.Config{Conn: sw.Conn()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { // waited for below
			done <- rpc.Serve(ctx, c, "elsewhere", func(context.Context, *rpc.Request) ([]byte, error) { return nil, nil },
				rpc.Describe(client.ServiceInfo{Name: "pkg.Greeter"}))
		}()
		synctest.Wait()

		r := routes{admin: c.Admin()}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.find(gone, "pkg.Greeter"); status.Code(err) != codes.Canceled {
			t.Errorf("a caller who has gone away is told %v, want Canceled", err)
		}
		if got, err := r.find(t.Context(), "pkg.Greeter"); err != nil || got.queue != "elsewhere" {
			t.Errorf("the next caller's call goes to %q (%v), want elsewhere", got.queue, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = sw.Close()
		if got, err := r.find(t.Context(), "pkg.Other"); status.Code(err) != codes.Unavailable {
			t.Errorf("with the switch gone a call goes to %q (%v), want Unavailable", got.queue, err)
		}
	})
}
