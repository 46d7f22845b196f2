package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// indexed fills a store with requests in the form of formats 1 and 2, among other
// messages, and says what each is.
func indexed(t *testing.T, d *store.Disk, from, to uint64) map[uint64]store.Message {
	t.Helper()
	want := map[uint64]store.Message{}
	commit(t, d, func(b *store.Batch) {
		b.PutQueue(&store.Queue{ID: 1, Name: "q"})
		b.PutQueue(&store.Queue{ID: 2, Name: "r"})
		for s := from; s < to; s++ {
			m := full(1+s%2, s)
			m.Body = bytes.Repeat([]byte{byte(s)}, 100<<10)
			if m.Request = s%3 > 0; !m.Request {
				b.PutMessage(&m)
				continue
			}
			b.PutRaw(store.EncodeIndexed(&m))
			b.PutRaw(store.Encode(store.Place{Queue: m.Queue, Sequence: s}))
			if s%5 == 0 {
				m.Attempts = int(s)
				b.PutAttempts(m.Queue, s, m.Attempts)
			}
			want[s] = m
		}
		b.PutStat(1, store.Stat{Messages: int(to - 2), Bytes: int(to - 2)}, 0) // not looked at here
		b.PutSequence(to)
	})
	return want
}

// wantRequests begins a life, and compares what it reads.
func wantRequests(d *store.Disk, want map[uint64]store.Message) error {
	start, err := d.Start(noon)
	if err != nil {
		return err
	}
	if got := sequences(start.Requests); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		return fmt.Errorf("a start reads the requests %v, and not %v", got, slices.Sorted(maps.Keys(want)))
	}
	for _, m := range start.Requests {
		if !reflect.DeepEqual(m, want[m.Sequence]) {
			return fmt.Errorf("request %d is not what it was", m.Sequence)
		}
	}
	for queue := uint64(1); queue <= 2; queue++ {
		var odd error
		_, err := d.Messages(queue, 0, 1<<64-1, 0, 0, func(m *store.Message) {
			if m.Request {
				odd = fmt.Errorf("request %d is among the messages still", m.Sequence)
			}
		})
		if err := errors.Join(err, odd); err != nil {
			return err
		}
	}
	return nil
}

// A start moves the requests of an older format, in batches of a megabyte. Wherever
// it dies, the next one finds them all, each once.
func TestOldRequestsAreGathered(t *testing.T) {
	s := seed(t)
	mem := vfs.NewCrashableMem()
	d := open(t, mem, "store")
	want := indexed(t, d, 2, 50)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	rng := random(s, 2)
	var mu sync.Mutex // guards rng, crashes and moving
	crashes, moving := 0, false
	move := func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		moving = on
	}
	fs := hookFS{FS: clonedFS{mem}, after: func(op, name string) {
		mu.Lock()
		defer mu.Unlock()
		if !moving || t.Failed() || !slow() && crashes > 0 && rng.IntN(60) > 0 {
			return
		}
		for _, survives := range []int{0, 50, 100} {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: random(rng.Uint64(), 3)})
			crashes++
			for life := range 2 {
				d, err := store.Open("store", store.Options{FS: clone})
				if err == nil {
					err = wantRequests(d, want)
				}
				if err == nil {
					err = d.Close()
				}
				if err != nil {
					t.Errorf("life %d after a crash at %s %s: %v", life+1, op, name, err)
				}
			}
		}
	}}
	d = open(t, fs, "store")
	move(true)
	if err := wantRequests(d, want); err != nil {
		t.Error(err)
	}
	move(false)
	t.Logf("%d crashes", crashes)
	if crashes == 0 {
		t.Error("no crash: nothing was tested")
	}
	gone := store.Message{Queue: 1, Sequence: 4, Request: true}
	commit(t, d, func(b *store.Batch) { b.DeleteMessage(&gone); b.DeleteMessages(2, 5, 49) })
	maps.DeleteFunc(want, func(s uint64, _ store.Message) bool { return s == 4 || s%2 == 1 && s >= 5 })
	if err := d.Compact(); err != nil {
		t.Error(err)
	}
	if err := wantRequests(d, want); err != nil {
		t.Error(err)
	}
	if format := formatOf(t, mem, d); len(format) != 2 || format[1] != 3 {
		t.Errorf("the store has format %x", format)
	}
	report, err := store.Check("store", store.Options{FS: mem}, nil)
	if err != nil || report.Requests != len(want) {
		t.Errorf("checked %+v, %v", report, err)
	}
	for _, p := range report.Problems[min(2, len(report.Problems)):] { // of the stats
		t.Error(p)
	}
}

// An index entry of a message that is no request is damage, and not moved.
func TestAnIndexOfNoRequestIsDamage(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	commit(t, d, func(b *store.Batch) {
		b.PutQueue(&store.Queue{ID: 1, Name: "q"})
		b.PutMessage(&store.Message{Queue: 1, Sequence: 2})
		b.PutRaw(store.Encode(store.Place{Queue: 1, Sequence: 2}))
	})
	if _, err := d.Start(noon); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a start answers %v", err)
	}
}
