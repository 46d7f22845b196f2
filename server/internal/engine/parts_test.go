package engine_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d3b0a776/switch/server/internal/engine"
	"github.com/d3b0a776/switch/server/internal/queue"
)

// closed reports whether a channel is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Idle is when nobody holds a message of a named queue.
func TestIdle(t *testing.T) {
	play(t, func(r *rig) {
		if !closed(r.Idle()) {
			r.Error("an engine without leases is not idle")
		}
		_, leases := r.leases(2, time.Minute)
		first, second := r.Idle(), r.Idle()
		r.apply(&queue.Ack{Session: r.session, Leases: leases[:1]})
		if closed(first) || closed(second) {
			r.Error("an engine with a lease is idle")
		}
		r.apply(&queue.Ack{Session: r.session, Leases: leases[1:]})
		if !closed(first) || !closed(second) || !closed(r.Idle()) {
			r.Error("an engine without leases is not idle")
		}
	})
}

// A lease that times out leaves the engine idle, if nobody takes the message.
func TestIdleByTimeout(t *testing.T) {
	play(t, func(r *rig) {
		r.leases(1, time.Second)
		idle := r.Idle()
		r.apply(&queue.Drain{})
		time.Sleep(time.Second)
		synctest.Wait()
		if !closed(idle) {
			r.Error("the engine is not idle")
		}
	})
}

// Replies that their callers have not acked do not keep an engine busy.
func TestIdleWithReplies(t *testing.T) {
	play(t, func(r *rig) {
		own := queue.TemporaryPrefix + "own"
		r.apply(&queue.Create{Session: r.session, Queue: own, Temporary: true},
			&queue.Subscribe{Session: r.session, Queue: own, Sink: &inbox{}}, &queue.Send{Session: r.session, Queue: own})
		if !closed(r.Idle()) {
			r.Error("the engine waits for a temporary queue")
		}
	})
}

// Watchers are woken when there is something to read, once until they read.
func TestWatchers(t *testing.T) {
	play(t, func(r *rig) {
		buf := make([]queue.Event, 100)
		a, b := r.Watch(), r.Watch()
		defer a.Close()
		n, missed := a.After(0, buf)
		if n != 2 || missed != 0 || buf[0].Kind != queue.SessionBegan || buf[1].Kind != queue.QueueCreated {
			r.Errorf("%d events, missed %d: %v", n, missed, buf[:n])
		}
		r.apply(&queue.Send{Session: r.session, Queue: "q"})
		r.apply(&queue.Send{Session: r.session, Queue: "q"}) // nobody reads C: it does not block
		if len(a.C) != 1 || len(b.C) != 1 {
			r.Errorf("%d and %d wakes wait", len(a.C), len(b.C))
		}
		<-a.C
		r.apply(&queue.Renew{Session: r.session}) // nothing to read
		if len(a.C) != 0 {
			r.Error("a watcher was woken for nothing")
		}
		b.Close()
		<-b.C
		r.apply(&queue.Send{Session: r.session, Queue: "q"})
		if len(a.C) != 1 || len(b.C) != 0 {
			r.Errorf("%d and %d wakes wait", len(a.C), len(b.C))
		}
		if n, _ = a.After(buf[1].Number, buf); n != 3 {
			r.Errorf("%d events, want the three Sends", n)
		}
	})
}

// A token names its session to the engine that made it, and to no other.
func TestTokens(t *testing.T) {
	play(t, func(r *rig) {
		other, err := engine.New(engine.Config{})
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		token := r.Token(r.session)
		if id, err := r.ParseToken(token); err != nil || id != r.session {
			r.Errorf("the token names %d: %v", id, err)
		}
		if token != r.Token(r.session) || token == r.Token(r.session+1) || token == other.Token(r.session) {
			r.Error("tokens are not one for each session and engine")
		}
		bad := []string{"", "x", token + "A", "A" + token, token[:len(token)-1], strings.Repeat("A", len(token)), " " + token, token + "\n",
			other.Token(r.session), strings.Repeat("A", 100_000), base64.StdEncoding.EncodeToString([]byte(token))}
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			r.Fatal(err)
		}
		for i := range raw { // every bit counts
			for bit := range 8 {
				forged := append([]byte(nil), raw...)
				forged[i] ^= 1 << bit
				bad = append(bad, base64.RawURLEncoding.EncodeToString(forged))
			}
		}
		for n := range raw {
			bad = append(bad, base64.RawURLEncoding.EncodeToString(raw[:n]))
		}
		for _, b := range bad {
			if id, err := r.ParseToken(b); !errors.Is(err, engine.ErrTokenInvalid) {
				r.Errorf("%.40q names session %d: %v", b, id, err)
			}
		}
	})
}

// The clock goes on from the wall time of the start.
func TestClock(t *testing.T) {
	play(t, func(r *rig) {
		if r.Now() != queue.Instant(r.Began().UnixNano()) {
			r.Errorf("it is %v at %v", r.Now(), r.Began())
		}
		before := r.Now()
		time.Sleep(3 * time.Second)
		if r.Now().Sub(before) != 3*time.Second {
			r.Errorf("%v passed", r.Now().Sub(before))
		}
	})
}
