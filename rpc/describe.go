package rpc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

// headerPing makes a request a ping of the service that is its value. It means
// that to a server that is described under this name, and nothing to others.
const headerPing = "rpc-ping"

// instanceLetters make 60 bits: enough that no two of a service's instances ever
// meet, and short enough for a table.
const instanceLetters = 12

// Describe publishes what is served: its name, version, methods and what else info
// says, for as long as Serve runs, also after reconnects. The switch shows it in
// client.Admin's Services, with what became of the requests.
//
// Instance, if it is empty, becomes a random name, anew for each Serve; and a
// server that is described answers pings ([Caller.Ping]) itself: the handler and
// interceptors don't see them.
func Describe(info client.ServiceInfo) ServeOption { return describe(info) }

type describe client.ServiceInfo

func (d describe) applyToServe(conf *serveConfig) {
	info := client.ServiceInfo(d)
	if info.Instance == "" {
		info.Instance = rand.Text()[:instanceLetters]
	}
	info.AnswersPings = true
	conf.info = &info
}

// A Pong says which instance of a service answered a ping.
type Pong struct {
	// Service is the service's name.
	Service string `json:"service"`
	// Version is the instance's; empty if it has none.
	Version string `json:"version"`
	// Instance is the instance's own name.
	Instance string `json:"instance"`
}

// isPing says whether the request of j is a ping of this server.
func (j *job) isPing() bool {
	info := j.service.config.info
	return info != nil && j.request.ReplyWanted && j.request.Headers[headerPing] == info.Name
}

// pong is the reply to a ping.
func (s *service) pong() ([]byte, error) {
	info := s.config.info
	return json.Marshal(Pong{Service: info.Name, Version: info.Version, Instance: info.Instance})
}

// Ping sends a request through a queue that the server answers itself, and says
// which instance that was. It goes the way of every request: it waits for its turn,
// and for a handler's place. The switch chooses the instance.
//
// The queue must be served by servers that are described as this service alone:
// others take a ping for a request, with an empty body. Who wants to be sure looks
// at client.Admin's Services first. A ping needs a server: without one it fails
// with client.ErrNoConsumer.
func (c *Caller) Ping(ctx context.Context, queue, service string, opts ...CallOption) (Pong, error) {
	opts = append([]CallOption{RequireServer()}, opts...)
	res, err := c.Do(ctx, Request{Queue: queue, Headers: map[string]string{headerPing: service}}, opts...)
	if err != nil {
		return Pong{}, err
	}
	var p Pong
	if err := json.Unmarshal(res.Body, &p); err != nil || p.Service != service {
		return Pong{}, &Error{Origin: OriginHandler, Queue: queue, code: codes.Unimplemented,
			cause: status.Errorf(codes.Unimplemented, "who answered is not service %q, or takes pings for requests: %s", service, fmt.Sprintf("%.60q", res.Body))}
	}
	return p, nil
}
