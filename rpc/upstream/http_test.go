package upstream

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
)

// web is an HTTP server for a test, and an upstream to it under /base.
func web(t *testing.T, bound time.Duration, h http.HandlerFunc) *HTTP {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return toWeb(t, s.URL+"/base/", bound)
}

func toWeb(t *testing.T, base string, bound time.Duration) *HTTP {
	t.Helper()
	u, err := NewHTTP(base, bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// reasonOf is the upstream's reason in an error.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, is := d.(*errdetails.ErrorInfo); is && info.GetDomain() == Domain {
			return info.GetReason()
		}
	}
	return ""
}

// What a request says in its headers arrives as HTTP, and what is about the queue or
// the connection does not.
func TestHTTPRequest(t *testing.T) {
	u := web(t, 0, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %q a=%q cookie=%q host=%v te=%q", r.Method, r.URL.RequestURI(), body, r.Header["A"], r.Header["Cookie"], r.Host == "evil", r.Header["Te"])
	})
	for _, c := range []struct {
		headers map[string]string
		want    string
	}{
		{nil, `POST /base/ "body" a=[] cookie=[] host=false te=[]`},
		{map[string]string{"http-method": "PUT", "http-path": "/x%2Fy?q=1"}, `PUT /base/x%2Fy?q=1 "body" a=[] cookie=[] host=false te=[]`},
		{map[string]string{"a": "1", "a;2": "2\n", "A B": "3", "cookie": "k", "host": "evil", "te": "x", "switch-died": "no"},
			`POST /base/ "body" a=["1" "2"] cookie=["k"] host=false te=[]`},
	} {
		body, err := u.Handle(t.Context(), &rpc.Request{Body: []byte("body"), Headers: c.headers})
		if err != nil || string(body) != c.want {
			t.Errorf("%v: %s (%v), want %s", c.headers, body, err, c.want)
		}
	}
	for _, path := range []string{"x", "/../secret", "/a/%2e%2e/b", "http://evil/", "/\x00"} {
		if _, err := u.Handle(t.Context(), &rpc.Request{Headers: map[string]string{"http-path": path}}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("path %q gives %v, want InvalidArgument", path, err)
		}
	}
}

// A status of 400 or more is a failure that names the upstream, unless the caller
// wants to see it.
func TestHTTPStatuses(t *testing.T) {
	u := web(t, 0, func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscan(r.URL.Query().Get("code"), &code)
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, "because\nof all this")
	})
	for code, want := range map[int]codes.Code{
		200: codes.OK, 204: codes.OK, 302: codes.OK, 400: codes.InvalidArgument, 401: codes.Unauthenticated, 403: codes.PermissionDenied,
		404: codes.NotFound, 409: codes.Aborted, 418: codes.InvalidArgument, 429: codes.ResourceExhausted,
		500: codes.Internal, 501: codes.Unimplemented, 502: codes.Unavailable, 503: codes.Unavailable, 504: codes.DeadlineExceeded,
	} {
		headers := map[string]string{"http-path": fmt.Sprintf("/p?code=%d", code)}
		_, err := u.Handle(t.Context(), &rpc.Request{Headers: headers})
		if status.Code(err) != want {
			t.Errorf("%d gives %v, want %v", code, err, want)
		}
		if err != nil {
			text := status.Convert(err).Message()
			if !strings.Contains(text, u.base.String()) || !strings.HasSuffix(text, "POST /base/p: because") || reasonOf(err) != ReasonStatus {
				t.Errorf("%d says %q, reason %s", code, text, reasonOf(err))
			}
		}
		headers["http-errors"] = "reply"
		if _, err := u.Handle(t.Context(), &rpc.Request{Headers: headers}); err != nil {
			t.Errorf("%d as a reply: %v", code, err)
		}
	}
}

// A header of the response that can't be one of a message is left out, and the answer
// with all others arrives.
func TestHTTPReplyHeaders(t *testing.T) {
	longest := "x-" + strings.Repeat("a", 253)
	got := replyHeaders(&http.Response{StatusCode: 200, Header: http.Header{
		"A": {"1", "2"}, "B": {"\xff"}, longest: {"kept", "its name with ;2 is too long"}, longest + "a": {"too long"}, "Z": {"last"},
	}})
	want := map[string]string{"http-status": "200", "a": "1", "a;2": "2", "b": "\uFFFD", longest: "kept", "z": "last"}
	if !maps.Equal(got, want) {
		t.Errorf("headers %q, want %q", got, want)
	}
}

// An upstream that is down, slow, or breaks off is named in the failure.
func TestHTTPUpstreamFails(t *testing.T) {
	gone := make(chan struct{})
	u := web(t, 0, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/base/slow":
			<-gone
		case "/base/breaks":
			w.Header().Set("Content-Length", "1000")
			_, _ = fmt.Fprint(w, "only this")
		case "/base/resets":
			c, _, _ := w.(http.Hijacker).Hijack()
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { close(gone) }) // before the server closes
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()
	for _, c := range []struct {
		u            *HTTP
		path, reason string
		code         codes.Code
	}{
		{toWeb(t, "http://"+down.Addr().String(), 0), "/", ReasonUnreachable, codes.Unavailable},
		{toWeb(t, u.base.String(), 50*time.Millisecond), "/slow", ReasonTimeout, codes.DeadlineExceeded},
		{u, "/breaks", ReasonBroken, codes.Unavailable},
		{u, "/resets", ReasonBroken, codes.Unavailable},
	} {
		_, err := c.u.Handle(t.Context(), &rpc.Request{Headers: map[string]string{"http-path": c.path}})
		if status.Code(err) != c.code || reasonOf(err) != c.reason || !strings.HasPrefix(status.Convert(err).Message(), "upstream "+c.u.base.String()) {
			t.Errorf("%s gives %v with %q, want %v with %q", c.path, err, reasonOf(err), c.code, c.reason)
		}
	}
}

func TestBadUpstreamAddresses(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:80", "ftp://x", "http://", "http://u:p@x/", "http://x/?q", "http://x/#f", "http://x:y:z"} {
		if _, err := NewHTTP(base, 0); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}
