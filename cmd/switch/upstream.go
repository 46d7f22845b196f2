package main

import (
	"context"
	"strings"
	"time"

	"github.com/d3b0a776/switch/rpc"
	"github.com/d3b0a776/switch/rpc/upstream"
)

// An answerer is a server nearby that requests are passed on to.
type answerer interface {
	Handle(context.Context, *rpc.Request) ([]byte, error)
	Metadata() map[string]string // of the service, for its description
	Close() error
}

// newUpstream makes one of the kind that the address tells. It does no I/O.
func newUpstream(addr string, bound time.Duration) (answerer, error) {
	if strings.HasPrefix(addr, "http://") || strings.HasPrefix(addr, "https://") {
		u, err := upstream.NewHTTP(addr, bound)
		if err != nil {
			return nil, usage("--upstream: %v", err)
		}
		return u, nil
	}
	if err := checkAddr("--upstream", addr); err != nil {
		return nil, err.(*usageError).hint("a gRPC server is HOST:PORT or unix:///PATH, an HTTP server http://HOST:PORT/PATH") //nolint:errorlint // it makes no other
	}
	return upstream.NewGRPC(addr, bound)
}
