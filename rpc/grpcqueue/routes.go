package grpcqueue

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/d3b0a776/switch/client"
)

const (
	// queueKey is the metadata that names the queue of a call, whatever its service.
	queueKey = "switch-queue"
	// keepRoute is how long a gateway goes by what it knows of a service.
	keepRoute = time.Second
	// maxRoutes bounds how many services it knows something about.
	maxRoutes = 1024
)

// A route is where the calls of a service go, and how.
type route struct {
	queue   string
	named   bool // by the caller
	methods map[string]client.MethodInfo
	until   time.Time
}

// routes finds the routes of services: where somebody says that he serves it, else the
// queue of its name.
type routes struct {
	admin *client.Admin

	mu    sync.Mutex
	known map[string]route
}

// find gives the route of a service. What could not be asked is not kept: it would lead
// the calls of others astray.
func (r *routes) find(ctx context.Context, service string) (route, error) {
	now := time.Now()
	r.mu.Lock()
	found, is := r.known[service]
	r.mu.Unlock()
	if is && now.Before(found.until) {
		return found, nil
	}
	found, err := r.ask(ctx, service)
	switch {
	case ctx.Err() != nil:
		return route{}, ended(ctx)
	case err != nil:
		return route{}, status.Errorf(codes.Unavailable, "who serves %s could not be found out: %v", service, err)
	}
	found.until = now.Add(keepRoute)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRoutes {
		r.known = map[string]route{} // what is in use is soon there again
	}
	r.known[service] = found
	return found, nil
}

// ask looks among the services that are described. The first of the name is the
// oldest instance.
func (r *routes) ask(ctx context.Context, service string) (route, error) {
	for i, err := range r.admin.Services(ctx, service) {
		if err != nil {
			return route{}, err
		}
		if i.Info.Name != service { // those of the name come first
			break
		}
		methods := make(map[string]client.MethodInfo, len(i.Info.Methods))
		for _, m := range i.Info.Methods {
			methods[m.Name] = m
		}
		return route{queue: i.Queue, methods: methods}, nil
	}
	return route{queue: service}, nil
}

// of finds the route of a call, and gives the metadata that is not about it.
func (r *routes) of(ctx context.Context, method string, md metadata.MD) (route, metadata.MD, error) {
	service, _, err := splitMethod(method)
	if names := md.Get(queueKey); len(names) > 0 {
		md = md.Copy()
		delete(md, queueKey)
		return route{queue: names[0], named: true}, md, nil
	}
	if err != nil {
		return route{}, md, nil // the call says what is wrong
	}
	found, err := r.find(ctx, service)
	return found, md, err
}

// unary says whether a method is known to have one message each way.
func (r route) unary(method string) bool {
	m, known := r.kind(method)
	return known && !m.ClientStreaming && !m.ServerStreaming
}

// kind is what is known about a method.
func (r route) kind(method string) (m client.MethodInfo, known bool) {
	m, known = r.methods[method[strings.LastIndexByte(method, '/')+1:]]
	return m, known
}
