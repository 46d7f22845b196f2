package grpcqueue

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

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

// find gives the route of a service.
func (r *routes) find(ctx context.Context, service string) route {
	now := time.Now()
	r.mu.Lock()
	found, is := r.known[service]
	r.mu.Unlock()
	if is && now.Before(found.until) {
		return found
	}
	found = r.ask(ctx, service)
	found.until = now.Add(keepRoute)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRoutes {
		r.known = map[string]route{} // what is in use is soon there again
	}
	r.known[service] = found
	return found
}

// ask looks among the services that are described. The first of the name is the
// oldest instance.
func (r *routes) ask(ctx context.Context, service string) route {
	for i, err := range r.admin.Services(ctx, service) {
		if err != nil || i.Info.Name != service { // those of the name come first
			break
		}
		methods := make(map[string]client.MethodInfo, len(i.Info.Methods))
		for _, m := range i.Info.Methods {
			methods[m.Name] = m
		}
		return route{queue: i.Queue, methods: methods}
	}
	return route{queue: service}
}

// of finds the route of a call, and gives the metadata that is not about it.
func (r *routes) of(ctx context.Context, method string, md metadata.MD) (route, metadata.MD) {
	service, _, err := splitMethod(method)
	if names := md.Get(queueKey); len(names) > 0 {
		md = md.Copy()
		delete(md, queueKey)
		return route{queue: names[0], named: true}, md
	}
	if err != nil {
		return route{}, md // the call says what is wrong
	}
	return r.find(ctx, service), md
}

// kind is what is known about a method.
func (r route) kind(method string) (m client.MethodInfo, known bool) {
	m, known = r.methods[method[strings.LastIndexByte(method, '/')+1:]]
	return m, known
}
