package grpcqueue

import (
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// A description is kept for keepFiles: long enough for the questions that a tool
	// asks about one call, short enough that a new version of a service shows soon.
	keepFiles = 10 * time.Second
	// maxDescriptions bounds how many are kept.
	maxDescriptions = 64
)

// A fileCache has the files that describe services which were asked for lately.
// The zero value is empty.
type fileCache struct {
	mu   sync.Mutex
	kept []description // oldest first
}

// A description is what there is about one service.
type description struct {
	service string
	files   *protoregistry.Files
	until   time.Time
}

// all gives what is kept, newest first.
func (c *fileCache) all() []*protoregistry.Files {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	var all []*protoregistry.Files
	for i := len(c.kept) - 1; i >= 0; i-- {
		all = append(all, c.kept[i].files)
	}
	return all
}

// add keeps the description of a service.
func (c *fileCache) add(service string, files *protoregistry.Files) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	if len(c.kept) == maxDescriptions {
		c.kept = c.kept[1:]
	}
	c.kept = append(c.kept, description{service, files, time.Now().Add(keepFiles)})
}

// expireLocked forgets what is too old.
func (c *fileCache) expireLocked() {
	now := time.Now()
	for len(c.kept) > 0 && now.After(c.kept[0].until) {
		c.kept = c.kept[1:]
	}
}
