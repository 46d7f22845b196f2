package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server"
)

// What gRPC has written of large bodies counts as written, or the peer would count
// as lagging for ever.
func TestLargeBodiesAreCountedOff(t *testing.T) {
	s := newScene(t, forms[1], transports[1], server.Config{})
	p, w := s.client("p"), s.client("w")
	p.create("q", nil)
	w.subscribe("q", 1)
	body := strings.Repeat("x", 64<<10)
	for range 50 { // each alone, so that it carries progress
		p.send("q", body)
		w.ack(w.gets(body)...)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		pending, inFlight, _ := s.sw.Backlog(w.session.GetSession())
		if pending == 0 && inFlight == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("of what was written long ago %d bytes are pending, and %d in flight", pending, inFlight)
		}
	}
}
