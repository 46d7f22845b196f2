package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// startDurableRelay starts a durable relay in this process, where nothing is
// committed yet.
func startDurableRelay(t *testing.T, fs vfs.FS) (*relayStore, string) {
	t.Helper()
	store := openTestStore(t, fs)
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	r := &durableRelay{relay: relay{links: make(map[string]*link)}, store: store}
	ended := make(chan error, 1)
	go func() { ended <- serveRelay(t.Context(), addr, r.serve) }() // until the test is over
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := await(t.Context(), callTimeout, func() bool { return relayAsk(t.Context(), addr) == nil }); err != nil {
		t.Fatal(err)
	}
	return store, addr
}

func openTestStore(t *testing.T, fs vfs.FS) *relayStore {
	t.Helper()
	o := relayStoreOptions()
	o.FS = fs
	store, err := openRelayStore("data", o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// commit runs the committer until the test is over.
func (s *relayStore) commit(t *testing.T) {
	done := make(chan error, 1)
	go func() { done <- s.committing(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestRelaySyncs takes away what is not synced after each confirmed send.
func TestRelaySyncs(t *testing.T) {
	fs := vfs.NewCrashableMem()
	store, addr := startDurableRelay(t, fs)
	store.commit(t)
	to, err := relaySender(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	body := newPayload(1, smallBody)
	for n := range uint64(20) {
		body.number(n)
		if err := to.send(t.Context(), body); err != nil {
			t.Fatal(err)
		}
		left := openTestStore(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		value, closer, err := left.db.Get(binary.BigEndian.AppendUint64(nil, n+1))
		if err != nil {
			t.Fatalf("send %d was confirmed and is not there: %v", n, err)
		}
		if !bytes.Equal(value, body) {
			t.Errorf("send %d is stored as %x", n, value)
		}
		if err := errors.Join(closer.Close(), left.db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRelayHoldsBack looks that nothing goes out before the commit.
func TestRelayHoldsBack(t *testing.T) {
	store, addr := startDurableRelay(t, vfs.NewMem())
	do, to := echo(t, addr), must(relaySender(t.Context(), addr))
	done := make(chan error, 2)
	body := newPayload(1, smallBody)
	go func() { done <- callOperation(do, newPayload(2, smallBody))(t.Context(), 1) }() // ends with the call
	go func() { done <- to.send(t.Context(), body) }()                                  // ends with the send
	select {
	case err := <-done:
		t.Fatalf("answered before the commit: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	store.commit(t)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestRelayDeletes looks that a request goes with the commit after its reply.
func TestRelayDeletes(t *testing.T) {
	store, addr := startDurableRelay(t, vfs.NewMem())
	store.commit(t)
	do := callOperation(echo(t, addr), newPayload(1, smallBody))
	for n := range uint64(20) {
		if err := do(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	// A reply may overtake the deletion of its request: the last two may be left.
	if n, err := store.count(); err != nil || n < 1 || n > 2 {
		t.Errorf("%d requests are stored, %v", n, err)
	}
}

// TestRelayCounts looks that a lost send is noticed.
func TestRelayCounts(t *testing.T) {
	store, addr := startDurableRelay(t, vfs.NewMem())
	store.commit(t)
	to := must(relaySender(t.Context(), addr))
	for range 3 {
		if err := to.send(t.Context(), newPayload(1, kibibyte)); err != nil {
			t.Fatal(err)
		}
	}
	for want := int64(3); want >= 2; want-- {
		if n, err := to.stored(t.Context()); err != nil || n != want {
			t.Errorf("%d are stored, want %d; %v", n, want, err)
		}
		if err := store.db.Delete(binary.BigEndian.AppendUint64(nil, 2), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
}

// echo makes a connection for calls, with a responder behind it.
func echo(t *testing.T, addr string) call {
	t.Helper()
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- relayRespond(t.Context(), addr, func() { close(ready) }) }() // until the test is over
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-ready
	return must(relayCaller(t.Context(), addr))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
