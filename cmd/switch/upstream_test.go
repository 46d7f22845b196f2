package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startUpstream serves a queue by way of an upstream.
func (d *daemon) startUpstream(t *testing.T, queue, addr string, flags ...string) {
	t.Helper()
	d.start(t, append([]string{"serve", queue, "--upstream", addr}, flags...)...)
	d.served(t, queue)
}

// An HTTP service that knows nothing of queues is called from a shell.
func TestUpstreamHTTP(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/missing" {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		w.Header().Set("Color", r.Header.Get("Color"))
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
	}))
	t.Cleanup(web.Close)
	d := startDaemon(t)
	d.startUpstream(t, "web", web.URL+"/api")
	d.run(t, "call", "web", "--body", "hi", "--timeout", "10s").want(t, 0, "POST /api/ hi")
	got := decode[struct {
		Headers map[string]string
		Text    string
	}](t, d.run(t, "call", "web", "--body", "hi", "-o", "json", "-H", "http-path=/x?y=1", "-H", "http-method=PUT", "-H", "color=red"))
	if got.Headers["http-status"] != "200" || got.Headers["color"] != "red" {
		t.Errorf("got %+v", got)
	}
	d.run(t, "call", "web", "--body", "hi", "-H", "http-path=/missing").says(t, 69, "upstream "+web.URL+"/api", "404 Not Found", "no such thing")
	d.run(t, "call", "web", "--body", "hi", "-H", "http-path=../etc").says(t, 67, "http-path")
}

// When an upstream is down, the caller hears that it is the upstream.
func TestUpstreamDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := l.Addr().String()
	_ = l.Close()
	d := startDaemon(t)
	d.startUpstream(t, "web", "http://"+down)
	d.run(t, "call", "web", "--timeout", "10s", "--body", "").says(t, 78, "upstream http://"+down, "refused")
	d.startUpstream(t, "demo.Greeter", down)
	d.run(t, "call", "demo.Greeter", "--timeout", "10s", "--body", "", "-H", "grpc-method=/demo.Greeter/Greet").
		says(t, 78, "upstream "+down, "refused")
	d.run(t, "call", "demo.Greeter", "--timeout", "10s", "--body", "").says(t, 67, `no header "grpc-method"`)
}

func TestUpstreamUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--upstream", "nonsense"}, "HOST:PORT"},
		{[]string{"--upstream", "http://"}, "http://HOST:PORT"},
		{[]string{"--upstream", "ftp://a"}, "http://HOST:PORT"},
		{[]string{"--upstream", "127.0.0.1:50051/path"}, "http://HOST:PORT"},
		{[]string{"--upstream", "127.0.0.1:1", "--echo"}, "exclude each other"},
		{[]string{"--echo", "--upstream-timeout", "1s"}, "--upstream"},
	} {
		start(t, nil, append([]string{"switch", "serve", "q"}, c.args...)...).wait(t).says(t, exitUsage, c.says)
	}
}

// A Python client calls a Python server, both generated and neither aware of the
// switch between them.
func TestPythonThroughUpstream(t *testing.T) {
	const python, plugin = "/usr/bin/python3", "/usr/bin/grpc_python_plugin"
	if err := exec.Command(python, "-c", "import grpc, google.protobuf").Run(); err != nil || !exists(plugin) {
		t.Skip("needs Debian's python3-grpcio, protobuf-compiler and protobuf-compiler-grpc")
	}
	dir := t.TempDir()
	protoc := exec.Command("protoc", "--plugin=protoc-gen-grpc_python="+plugin, "-Itestdata/python", "--python_out="+dir, "--grpc_python_out="+dir, "greeter.proto")
	if out, err := protoc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	script := func(name string, args ...string) *exec.Cmd {
		cmd := command([]string{"PYTHONPATH=" + dir}, append([]string{python, filepath.Join("testdata", "python", name)}, args...)...)
		return cmd
	}
	server := script("server.py")
	stop, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	served := launch(t, server)
	t.Cleanup(func() { _ = stop.Close() })
	eventually(t, "a port of the Python server", func() bool { return strings.HasSuffix(served.out.String(), "\n") })

	d := startDaemon(t)
	d.startUpstream(t, "demo.Greeter", "127.0.0.1:"+strings.TrimSpace(served.out.String()))
	const want = `unary: hello one red b'\x00\xff'
client streaming: hello a and b and c
server streaming: ['hello two 0', 'hello two 1', 'hello two 2']
both: ['hello x', 'hello xx', 'hello xxx']
nobody: NOT_FOUND nobody is not here
slow: DEADLINE_EXCEEDED 
elsewhere: UNIMPLEMENTED
`
	launch(t, script("client.py", d.addr)).wait(t).want(t, 0, want)
}
