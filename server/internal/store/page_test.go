package store_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/d3b0a776/switch/server/internal/store"
)

func TestPages(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	commit(t, d, func(b *store.Batch) {
		for queue := uint64(1); queue <= 3; queue++ {
			for s := uint64(10); s < 20; s++ {
				b.PutMessage(&store.Message{Queue: queue, Sequence: s, Body: make([]byte, 100)})
			}
			for s := uint64(0); s < 25; s += 3 { // also where there is no message
				b.PutAttempts(queue, s, int(s))
			}
		}
		b.DeleteMessages(2, 12, 13)
		b.DeleteMessage(&store.Message{Queue: 2, Sequence: 19, Body: make([]byte, 100)})
	})
	const most = 1<<64 - 1
	for _, c := range []struct {
		from, to        uint64
		messages, bytes int
		through         uint64
		want            []uint64
	}{
		{0, most, 0, 0, most, []uint64{10, 11, 14, 15, 16, 17, 18}},
		{11, 15, 0, 0, 15, []uint64{11, 14, 15}},
		{11, 13, 0, 0, 13, []uint64{11}},
		{12, 13, 0, 0, 13, nil},
		{19, most, 0, 0, most, nil},
		{most, most, 1, 1, most, nil},
		{16, 15, 0, 0, 15, nil},
		{0, most, 3, 0, 14, []uint64{10, 11, 14}},
		{0, most, 7, 0, 18, []uint64{10, 11, 14, 15, 16, 17, 18}},
		{0, most, 8, 0, most, []uint64{10, 11, 14, 15, 16, 17, 18}},
		{0, most, 0, 1, 10, []uint64{10}},
		{0, most, 0, 200, 11, []uint64{10, 11}},
		{0, most, 0, 201, 14, []uint64{10, 11, 14}},
	} {
		ms, through := page(t, d, 2, c.from, c.to, c.messages, c.bytes)
		if !slices.Equal(sequences(ms), c.want) || through != c.through {
			t.Errorf("%+v: got %v through %d", c, sequences(ms), through)
		}
		for _, m := range ms {
			want := 0
			if m.Sequence%3 == 0 {
				want = int(m.Sequence)
			}
			if m.Queue != 2 || m.Attempts != want || len(m.Body) != 100 {
				t.Errorf("%+v: message %d of queue %d has %d attempts", c, m.Sequence, m.Queue, m.Attempts)
			}
		}
	}
}

// What was read is not changed by what happens later.
func TestMessagesAreTheReaders(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	m := full(1, 1)
	m.Request = false
	commit(t, d, func(b *store.Batch) { b.PutMessage(&m) })
	ms, _ := page(t, d, 1, 1, 1, 0, 0)
	ms[0].Body[0]++
	ms[0].Failure[0]++
	again, _ := page(t, d, 1, 1, 1, 0, 0)
	if !bytes.Equal(again[0].Body, m.Body) || !bytes.Equal(again[0].Failure, m.Failure) {
		t.Errorf("the store's message was changed to %+v", again[0])
	}
}

func TestDumpAndCheck(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	begin(t, d)
	a, b, c := full(1, 2), store.Message{Queue: 1, Sequence: 1, Body: []byte("xy")}, store.Message{Queue: 1, Sequence: 3}
	commit(t, d, func(batch *store.Batch) {
		batch.PutQueue(&store.Queue{ID: 1})
		batch.PutStat(1, store.Stat{Messages: 3, Bytes: 6}, 0)
		batch.PutMessage(&a)
		batch.PutMessage(&b)
		batch.PutMessage(&c)
		batch.PutAttempts(1, 2, 3)
		batch.PutSequence(3)
		batch.PutSession(&store.Session{ID: 5})
		batch.PutWindow(&store.Window{Producer: "p"})
	})
	if err := errors.Join(d.Flush(), d.Close()); err != nil {
		t.Fatal(err)
	}

	names := map[string]any{}
	var order []uint64
	for r, err := range store.Dump("store", store.Options{FS: fs}) {
		if err != nil {
			t.Fatal(err)
		}
		names[r.Name] = r.Value
		if m, ok := r.Value.(*store.Message); ok {
			order = append(order, m.Sequence)
		}
	}
	if len(names) != 12 || names["signing key"] != (store.SigningKey{}) || names["stat of queue 1"] != (store.QueueStat{Queue: 1, Stat: store.Stat{Messages: 3, Bytes: 6}}) {
		t.Errorf("dumped %v: %v", slices.Sorted(maps.Keys(names)), names)
	}
	if !slices.Equal(order, []uint64{1, 2, 3}) {
		t.Errorf("the messages came in the order %v: the second is a request", order)
	}
	for _, err := range store.Dump("store", store.Options{FS: fs}) {
		if err != nil {
			t.Error(err)
		}
		break
	}

	last := uint64(0)
	r, err := store.Check("store", store.Options{FS: fs}, func(done, total uint64) {
		if done < last || done > total {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || r.Problems != nil || r.Messages != 3 || r.Bytes != 6 || r.Requests != 1 || r.Queues != 1 || r.Sessions != 1 || r.Windows != 1 || r.Tables == 0 {
		t.Errorf("checked %+v, %v", r, err)
	}
}

func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	request := full(7, 7)
	commit(t, d, func(b *store.Batch) {
		b.PutQueue(&store.Queue{ID: 1})
		b.PutStat(1, store.Stat{Messages: 1}, 0)
		b.PutAttempts(1, 5, 1)
		b.PutRaw(store.Encode(store.Place{Queue: 1, Sequence: 6}))
		b.PutRaw(store.EncodeIndexed(&request))
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.Check("store", store.Options{FS: fs}, nil)
	if err != nil || len(r.Problems) != 6 {
		t.Errorf("found %d problems, %v:", len(r.Problems), err)
		for _, p := range r.Problems {
			t.Log(p)
		}
	}
}

// It runs in a process of its own: stores that other tests have made fail are never
// closed, and begin something now and then.
func TestCloseLeavesNothing(t *testing.T) {
	const alone = "SWITCH_TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCloseLeavesNothing$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	before := goleak.IgnoreCurrent()
	d, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	m := plain(1)
	commit(t, d, func(b *store.Batch) { b.PutMessage(&m) })
	page(t, d, 1, 0, 9, 0, 0)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
