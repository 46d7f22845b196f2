package store_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/d3b0a776/switch/server/internal/store"
)

// golden is every kind of record of format 1, byte by byte. It must never
// change: stores in the field hold these. A new form gets a number and a file of
// its own, and this one must still be read.
const golden = "testdata/format-1.txt"

// everyKind is one record of each kind, in the order of their keys.
func everyKind() []any {
	m := full(3, 258)
	m.Stream = false // younger than the file
	return []any{
		store.Format(1),
		store.SigningKey{1, 2, 3, 31: 32},
		store.LastSequence(300),
		store.Epoch{Epoch: 1_700_000_000_000, First: 301},
		store.Queue{ID: 3, Name: "orders", Made: 1_700_000_000_000_000_000, MaxMessages: 10_000, MaxBytes: 1 << 30, MaxAge: 3600e9,
			Overflow: 1, MaxAttempts: 5, DeadLetterQueue: "orders.dead", NoDeadLetter: true, Lease: 30e9},
		store.QueueStat{Queue: 3, Stat: store.Stat{Messages: 2, Bytes: 300, Earliest: 1_700_000_000_000_000_001}},
		store.Session{ID: 4, Name: "worker", Principal: "alice", Producer: "0123456789abcdef", TTL: 30e9, Grace: 10e9,
			Began: 1_700_000_000_000_000_002, LastConsumer: 6, Temporary: []string{"tmp.a", "tmp.b"},
			Consumers: []store.Consumer{{ID: 6, Queue: "orders", Credit: 100, CreditBytes: 1 << 20, Lease: 5e9}}},
		store.Window{Producer: "0123456789abcdef", Part: 67, Seen: 1_700_000_000_000_000_003, Messages: [64]uint64{1: 258, 63: 259}},
		store.Place{Queue: 3, Sequence: 258},
		store.PlaceAttempts{Place: store.Place{Queue: 3, Sequence: 258}, Attempts: 2},
		&m,
		&store.Message{Queue: 3, Sequence: 259},
		&store.Message{Queue: 3, Sequence: 260, Parent: store.ID{Epoch: 1_700_000_000_000, Sequence: 258}, StartBy: 1_700_000_000_000_000_004, Body: []byte("child")},
	}
}

func TestTheFormatIsWhatItWas(t *testing.T) {
	var got bytes.Buffer
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	kinds := everyKind()
	commit(t, d, func(b *store.Batch) {
		for _, k := range kinds {
			put(b, k)
		}
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	rewrite(t, fs, func(db *pebble.DB) error {
		it, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		for it.First(); it.Valid(); it.Next() {
			fmt.Fprintf(&got, "# %T\n%x\n%x\n", kinds[min(n, len(kinds)-1)], it.Key(), it.Value())
			n++
		}
		return errors.Join(it.Error(), it.Close())
	})
	want, err := os.ReadFile(golden)
	if err != nil || got.String() != string(want) {
		t.Errorf("the records are not those of %s (%v):\n%s", golden, err, got.String())
	}
}

// put puts a record by way of the batch, where it has one.
func put(b *store.Batch, record any) {
	switch v := record.(type) {
	case store.LastSequence:
		b.PutSequence(uint64(v))
	case store.Queue:
		b.PutQueue(&v)
	case store.QueueStat:
		b.PutStat(v.Queue, v.Stat, 0)
	case store.Session:
		b.PutSession(&v)
	case store.Window:
		b.PutWindow(&v)
	case store.PlaceAttempts:
		b.PutAttempts(v.Queue, v.Sequence, v.Attempts)
	case *store.Message:
		if v.Request {
			b.PutRaw(store.EncodeIndexed(v)) // nobody writes that any more
			return
		}
		b.PutMessage(v)
	case *store.Keyed:
		b.PutKeyed(v)
	case store.Format: // written by Open
	default:
		b.PutRaw(store.Encode(v))
	}
}

// goldenKeyed is what format 2 has besides.
const goldenKeyed = "testdata/format-2.txt"

func keyedKinds() []any {
	return []any{
		&store.Keyed{Queue: 3, Request: 258, Key: "order-17", Principal: "alice", Digest: [16]byte{1, 2, 3, 15: 16}, TTL: 600e9, Detached: true},
		&store.Keyed{Queue: 3, Request: 259, Key: "k", Answered: true, TTL: 60e9, Expires: 1_700_000_000_000_000_004, Sender: "worker",
			Failure: []byte("failure"), Headers: []store.Header{{Key: "k", Value: "v"}}, Body: []byte("body")},
	}
}

// TestTheFormatOfKeys compares the calls with keys, and sees that a store is of
// format 1 until it has one.
func TestTheFormatOfKeys(t *testing.T) {
	var got bytes.Buffer
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	for _, k := range keyedKinds() {
		key, value := store.Encode(k)
		fmt.Fprintf(&got, "# %T\n%x\n%x\n", k, key, value)
		if read, err := store.DecodeRecord(key, value); err != nil || !reflect.DeepEqual(read, k) {
			t.Errorf("it reads as %+v, %v", read, err)
		}
	}
	commit(t, d, func(b *store.Batch) { put(b, everyKind()[4]) })
	first := formatOf(t, fs, d)
	d = open(t, fs, "store")
	commit(t, d, func(b *store.Batch) {
		for _, k := range keyedKinds() {
			put(b, k)
		}
	})
	second := formatOf(t, fs, d)
	d = open(t, fs, "store")
	start := begin(t, d)
	if len(start.Keyed) != 2 || !reflect.DeepEqual(&start.Keyed[1], keyedKinds()[1]) {
		t.Errorf("a start reads %+v", start.Keyed)
	}
	commit(t, d, func(b *store.Batch) { b.DeleteKeyed(3, 258, 0); b.DeleteQueue(3) })
	if start := begin(t, d); len(start.Keyed) != 0 {
		t.Errorf("%+v is left", start.Keyed)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&got, "# the format before and after: %x %x\n", first, second)
	want, err := os.ReadFile(goldenKeyed)
	if err != nil || got.String() != string(want) {
		t.Errorf("the records are not those of %s (%v):\n%s", goldenKeyed, err, got.String())
	}
}

// goldenRequest is what format 3 has besides, and no index of requests.
const goldenRequest = "testdata/format-3.txt"

// TestTheFormatOfRequests compares a request, and sees that a store is of an older
// format until it has one.
func TestTheFormatOfRequests(t *testing.T) {
	var got bytes.Buffer
	fs := vfs.NewMem()
	d := open(t, fs, "store")
	request := full(3, 258)
	key, value := store.Encode(&request)
	if read, err := store.DecodeRecord(key, value); err != nil || !reflect.DeepEqual(read, &request) {
		t.Errorf("it reads as %+v, %v", read, err)
	}
	commit(t, d, func(b *store.Batch) { b.PutMessage(&store.Message{Queue: 3, Sequence: 257}) })
	first := formatOf(t, fs, d)
	d = open(t, fs, "store")
	commit(t, d, func(b *store.Batch) { b.PutMessage(&request) })
	second := formatOf(t, fs, d)
	fmt.Fprintf(&got, "# %T\n%x\n%x\n# the format before and after: %x %x\n", request, key, value, first, second)
	want, err := os.ReadFile(goldenRequest)
	if err != nil || got.String() != string(want) {
		t.Errorf("the records are not those of %s (%v):\n%s", goldenRequest, err, got.String())
	}
}

// formatOf closes a store, and is its format record's value.
func formatOf(t *testing.T, fs *vfs.MemFS, d *store.Disk) (value []byte) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, fs, func(db *pebble.DB) error {
		v, c, err := db.Get([]byte{1})
		if err != nil {
			return err
		}
		value = bytes.Clone(v)
		return c.Close()
	})
	return value
}

func TestTheFormatIsRead(t *testing.T) {
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, want := range everyKind() {
		key, err1 := hex.DecodeString(lines[3*i+1])
		value, err2 := hex.DecodeString(lines[3*i+2])
		got, err := store.DecodeRecord(key, value)
		if err := errors.Join(err, err1, err2); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads as %+v, %v", lines[3*i], got, err)
		}
	}
}
