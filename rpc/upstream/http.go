package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/grpcqueue"
)

const (
	// chunk is the most that goes into one part of a streamed reply, in bytes.
	chunk = 64 << 10
	// maxExcerpt is how much of an error's page goes into the text of a failure, in
	// bytes.
	maxExcerpt = 256
	// idleConns is how many connections are kept for the next request: as many as
	// rpc.Serve runs handlers.
	idleConns = 64
)

// HTTP answers requests by way of an HTTP server. It is safe for concurrent use.
type HTTP struct {
	base   *url.URL
	bound  time.Duration
	client *http.Client
}

// NewHTTP makes one for the server at base, such as "http://127.0.0.1:8080/api": the
// path of each request follows that of base. A request that the server has not
// answered after bound fails; zero means that only the caller's deadline counts.
// It does no I/O.
func NewHTTP(base string, bound time.Duration) (*HTTP, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("upstream: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("upstream %q is not like http://HOST:PORT/PATH", base)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("upstream %q: it has more than a host and a path", base)
	}
	return &HTTP{base: u, bound: bound, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: idleConns, IdleConnTimeout: time.Minute},
		// What the server says is for the caller, also that something is elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Metadata is for the description of the service, in a client.ServiceInfo.
func (u *HTTP) Metadata() map[string]string {
	return map[string]string{grpcqueue.ProtocolKey: "http"}
}

// Close closes the connections that are kept.
func (u *HTTP) Close() error {
	u.client.CloseIdleConnections()
	return nil
}

// Handle answers one request. It is an [rpc.Handler].
func (u *HTTP) Handle(ctx context.Context, req *rpc.Request) ([]byte, error) {
	ctx, cancel := timed(ctx, u.bound)
	defer cancel()
	ask, err := u.request(ctx, req)
	if err != nil {
		return nil, err
	}
	res, err := u.client.Do(ask)
	if err != nil {
		return nil, u.blame(err)
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	if res.StatusCode >= http.StatusBadRequest && req.Headers[headerErrors] != "reply" {
		req.SetReplyHeaders(replyHeaders(res))
		return nil, u.refusal(ask, res)
	}
	if stream := req.Stream(); stream != nil {
		return nil, u.stream(res, req, stream)
	}
	req.SetReplyHeaders(replyHeaders(res))
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMessage+1))
	switch {
	case err != nil:
		return nil, u.blame(err)
	case len(body) > maxMessage:
		return nil, status.Errorf(codes.ResourceExhausted, "the answer of upstream %s is larger than %d bytes: call it as a stream", u.base, maxMessage)
	}
	return body, nil
}

// request is what the server is asked.
func (u *HTTP) request(ctx context.Context, req *rpc.Request) (*http.Request, error) {
	target, err := u.target(req.Headers[headerPath])
	if err != nil {
		return nil, err
	}
	method := req.Headers[headerMethod]
	if method == "" {
		method = http.MethodPost
	}
	body := io.Reader(bytes.NewReader(req.Body))
	if stream := req.Stream(); stream != nil {
		body = io.MultiReader(body, &partReader{stream: stream})
	}
	ask, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "the request can't be one of HTTP: %v", err)
	}
	requestHeaders(ask.Header, req.Headers)
	return ask, nil
}

// target is the address of a path. It does not leave the path of base.
func (u *HTTP) target(path string) (string, error) {
	if path == "" {
		path = "/"
	}
	at, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") || slices.Contains(strings.Split(at.Path, "/"), "..") {
		return "", status.Errorf(codes.InvalidArgument, "header %s is %q: it must be a path like /a/b?c=d, without \"..\"", headerPath, path)
	}
	base := strings.TrimSuffix(u.base.EscapedPath(), "/")
	return u.base.Scheme + "://" + u.base.Host + base + path, nil
}

// stream passes the answer on as it comes.
func (u *HTTP) stream(res *http.Response, req *rpc.Request, stream *rpc.Stream) error {
	headers := replyHeaders(res)
	buf := make([]byte, chunk)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if err := stream.Send(rpc.Part{Body: buf[:n], Headers: headers}); err != nil {
				return err
			}
			headers = nil // they go with the first part
		}
		switch {
		case err == io.EOF:
			req.SetReplyHeaders(headers)
			return nil
		case err != nil:
			return u.blame(err)
		}
	}
}

// refusal is the failure that a status of 400 or more is.
func (u *HTTP) refusal(ask *http.Request, res *http.Response) error {
	text := fmt.Sprintf("answered %s to %s %s", res.Status, ask.Method, ask.URL.Path)
	page, _ := io.ReadAll(io.LimitReader(res.Body, maxExcerpt)) // what is there will do
	if line, _, _ := bytes.Cut(bytes.TrimSpace(page), []byte{'\n'}); len(line) > 0 && utf8.Valid(line) {
		text += ": " + string(line)
	}
	return blame(codeOf(res.StatusCode), ReasonStatus, u.base.String(), text, map[string]string{headerStatus: fmt.Sprint(res.StatusCode)})
}

// blame says why there is no whole answer.
func (u *HTTP) blame(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // without the address, which follows
	}
	dial := (*net.OpError)(nil)
	switch {
	case status.Code(err) != codes.Unknown: // the caller's stream has ended
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return blame(codes.DeadlineExceeded, ReasonTimeout, u.base.String(), "did not answer in time", nil)
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dial) && dial.Op == "dial":
		return blame(codes.Unavailable, ReasonUnreachable, u.base.String(), "can't be reached: "+err.Error(), nil)
	default:
		return blame(codes.Unavailable, ReasonBroken, u.base.String(), "broke off before its answer was whole: "+err.Error(), nil)
	}
}

// A partReader reads the parts of a request one after the other.
type partReader struct {
	stream *rpc.Stream
	left   []byte
}

// Read implements [io.Reader].
func (r *partReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		part, err := r.stream.Receive()
		if err != nil {
			return 0, err
		}
		r.left = part.Body
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
