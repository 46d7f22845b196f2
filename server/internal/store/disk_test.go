package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

var noon = time.UnixMilli(1_700_000_000_000)

// open opens a store that must not fail, and closes it after the test.
func open(t testing.TB, fs vfs.FS, dir string) *store.Disk {
	t.Helper()
	d, err := store.Open(dir, store.Options{FS: fs, Failed: func(err error) { t.Errorf("the store failed: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func begin(t testing.TB, d *store.Disk) store.Start {
	t.Helper()
	s, err := d.Start(noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t testing.TB, d *store.Disk, fill func(*store.Batch)) {
	t.Helper()
	b := d.NewBatch()
	fill(b)
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

func page(t testing.TB, d *store.Disk, queue, from, to uint64, messages, bytes int) (ms []store.Message, through uint64) {
	t.Helper()
	through, err := d.Messages(queue, from, to, messages, bytes, func(m *store.Message) { ms = append(ms, *m) })
	if err != nil {
		t.Fatal(err)
	}
	return ms, through
}

func sequences(ms []store.Message) (s []uint64) {
	for _, m := range ms {
		s = append(s, m.Sequence)
	}
	return s
}

// full is a message with every field set.
func full(queue, sequence uint64) store.Message {
	return store.Message{
		Queue: queue, Sequence: sequence, Body: []byte("body"),
		Headers: []store.Header{{Key: "k", Value: "v"}, {Key: "", Value: ""}}, CorrelationID: "correlation",
		ReplyTo: "reply.to", Sender: "sender", Sent: noon.UnixNano(), Expires: noon.UnixNano() + 1,
		MaxAttempts: 7, RequireConsumer: true, Stream: true, Failure: []byte("failure"), Request: true,
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	first := begin(t, d)
	if first.Epoch != uint64(noon.UnixMilli()) || first.Key == [32]byte{} || first.Sequence != 0 {
		t.Errorf("a new store starts with %+v", first)
	}
	want := store.Start{
		Sequence: 9,
		Queues: []store.Queue{
			{ID: 1, Name: "one", Made: -1, MaxMessages: 2, MaxBytes: 3, MaxAge: 4, Overflow: 5, MaxAttempts: -6, DeadLetterQueue: "dead", NoDeadLetter: true, Lease: 8},
			{ID: 1 << 63, Name: "", Overflow: 255},
		},
		Stats:    map[uint64]store.Stat{1: {Messages: 2, Bytes: 3, Earliest: 4}},
		Requests: []store.Message{full(2, 3), full(1, 8)},
		Sessions: []store.Session{
			{ID: 7, Name: "n", Principal: "p", Producer: "\x00\xff", TTL: 1, Grace: 2, Began: 3, LastConsumer: 4,
				Temporary: []string{"a", ""}, Consumers: []store.Consumer{{ID: 1, Queue: "one", Credit: -2, CreditBytes: 3, Lease: 4}, {}}},
			{ID: 8},
		},
		Windows: []store.Window{{Producer: "", Part: 3}, {Producer: "p", Part: 1 << 40, Seen: -5, Messages: [64]uint64{0: 1, 63: 1 << 63}}},
	}
	want.Requests[0].Attempts = 5
	plain := store.Message{Queue: 1, Sequence: 9}
	commit(t, d, func(b *store.Batch) {
		b.PutSequence(want.Sequence)
		for i := range want.Queues {
			b.PutQueue(&want.Queues[i])
		}
		b.PutStat(1, want.Stats[1], 0)
		for i := range want.Requests {
			b.PutMessage(&want.Requests[i])
		}
		b.PutMessage(&plain)
		b.PutAttempts(2, 3, 5)
		for i := range want.Sessions {
			b.PutSession(&want.Sessions[i])
		}
		for i := range want.Windows {
			b.PutWindow(&want.Windows[i])
		}
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	d = open(t, fs, "store")
	got := begin(t, d)
	want.Key, want.Epoch = first.Key, first.Epoch+1
	want.Epochs = []store.Epoch{{Epoch: first.Epoch, First: 1}, {Epoch: first.Epoch + 1, First: 10}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\ninstead of\n%+v", got, want)
	}
	ms, through := page(t, d, 1, 0, 1<<64-1, 0, 0)
	if !reflect.DeepEqual(ms, []store.Message{plain}) || through != 1<<64-1 {
		t.Errorf("queue 1 holds %+v through %d", ms, through)
	}
}

func TestEpochsRiseAndEmptyOnesGo(t *testing.T) {
	fs := vfs.NewMem()
	for life, now := range []time.Time{noon, noon, noon.Add(-time.Hour), noon.Add(time.Hour)} {
		d := open(t, fs, "store")
		s, err := d.Start(now)
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(noon.UnixMilli()) + uint64(life)
		if life == 3 {
			want = uint64(now.UnixMilli())
		}
		if s.Epoch != want || len(s.Epochs) != 1 || s.Epochs[0] != (store.Epoch{Epoch: want, First: 1}) {
			t.Errorf("life %d has epoch %d instead of %d, of %v", life, s.Epoch, want, s.Epochs)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeletes(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	begin(t, d)
	commit(t, d, func(b *store.Batch) {
		for queue := uint64(1); queue <= 3; queue++ {
			b.PutQueue(&store.Queue{ID: queue})
			b.PutStat(queue, store.Stat{Messages: 9}, 0)
			for s := uint64(1); s < 10; s++ {
				m := full(queue, queue*10+s)
				b.PutMessage(&m)
				b.PutAttempts(queue, m.Sequence, 1)
				m.Request, m.Sequence = false, m.Sequence+100
				b.PutMessage(&m)
				b.PutAttempts(queue, m.Sequence, 1)
			}
		}
		b.PutSession(&store.Session{ID: 1})
		b.PutSession(&store.Session{ID: 2})
		for _, p := range []string{"", "p", "q", "pq"} {
			b.PutWindow(&store.Window{Producer: p})
			b.PutWindow(&store.Window{Producer: p, Part: 64})
		}
	})
	commit(t, d, func(b *store.Batch) {
		m := full(1, 11)
		m.Attempts = 1
		b.DeleteMessage(&m)
		m.Request, m.Sequence = false, 111
		b.DeleteMessage(&m)
		b.DeleteMessages(1, 13, 18)
		b.DeleteMessages(1, 113, 118)
		b.DeleteMessages(1, 19, 18)
		b.DeleteQueue(2)
		b.DeleteSession(1)
		b.DeleteProducer("p")
	})
	s := begin(t, d)
	if got := sequences(s.Requests); !slices.Equal(got, []uint64{12, 19, 31, 32, 33, 34, 35, 36, 37, 38, 39}) {
		t.Errorf("requests %v are left", got)
	}
	if s.Requests[0].Attempts != 1 {
		t.Errorf("a request has lost its attempts: %+v", s.Requests[0])
	}
	if got, _ := page(t, d, 1, 0, 1<<64-1, 0, 0); !slices.Equal(sequences(got), []uint64{112, 119}) || got[0].Attempts != 1 {
		t.Errorf("queue 1 holds %v", got)
	}
	if got, _ := page(t, d, 2, 0, 1<<64-1, 0, 0); len(got) != 0 {
		t.Errorf("queue 2 holds %v", got)
	}
	if len(s.Queues) != 2 || len(s.Stats) != 2 || len(s.Sessions) != 1 || s.Sessions[0].ID != 2 {
		t.Errorf("left are %+v %+v %+v", s.Queues, s.Stats, s.Sessions)
	}
	var producers []string
	for _, w := range s.Windows {
		producers = append(producers, w.Producer)
	}
	if !slices.Equal(producers, []string{"", "", "q", "q", "pq", "pq"}) {
		t.Errorf("producers %q are left", producers)
	}
}

func TestWindowsAreARing(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	commit(t, d, func(b *store.Batch) {
		for part := range uint64(200) {
			if part%3 != 0 {
				b.PutWindow(&store.Window{Producer: "p", Part: part})
			}
		}
	})
	var parts []uint64
	for _, w := range begin(t, d).Windows {
		parts = append(parts, w.Part)
	}
	slices.Sort(parts)
	var want []uint64
	for part := uint64(199 - 64); part < 200; part++ {
		if part%3 != 0 {
			want = append(want, part)
		}
	}
	if !slices.Equal(parts, want) {
		t.Errorf("kept %v instead of %v", parts, want)
	}
}

func TestAnEmptyBatchIsNothing(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	b := d.NewBatch()
	if !b.Empty() {
		t.Error("a new batch is not empty")
	}
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
	if b = d.NewBatch(); !b.Empty() {
		t.Error("a batch from the pool is not empty")
	}
	b.PutSequence(1)
	if b.Empty() || b.Size() == 0 {
		t.Error("a batch with a record is empty")
	}
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
	if b = d.NewBatch(); !b.Empty() {
		t.Error("a batch from the pool is not empty")
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	d := open(t, vfs.NewMem(), "store")
	b := d.NewBatch()
	b.PutSequence(1)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, started := d.Start(noon)
	_, read := d.Messages(1, 0, 1, 0, 0, nil)
	for _, err := range []error{b.Commit(), started, read, d.Checkpoint("copy")} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("error %v", err)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestARealDirectory(t *testing.T) {
	dir := t.TempDir() + "/a/b"
	var log bytes.Buffer
	d, err := store.Open(dir, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, d)
	m := full(1, 1)
	commit(t, d, func(b *store.Batch) { b.PutMessage(&m) })
	if free, total, err := d.Usage(); err != nil || free == 0 || total < free {
		t.Errorf("usage %d of %d, %v", free, total, err)
	}
	if !strings.Contains(d.Metrics(), "WAL") {
		t.Errorf("metrics %q", d.Metrics())
	}
	if err := d.Checkpoint(dir + "-copy"); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	c := open(t, nil, dir+"-copy")
	if got := begin(t, c).Requests; len(got) != 1 || !reflect.DeepEqual(got[0], m) {
		t.Errorf("the copy holds %v", got)
	}
	if log.Len() > 0 {
		t.Errorf("the log is not empty: %s", log.String())
	}
}
