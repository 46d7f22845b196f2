package queue_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// Requests that each name the one before as their parent, which nobody held when
// they were sent, are no tree after a restart that they could not have made
// before: it is not deeper than calls nest.
func TestARestartMakesNoDeeperTree(t *testing.T) {
	const n = 1000
	k := &queue.Kept{Sequence: n + 10, Epochs: []queue.Epoch{{Epoch: 0, First: 1}, {Epoch: 1, First: n + 11}},
		Queues: []queue.KeptQueue{{ID: 1, Name: "q", Messages: n,
			Options: queue.Options{Durability: queue.Durable, MaxMessages: n, MaxBytes: n, MaxAttempts: 5, Lease: time.Minute}}},
		Sessions: []queue.KeptSession{{ID: 1, Name: "a", TTL: time.Hour, Grace: time.Hour, Temporary: []string{"tmp.a"}}}}
	for i := range uint64(n) {
		st := queue.Stored{Sequence: i + 2, CorrelationID: strconv.FormatUint(i, 10), ReplyTo: "tmp.a", MaxAttempts: 5}
		if i > 0 {
			st.Parent = queue.ID{Sequence: i + 1}
		}
		k.Requests = append(k.Requests, queue.KeptRequest{Queue: 1, Stored: st})
	}
	var fx queue.Effects
	s, err := queue.Restore(1, queue.Limits{DurableAvailable: true}, start, k, &fx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(start, &queue.Cancel{Session: 1, ReplyTo: "tmp.a", CorrelationID: "0"}, &fx); err != nil {
		t.Fatal(err)
	}
	if _, _, _, pending := s.Session(1).Owned(); pending != n-queue.MaxCallDepth {
		t.Errorf("with the first request %d of %d ended, want %d", n-pending, n, queue.MaxCallDepth)
	}
}
