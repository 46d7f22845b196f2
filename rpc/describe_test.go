package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server"
)

// instances are those of all services.
func (w *world) instances() (all []client.ServiceInstance) {
	w.t.Helper()
	for in, err := range w.client.Admin().Services(context.Background(), "") {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, in)
	}
	return all
}

// A description is published with the subscription, counts what the handler does,
// and goes with the server.
func TestDescribe(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.serve("q", func(ctx context.Context, req *rpc.Request) ([]byte, error) {
			time.Sleep(time.Second)
			if string(req.Body) == "bad" {
				return nil, status.Error(codes.NotFound, "there is no such thing")
			}
			return nil, nil
		}, rpc.Describe(client.ServiceInfo{Name: "things", Version: "1.0.0", Methods: []client.MethodInfo{{Name: "Get"}}}))
		for _, body := range []string{"good", "bad", "good"} {
			if _, err := w.caller.Call(t.Context(), "q", []byte(body)); (err != nil) != (body == "bad") {
				t.Errorf("%s: %v", body, err)
			}
		}
		if _, err := w.client.Send(t.Context(), "q", client.Message{Body: []byte("bad")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1050 * time.Millisecond)
		all := w.instances()
		if len(all) != 1 {
			t.Fatalf("the instances are %+v", all)
		}
		in := all[0]
		if in.Info.Name != "things" || in.Info.Version != "1.0.0" || len(in.Info.Methods) != 1 || !in.Info.AnswersPings || in.Info.Instance == "" || in.Queue != "q" {
			t.Errorf("it is %+v", in)
		}
		st := in.Stats
		if st.Delivered != 4 || st.Replied != 3 || st.Failed != 1 || st.Returned != 1 || st.Mean() != time.Second {
			t.Errorf("it counts %+v", st)
		}
		if want := `attempt 1 of 5 on queue "q" failed (rpc error: code = NotFound desc = there is no such thing)`; st.LastFailure != want {
			t.Errorf("its last failure is %q, want %q", st.LastFailure, want)
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
		if all := w.instances(); len(all) != 0 {
			t.Errorf("the server has ended, and there is %+v", all)
		}
	})
}

// A ping is answered by each instance in its turn, and the handler does not see it.
func TestPing(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		handled := func(context.Context, *rpc.Request) ([]byte, error) {
			t.Error("the handler got a ping")
			return nil, nil
		}
		watching := rpc.InterceptServing(func(next rpc.Handler) rpc.Handler {
			return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
				t.Error("an interceptor got a ping")
				return next(ctx, req)
			}
		})
		w.serve("q", handled, rpc.Describe(client.ServiceInfo{Name: "s", Version: "1", Instance: "a"}), watching)
		w.serve("q", handled, rpc.Describe(client.ServiceInfo{Name: "s", Version: "2", Instance: "b"}), watching)
		got := map[rpc.Pong]int{}
		for range 4 {
			p, err := w.caller.Ping(t.Context(), "q", "s", rpc.Timeout(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			got[p]++
		}
		if want := map[rpc.Pong]int{{"s", "1", "a"}: 2, {"s", "2", "b"}: 2}; !maps.Equal(got, want) {
			t.Errorf("answers came from %v, want %v", got, want)
		}
	})
}

// Where no server is described so, a ping is a request like any other.
func TestPingOfOthers(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		w.create("q", client.QueueOptions{})
		if _, err := w.caller.Ping(t.Context(), "q", "s"); !errors.Is(err, client.ErrNoConsumer) {
			t.Errorf("without a server: %v", err)
		}
		seen := make(chan string, 1)
		handler := func(_ context.Context, req *rpc.Request) ([]byte, error) {
			seen <- req.Headers["rpc-ping"]
			return []byte("{}"), nil
		}
		sees := func(queue, want string) {
			t.Helper()
			select {
			case got := <-seen:
				if got != want {
					t.Errorf("%s: the handler saw a ping of %q", queue, got)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: the handler saw nothing", queue)
			}
		}
		w.serve("plain", handler)
		w.serve("other", handler, rpc.Describe(client.ServiceInfo{Name: "other"}))
		for _, queue := range []string{"plain", "other"} {
			_, err := w.caller.Ping(t.Context(), queue, "s")
			if e := (*rpc.Error)(nil); !errors.As(err, &e) || e.Origin != rpc.OriginHandler || status.Code(err) != codes.Unimplemented {
				t.Errorf("%s: %v", queue, err)
			}
			sees(queue, "s")
		}
		if _, err := w.client.Send(t.Context(), "other", client.Message{Headers: map[string]string{"rpc-ping": "other"}}); err != nil {
			t.Fatal(err)
		}
		sees("other", "other") // nobody waits for the answer to this one, so it is no ping
	})
}

// A description that the switch refuses ends Serve.
func TestDescribeIsRefused(t *testing.T) {
	fake(t, func(t *testing.T, w *world) {
		s := w.serve("q", echo, rpc.Describe(client.ServiceInfo{}))
		if err := s.end(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// A server that says what it is can be found, watched and pinged.
func ExampleDescribe() {
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
		served <- rpc.Serve(ctx, c, "time", func(context.Context, *rpc.Request) ([]byte, error) {
			return []byte("noon"), nil
		}, rpc.Describe(client.ServiceInfo{Name: "clock", Version: "1.4.2", Instance: "tower"}))
	}()
	caller := rpc.NewCaller(c)
	defer caller.Close()
	if _, err := caller.Call(ctx, "time", nil, rpc.CreateQueue(client.QueueOptions{})); err != nil {
		log.Fatal(err)
	}

	pong, err := caller.Ping(ctx, "time", "clock")
	fmt.Println(pong.Instance, pong.Version, err)
	for in, err := range c.Admin().Services(ctx, "cl") {
		fmt.Println(in.Info.Name, in.Info.Version, in.Queue, err)
	}
	stop()
	if err := <-served; err != nil {
		log.Fatal(err)
	}
	// Output:
	// tower 1.4.2 <nil>
	// clock 1.4.2 time <nil>
}
