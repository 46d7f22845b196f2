package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// TestKeyedIsChecked has calls with keys that fit, and some that do not.
func TestKeyedIsChecked(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	begin(t, d)
	commit(t, d, func(b *store.Batch) {
		b.PutQueue(&store.Queue{ID: 1, Name: "q"})
		b.PutMessage(&store.Message{Queue: 1, Sequence: 2, Request: true})
		b.PutMessage(&store.Message{Queue: 1, Sequence: 3, Request: true})
		b.PutStat(1, store.Stat{Messages: 2}, 2)
		b.PutSequence(9)
		b.PutKeyed(&store.Keyed{Queue: 1, Request: 2, Key: "runs"})
		b.PutKeyed(&store.Keyed{Queue: 1, Request: 4, Key: "answered", Answered: true})
		b.PutKeyed(&store.Keyed{Queue: 1, Request: 3, Key: "both", Answered: true})
		b.PutKeyed(&store.Keyed{Queue: 1, Request: 5, Key: "neither"})
		b.PutKeyed(&store.Keyed{Queue: 7, Request: 6, Key: "nowhere", Answered: true})
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.Check("store", store.Options{FS: fs}, nil)
	if err != nil || r.Keyed != 5 || len(r.Problems) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, key := range []string{"both", "neither", "nowhere"} {
		if !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, key) }) {
			t.Errorf("nothing is said of %q: %q", key, r.Problems)
		}
	}
}
