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
		b.PutMessage(v)
	case store.Format, store.Place: // written by Open, and with the message
	default:
		b.PutRaw(store.Encode(v))
	}
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
