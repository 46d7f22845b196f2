package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/server/servertest"
)

// serveWeb serves queue "web" by way of u, and gives a caller.
func serveWeb(t *testing.T, u *HTTP) *rpc.Caller {
	t.Helper()
	sw := servertest.New(t)
	dial := func() *client.Client {
		c, err := client.New(client.Config{Conn: sw.Conn()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := dial()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, c, "web", u.Handle, rpc.Drain(time.Second)) }() // the cleanup waits for it
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	caller := rpc.NewCaller(dial())
	t.Cleanup(func() { _ = caller.Close() })
	return caller
}

// A stream call has both bodies pass as they come: here each chunk is answered before
// the next one is sent.
func TestHTTPStream(t *testing.T) {
	u := web(t, 0, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Color", "red")
		both := http.NewResponseController(w)
		_ = both.EnableFullDuplex()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				_, _ = fmt.Fprintf(w, "<%s>", buf[:n])
				_ = both.Flush()
			}
			if err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	st, err := serveWeb(t, u).Stream(ctx, rpc.Request{Queue: "web"}, rpc.CreateQueue(client.QueueOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := st.Send(rpc.Part{Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		part, err := st.Receive()
		if err != nil || string(part.Body) != fmt.Sprintf("<%d>", i) {
			t.Fatalf("got %q (%v)", part.Body, err)
		}
		if i == 0 && (part.Headers["color"] != "red" || part.Headers["http-status"] != "200") || i > 0 && part.Headers != nil {
			t.Errorf("headers %q of part %d", part.Headers, i)
		}
	}
	if err := st.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := st.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
}

// A stream call that is refused, or whose answer breaks off, fails with the
// upstream's name.
func TestHTTPStreamFails(t *testing.T) {
	u := web(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/refused" {
			http.Error(w, "not you", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Length", "1000")
		_, _ = fmt.Fprint(w, "only this")
	})
	caller := serveWeb(t, u)
	for path, want := range map[string]codes.Code{"/refused": codes.PermissionDenied, "/breaks": codes.Unavailable} {
		st, err := caller.Stream(t.Context(), rpc.Request{Queue: "web", Headers: map[string]string{"http-path": path}}, rpc.CreateQueue(client.QueueOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		_ = st.CloseSend()
		for err == nil {
			_, err = st.Receive()
		}
		if status.Code(err) != want || reasonOf(err) == "" {
			t.Errorf("%s: %v with %q, want %v", path, err, reasonOf(err), want)
		}
	}
}
