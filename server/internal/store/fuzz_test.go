package store_test

import (
	"errors"
	"reflect"
	"runtime"
	"testing"

	"github.com/d3b0a776/switch/server/internal/store"
)

// Any bytes are a record or an error that says which one is damaged; a record is
// the same after it was written again.
func FuzzDecodeRecord(f *testing.F) {
	for _, kind := range everyKind() {
		key, value := store.Encode(kind)
		f.Add(key, value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		v, err := store.DecodeRecord(key, value)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := store.DecodeRecord(store.Encode(v))
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Errorf("%+v reads again as %+v, %v", v, again, err)
		}
	})
}

// Each byte of a record is needed, and none may follow, but in the body.
func TestTornRecords(t *testing.T) {
	for _, kind := range everyKind() {
		key, value := store.Encode(kind)
		_, message := kind.(*store.Message)
		for n := range value {
			if _, err := store.DecodeRecord(key, value[:n]); err == nil && !message {
				t.Errorf("%T is read from %d of %d bytes", kind, n, len(value))
			}
		}
		if _, err := store.DecodeRecord(key, append(value, 0)); err == nil && !message {
			t.Errorf("%T is read with a byte too many", kind)
		}
		for n := range key {
			if _, err := store.DecodeRecord(key[:n], value); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%T is read with %d of %d bytes of its key: %v", kind, n, len(key), err)
			}
		}
	}
}

// A count that the value can't hold costs nothing.
func TestABoastfulCount(t *testing.T) {
	key, value := store.Encode(&store.Message{Queue: 1, Sequence: 2})
	value = append(value[:len(value)-1], 0xff, 0xff, 0xff, 0xff, 0x7f)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := store.DecodeRecord(key, value)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for a value of %d", n, len(value))
	}
}
