package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/d3b0a776/switch/client"
	"github.com/d3b0a776/switch/rpc"
)

// Services are what switch serve QUEUE says that it is.
func TestService(t *testing.T) {
	d := startDaemon(t)
	d.run(t, "service", "ls").want(t, 0, "")
	for _, word := range []string{"info", "stats", "ping"} {
		d.run(t, "service", word, "resize").says(t, 69, "switch: no service is called resize, or none of its instances is there\n")
	}

	d.start(t, "serve", "pictures", "--service", "resize", "--service-version", "1.4.2", "--name", "one", "--program", "/bin/cat")
	d.start(t, "serve", "pictures", "--service", "resize", "--service-version", "1.4.3", "--name", "two", "--echo")
	d.start(t, "serve", "re", "--", "/bin/sh", "-c", "echo no such picture >&2; exit 69")
	eventually(t, "three instances", func() bool {
		out := d.run(t, "service", "ls").out
		return strings.HasPrefix(out, "re\t\t1\tre\tswitch serve, with sh\nresize\t1.4.2,1.4.3\t2\tpictures\tswitch serve, with ")
	})
	all := decode[[]serviceSummary](t, d.run(t, "service", "ls", "-o", "json"))
	if len(all) != 2 || all[1].Service != "resize" || all[1].Connected != 2 || !slices.Equal(all[1].Versions, []string{"1.4.2", "1.4.3"}) || len(all[0].Versions) != 0 {
		t.Errorf("ls: %+v", all)
	}

	d.run(t, "call", "re", "--body", "x").says(t, 69, "no such picture")
	stats := decode[[]client.ServiceInstance](t, d.run(t, "service", "stats", "re", "-o", "json"))
	if len(stats) != 1 || stats[0].Stats.Replied != 1 || stats[0].Stats.Failed != 1 || stats[0].Stats.LastFailure != "no such picture" {
		t.Errorf("stats: %+v", stats)
	}
	cells := strings.Split(strings.TrimSuffix(d.run(t, "service", "stats", "re").out, "\n"), "\t")
	if len(cells) != 11 || cells[1] != "re" || !slices.Equal(cells[2:9], []string{"1", "1", "1", "0", "0", "0", "0"}) || !strings.HasSuffix(cells[10], "ago: no such picture") {
		t.Errorf("stats: %q", cells)
	}

	info := d.run(t, "service", "info", "resize")
	for _, want := range []string{"service\tresize\n", "versions\t1.4.2,1.4.3\n", "queues\tpictures\n", " 1.4.2, session one, queue pictures, holds 0 of "} {
		if !strings.Contains(info.out, want) {
			t.Errorf("info lacks %q:\n%s", want, info.out)
		}
	}
	doc := decode[serviceDocument](t, d.run(t, "service", "info", "resize", "-o", "json"))
	if len(doc.Instances) != 2 || doc.Service != "resize" || doc.Instances[0].Info.Instance == doc.Instances[1].Info.Instance {
		t.Errorf("info: %+v", doc)
	}
	if got := firstColumn(d.run(t, "__complete", "--", "service", "info", "re").out); got != "re,resize" {
		t.Errorf("completed to %s", got)
	}
	if got := firstColumn(d.run(t, "__complete", "--", "service", "i").out); got != "info" {
		t.Errorf("completed to %s", got)
	}
}

// A ping is answered by each instance, without the program, and is not sent where
// somebody might take it for a request.
func TestServicePing(t *testing.T) {
	d := startDaemon(t)
	d.start(t, "serve", "q", "--service", "s", "--service-version", "1", "--", "/bin/sh", "-c", "echo the program ran >&2; exit 1")
	d.start(t, "serve", "q", "--service", "s", "--service-version", "2", "--echo")
	eventually(t, "two instances", func() bool { return strings.HasPrefix(d.run(t, "service", "ls").out, "s\t1,2\t2\t") })

	var versions []string
	for _, line := range lines(d.run(t, "service", "ping", "s").out) {
		cells := strings.Split(line, "\t")
		if len(cells) != 4 || cells[0] != "q" || cells[1] == "" || !strings.HasSuffix(cells[3], "ms") {
			t.Fatalf("answer %q", line)
		}
		versions = append(versions, cells[2])
	}
	if slices.Sort(versions); !slices.Equal(versions, []string{"1", "2"}) {
		t.Errorf("answers came from versions %v", versions)
	}
	answers := decode[[]answer](t, d.run(t, "service", "ping", "s", "-n", "5", "-o", "json"))
	if len(answers) != 5 || answers[4].Instance == "" || answers[4].TimeUS <= 0 || answers[4].Error != "" {
		t.Errorf("answers: %+v", answers)
	}

	d.start(t, "recv", "q", "--wait", "20s", "-n", "1")
	eventually(t, "a stranger", func() bool { return d.run(t, "service", "ping", "s").code == 64+9 })
	d.run(t, "service", "ping", "s").says(t, 73, "switch: queue q is also served by 1 consumer that would take a ping for a request")
}

// A line of JSON reaches a handler of protobuf messages, and is answered in kind; a
// service of a Go program shows its methods.
func TestCallOfMessages(t *testing.T) {
	d := startDaemon(t)
	c, err := client.New(client.Config{Addr: d.addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { // ends with ctx; the test waits for it
		served <- rpc.Serve(ctx, c, "explain", rpc.Handle(func(_ context.Context, in *errdetails.ErrorInfo) (*errdetails.LocalizedMessage, error) {
			return &errdetails.LocalizedMessage{Locale: "en", Message: in.GetReason()}, nil
		}), rpc.Describe(client.ServiceInfo{Name: "texts", Description: "says what errors mean", Metadata: map[string]string{"region": "eu"},
			Methods: []client.MethodInfo{{Name: "Explain", RequestType: "google.rpc.ErrorInfo", ResponseType: "google.rpc.LocalizedMessage", ServerStreaming: true, Description: "in English"}}}))
	}()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	d.served(t, "explain")
	d.run(t, "call", "explain", "--body", `{"reason":"LATE"}`).want(t, 0, `{"locale":"en","message":"LATE"}`)
	d.run(t, "call", "explain", "--body", `LATE`).says(t, 67, "not the protobuf that is wanted")
	d.run(t, "call", "explain", "--header", "content-type=text/plain", "--body", `LATE`).says(t, 67, "only application/protobuf or application/json is read here")
	info := d.run(t, "service", "info", "texts").out
	for _, want := range []string{"does\tsays what errors mean\n", "metadata\tregion=eu\n",
		"method\tExplain(google.rpc.ErrorInfo) stream google.rpc.LocalizedMessage: in English\n"} {
		if !strings.Contains(info, want) {
			t.Errorf("info lacks %q:\n%s", want, info)
		}
	}
}

func TestServiceUsage(t *testing.T) {
	for typed, says := range map[string]string{
		"service":                 "what shall service do?",
		"service list":            `service knows no "list"`,
		"service ls a b":          `service ls takes no "b"`,
		"service info":            "NAME is missing",
		"service info a b":        `service info takes no "b"`,
		"service info a -n 3":     "service info has no flag --count",
		"service ls --timeout 1s": "service ls has no flag --timeout",
		"service ping a -n 0":     "--count 0: from 1 to 10000",
	} {
		start(t, nil, append([]string{"switch"}, strings.Fields(typed)...)...).wait(t).says(t, 2, says)
	}
}

// lines are those of an output, without an end.
func lines(out string) []string { return strings.Split(strings.TrimSuffix(out, "\n"), "\n") }
